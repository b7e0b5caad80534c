"""One row per unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import UNITS, unit_names

if TYPE_CHECKING:
    from anndata import AnnData

TABLE_COLUMNS = (
    "effect",
    "effect_share",
    "reproducibility",
    "dead",
    "redundant_with",
    "redundant_r",
    "direction",
    "direction_r",
    "top_genes_up",
    "top_genes_down",
    "set",
    "set_q",
    "set_direction",
    "sets",
    "group",
    "group_difference",
    "stability",
    "library_size",
    "mitochondrial",
    "ribosomal",
    "cell_cycle",
    "dissociation",
    "flags",
)


@public
def unit_summary(adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None) -> pd.DataFrame:
    """What :func:`modulae.tl.unit_summary` found, one row per unit, the one of largest effect first.

    Several names in one text are separated by semicolons; a text is empty, and a number NaN, where there is nothing to
    say. :doc:`/method/method` says how each number is made.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_units}

    Returns
    -------
    One row per unit (index `unit`: "0", "1", …).

    `effect` : `float64`
        How much the loss rises without the unit, in counts, on the cells it was measured on.
    `effect_share` : `float64`
        Its share of the effects of all units (those below 0 count as 0).
    `reproducibility` : `float64`
        Probability that a model of as many new cells has the unit again; units below 0.7 may be chance. NaN where the
        model was trained once, or its halves are made of donors (:func:`modulae.get.replication`).
    `dead` : `bool`
        Whether the unit has no effect.
    `redundant_with`, `redundant_r`
        A unit of larger effect that varies with it, and their correlation.
    `direction`, `direction_r`
        "up" or "down": whether it is active where its strongest genes are, or where they are not; the correlation,
        which is weaker than 0.1 where the text is empty.
    `top_genes_up`, `top_genes_down` : text
        Genes that raise it most, and that lower it most, the strongest first.
    `set`, `set_q`, `set_direction`
        The gene set of smallest p, its q, and whether its genes raise ("up") or lower ("down") the unit more than genes
        like them.
    `sets` : text
        Up to three sets with q ≤ 0.05.
    `group`, `group_difference`
        The group in which the unit is most active; mean of the group minus that of the other labelled cells, in
        standard deviations.
    `stability` : `float64`
        Absolute correlation with the best match in other runs, a mean over the runs.
    `library_size`, `mitochondrial`, `ribosomal`, `cell_cycle`, `dissociation` : `float64`
        Rank correlation of its activity with each.
    `flags` : text
        Those of the last five whose absolute value is above the threshold.

    Raises
    ------
    KeyError
        No such result.

    See Also
    --------
    modulae.tl.unit_summary : Computes this result.
    modulae.pl.unit_summary : Draws this result.
    modulae.get.replication : More on how each unit replicates.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.unit_summary(adata)
    >>> mo.get.unit_summary(adata).shape
    (32, 23)
    """
    stored = UNITS.find(adata, key=key, result=result).entry["table"]
    stored = {"reproducibility": np.full(len(stored["effect"]), np.nan), **stored}  # older summaries do not have it
    table = pd.DataFrame({name: np.asarray(stored[name]) for name in TABLE_COLUMNS})
    for name in table:
        if not (pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name])):
            table[name] = table[name].astype(str).astype(object)  # zarr brings back another kind of text
    table.index = pd.Index(unit_names(len(table)), name="unit")
    return table.iloc[np.argsort(-table["effect"].to_numpy(), kind="stable")]
