"""How well a transferred model reads these cells, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import name_column

if TYPE_CHECKING:
    from anndata import AnnData


@public
def transfer(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """How well each programme of a transferred model can be read from the genes of these cells.

    Parameters
    ----------
    {transferred}
    {key}

    Returns
    -------
    One row per unit, named "0", "1", …; `.attrs` has `share_of_genes`, `n_model_genes` and the settings.

    `name` : text
        Its name where it was found, or after :func:`modulae.tl.unit_summary`; else NaN.
    `coverage` : `float32`
        Share of the unit's absolute saliency that the genes of these cells carry.
    `reliability` : `float32`
        Expected correlation with the unit as read from all its genes.
    `trusted` : `bool`
        Whether the reliability is at least `min_reliability`.

    Raises
    ------
    KeyError
        No such model, or one that was trained on these cells.

    See Also
    --------
    modulae.tl.transfer : Computes this result.
    modulae.pl.transfer : Draws this result.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[:, ::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.get.transfer(cells).shape
    (32, 4)
    """
    entry = model_entry(adata, key, "tl.transfer", "model").get("transfer")
    if entry is None:
        others = step("tl.transfer", "adata", of="others", key=key, model_key=None if key == DEFAULT_KEY else key)
        msg = f"the model {key!r} was trained on these cells. Read others with {others}."
        raise KeyError(msg)
    table = pd.DataFrame(
        {
            "coverage": entry["coverage"],
            "reliability": entry["reliability"],
            "trusted": entry["trusted"].astype(bool),
        }
    )
    table.index = pd.Index([str(unit) for unit in range(len(table))], name="unit")
    table.insert(0, "name", name_column(adata, key, list(table.index)))
    table.attrs = {
        "share_of_genes": float(entry["share_of_genes"]),
        "n_model_genes": int(entry["n_model_genes"]),
        "missing": str(entry["missing"]),
        "min_reliability": float(entry["min_reliability"]),
    }
    return table
