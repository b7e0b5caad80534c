"""One row per unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import UNITS, unit_names
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import name_column, technical_units

if TYPE_CHECKING:
    from anndata import AnnData

TABLE_COLUMNS = (
    "name",
    "effect",
    "effect_share",
    "reproducibility",
    "below_level",
    "dead",
    "redundant_with",
    "redundant_r",
    "top_genes_up",
    "top_genes_down",
    "direction",
    "direction_r",
    "saliency_up",
    "saliency_down",
    "set",
    "set_q",
    "sets",
    "group",
    "group_difference",
    "group_auc",
    "stability",
    "library_size",
    "mitochondrial",
    "ribosomal",
    "cell_cycle",
    "dissociation",
    "caveats",
)


@public
def unit_summary(adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None) -> pd.DataFrame:
    """What :func:`modulae.tl.unit_summary` found, one row per unit, the one of largest effect first.

    Several names in one text are separated by semicolons; text and numbers are NaN where there is nothing to say. A
    unit that is dead or below the level has only `effect`, `effect_share`, `reproducibility` and `stability`.
    :doc:`/method/method` says how each number is made.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_units}

    Returns
    -------
    One row per unit (index `unit`: "0", "1", …).

    `name` : text
        Its first three genes and the group that it marks, such as "LYZ, S100A8, S100A9 · CD14 Mono"; or the name that
        :func:`modulae.tl.edit_units` gave it.
    `effect` : `float64`
        How much the loss rises without the unit, in counts, on the cells it was measured on.
    `effect_share` : `float64`
        Its share of the effects of all units (those below 0 count as 0).
    `reproducibility` : `float64`
        Probability that a model of as many new cells has the unit again; units below 0.7 may be chance. NaN where the
        model was trained once, or its halves are made of donors (:func:`modulae.get.replication`).
    `below_level` : `bool`
        Whether its reproducibility is below 0.7 (the level in `adata.uns[key]["replication"]`).
    `technical` : `bool`
        Whether :func:`modulae.tl.edit_units` has marked it so.
    `dead` : `bool`
        Whether the unit has no effect.
    `redundant_with`, `redundant_r`
        A unit of larger effect that varies with it, and their correlation.
    `top_genes_up`, `top_genes_down` : text
        Genes that it makes more of and, with `architecture="orthogonal"`, less of, in the order of
        :func:`modulae.get.top_genes`.
    `direction`, `direction_r`
        "up" if its activity rises with the counts of the genes that it makes more of, "down" if it falls; and the
        correlation. There is no text where the correlation is between −0.1 and 0.1.
    `saliency_up`, `saliency_down` : text
        Genes that it is read from: that raise it most, and that lower it most.
    `set`, `set_q`
        The gene set with the smallest p of those that raise it more than similar genes do (q ≤ 0.05), and its q.
    `sets` : text
        Up to three such sets, the smallest p first.
    `group`, `group_difference`, `group_auc`
        The group that it marks. In such a group a cell is more active than another labelled cell in 85 % of all pairs
        (`group_auc`), and there are at least `min_cells` cells. Of several groups, the one whose mean is highest above
        that of the other cells, in standard deviations (`group_difference`).
    `stability` : `float64`
        Absolute correlation with the best match in other runs, a mean over the runs.
    `library_size`, `mitochondrial`, `ribosomal`, `cell_cycle`, `dissociation` : `float64`
        Rank correlation of its activity with each, within the groups where some were given.
    `caveats` : text
        Those of the last five whose absolute value is above the threshold. One that four fifths of the units would
        carry is not listed.

    Raises
    ------
    KeyError
        No such result, or one of an older version.

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
    (32, 28)
    """
    found = UNITS.find(adata, key=key, result=result)
    stored = found.entry["table"]
    if absent := [name for name in TABLE_COLUMNS if name not in stored]:
        run = step("tl.unit_summary", key=found.key, key_added=result)
        msg = f"{found.name!r} was made by an older version and lacks {absent}. Run {run} again."
        raise KeyError(msg)
    table = pd.DataFrame({name: np.asarray(stored[name]) for name in TABLE_COLUMNS})
    for name in table:
        if not (pd.api.types.is_numeric_dtype(table[name]) or pd.api.types.is_bool_dtype(table[name])):
            text = table[name].astype(str).astype(object)  # zarr brings back another kind of text
            table[name] = text.where(text != "", np.nan)
    table.index = pd.Index(unit_names(len(table)), name="unit")
    table["name"] = name_column(adata, found.key, list(table.index))  # a unit may have been renamed since
    technical = table.index.isin(technical_units(adata, found.key))
    table.insert(list(table).index("below_level") + 1, "technical", technical)
    return table.iloc[np.argsort(-table["effect"].to_numpy(), kind="stable")]
