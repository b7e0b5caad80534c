"""How well a foreign model reads these cells, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry

if TYPE_CHECKING:
    from anndata import AnnData


@public
def transfer(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """How well each unit of a foreign model can be read from the genes at hand.

    Parameters
    ----------
    adata
        Cells that :func:`modulae.tl.transfer` has read.
    {key}

    Returns
    -------
    One row per unit, named "0", "1", …: `coverage`, the share of the unit's absolute saliency that the genes at hand
    carry; `reliability`, the expected correlation with the unit as read from all its genes; `trusted`, whether that is
    high enough. `.attrs` has `share_of_genes`, `n_model_genes` and the settings.

    Raises
    ------
    KeyError
        No such model, or one that was trained on these cells.
    """
    entry = model_entry(adata, key, "transfer(adata, model)").get("transfer")
    if entry is None:
        msg = f"the model {key!r} was trained on these cells. Read others with `modulae.tl.transfer(others, adata)`."
        raise KeyError(msg)
    table = pd.DataFrame(
        {
            "coverage": entry["coverage"],
            "reliability": entry["reliability"],
            "trusted": entry["trusted"].astype(bool),
        }
    )
    table.index = pd.Index([str(unit) for unit in range(len(table))], name="unit")
    table.attrs = {
        "share_of_genes": float(entry["share_of_genes"]),
        "n_model_genes": int(entry["n_model_genes"]),
        "missing": str(entry["missing"]),
        "min_reliability": float(entry["min_reliability"]),
    }
    return table
