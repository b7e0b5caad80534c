"""Every set and group in one tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import IMPACT, share_found, unit_names
from modulae._adata.stored.unit_labels import name_column

if TYPE_CHECKING:
    from anndata import AnnData

ALL_CELLS = "all cells"

IMPACT_STATISTICS = (
    *("effect", "se", "p", "q", "p_cells", "p_donors", "p_exact", "p_matched", "null_mean"),
    *("effect_lowest", "effect_highest"),
)
"""In the order of the columns; a file gives them back in another."""


@public
def impact_table(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, by_unit: bool = False
) -> pd.DataFrame:
    """The impact of every gene set as a tidy table.

    Parameters
    ----------
    {adata}
    {key}
    {impact_result}
    by_unit
        One row per set and unit, rather than the sum over units.

    Returns
    -------
    One row for each group and set, and with `by_unit` each unit.

    `group` : text
        The group; "all cells" where no groups were compared.
    `reference` : text
        What it was compared with; "" where no groups were compared.
    `set` : text
        Name of the gene set.
    `n_genes` : `int64`
        Genes of the set in the model.
    `share_found` : `float64`
        Share of the set's genes that `adata` has.
    `unit` : text, with `by_unit`
        "0", "1", …
    `name` : text, with `by_unit`
        Name of the unit, after :func:`modulae.tl.unit_summary`; else NaN.
    `effect` : `float64`
        The unscaled impact, or difference, summed over units (over donors if there were donors); pictures show it
        scaled, as :func:`modulae.get.impact` gives it. Above 0 the set's
        genes raise the units, or move a cell from the reference towards the group.
    `direction` : text, where the comparison was tested
        Such as "more in STIM" or "less in STIM".
    `se`, `p`, `q`, `null_mean` and others : `float64`, where the comparison was tested
        The `"statistics"` of :func:`modulae.tl.pathway_impact`.

    Raises
    ------
    KeyError
        No such result.

    See Also
    --------
    modulae.tl.pathway_impact : Computes this result.
    modulae.get.impact : Sets × units.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_impact(adata, mo.datasets.immune_signatures(), groupby="phase", n_permutations=20)
    >>> table = mo.get.impact_table(adata, result="ae_impact_phase")
    >>> table["group"].unique().tolist()
    ['G1', 'G2M', 'S']
    >>> table.columns.tolist()[:6]
    ['group', 'reference', 'set', 'n_genes', 'share_found', 'effect']
    """
    found = IMPACT.find(adata, key=key, result=result)
    entry = found.entry
    sets, n_genes = np.asarray(entry["sets"]), np.asarray(entry["n_genes"])
    if found.is_comparison:
        groups, references, values = np.asarray(entry["groups"]), np.asarray(entry["references"]), entry["unscaled"]
    else:
        groups, references, values = np.array([ALL_CELLS]), np.array([""]), entry["all_unscaled"][None]
    values = np.asarray(values, dtype=np.float64)  # groups × sets × units
    n_groups, n_sets, n_units = values.shape
    repeats = n_units if by_unit else 1
    table = pd.DataFrame(
        {
            "group": np.repeat(groups, n_sets * repeats),
            "reference": np.repeat(references, n_sets * repeats),
            "set": np.tile(np.repeat(sets, repeats), n_groups),
            "n_genes": np.tile(np.repeat(n_genes, repeats), n_groups),
            "share_found": np.tile(np.repeat(share_found(entry), repeats), n_groups),
        }
    )
    if by_unit:
        names = unit_names(n_units)
        table["unit"] = np.tile(names, n_groups * n_sets)
        table["name"] = np.tile(name_column(adata, found.key, names), n_groups * n_sets)
    table["effect"] = values.ravel() if by_unit else values.sum(axis=-1).ravel()
    stored = entry.get("statistics", {})
    for name in IMPACT_STATISTICS:
        if name not in stored or (name == "effect" and not entry.get("donor_key")):
            continue  # without donors the effect is the same number, before rounding
        exact = np.asarray(stored[name], dtype=np.float64)
        table[name] = (exact[..., :-1] if by_unit else exact[..., -1]).ravel()
    if "statistics" in entry:
        words = np.where(table["effect"] > 0, "more in ", "less in ")
        table.insert(list(table).index("effect") + 1, "direction", words + table["group"].astype(str))
    return table
