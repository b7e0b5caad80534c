"""Which units differ, as a tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.columns.labels import written
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import RANKS, unit_names
from modulae._adata.stored.unit_labels import name_column

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

BEFORE = (
    *("effect", "ci_low", "ci_high", "mean", "mean_reference", "share_on", "share_on_reference"),
    *("effect_from_more_cells", "effect_from_more_in_cells", "auc"),
)
COUNTS = ("n_cells", "n_cells_reference", "n_donors", "n_donors_reference", "paired", "n_guides")
AFTER = ("n_guides_agreeing", "n_donors_agreeing", "effect_lowest", "effect_highest", "p_cells", "p_exact")


@public
def rank_units(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, group: str | None = None
) -> pd.DataFrame:
    """Which programmes differ between groups of cells, where, and in how many donors, as a tidy table.

    The surest differences come first: the smallest q, of these the largest effect. To read one cell type after the
    other, sort by it: `table.sort_values("within", kind="stable")`.

    Parameters
    ----------
    {adata}
    {key}
    result
        Name of the result, such as `"ae_rank_condition"` or what was given as `key_added`. There is no need to name the
        only one.
    group
        One of the groups that were compared; all of them if `None`.

    Returns
    -------
    One row for each comparison and unit, the smallest q first.

    `within` : text
        The category; "all cells" where there are none.
    `unit`, `name` : text
        "0", "1", …; and its name, NaN before :func:`modulae.tl.unit_summary` and for units without one.
    `group`, `reference` : text
        What is compared with what.
    `target_gene` : text, with target genes
        The gene that the group lost or gained, without which the unit is read, or several with commas between them; ""
        where there is none.
    `effect`, `ci_low`, `ci_high` : `float64`
        The difference of the means with its 95 % confidence interval, in standard deviations of the unit over all cells
        that were compared, whatever their category: so an effect means the same in each. Over donors where there are
        donors.
    `mean`, `mean_reference` : `float64`
        Mean activity over the cells of each side.
    `share_on`, `share_on_reference`, `effect_from_more_cells`, `effect_from_more_in_cells` : `float64`
        Share of the cells in which the unit is on, of those in which it is decided (:func:`modulae.tl.call_units`); and
        how much of the difference of their means, in the same standard deviations, is more cells that are on, and more
        activity in those. NaN where no calls were made, and where less than half of the cells of a side are decided.
    `auc` : `float64`
        How often a cell of the group has more of the unit than one of the reference; a tie counts half.
    `n_cells`, `n_cells_reference` : integers
        Cells of each side.
    `n_donors`, `n_donors_reference` : integers, with donors
        Donors of each side.
    `paired` : `bool`, with donors
        Whether the donors of both sides are the same.
    `n_guides` : integers, with target genes
        Groups with the same target gene in this category.
    `n_guides_agreeing` : `float64`, with target genes
        How many of them have an effect in the same direction, with a confidence interval that excludes 0.
    `n_donors_agreeing` : `float64`, with donors
        How many of `n_donors` differ in the direction of the effect: within the donor where donors are paired,
        otherwise from the mean of the reference's donors.
    `effect_lowest`, `effect_highest` : `float64`, with donors
        The smallest and the largest effect when any one donor is left out.
    `p_cells`, `p_exact` : `float64`, with donors
        p-values as if cells were replicates, and from permuted donors (or flipped signs of pairs). The latter cannot be
        smaller than 1 divided by the number of permutations. NaN with covariates.
    `over` : text
        What the replicates are: "cells" or "donors".
    `p`, `q` : `float64`
        Two-sided; and the false discovery rate over the whole table (Benjamini–Hochberg).

    Raises
    ------
    KeyError
        No such result or group.

    See Also
    --------
    modulae.tl.rank_units : Computes this result.
    modulae.pl.rank_units : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.rank_units(adata, "phase")
    >>> mo.get.rank_units(adata, group="G1").columns.tolist()[:8]
    ['within', 'unit', 'name', 'group', 'reference', 'effect', 'ci_low', 'ci_high']
    """
    found = RANKS.find(adata, key=key, result=result)
    if group is not None:
        found.group_position(group)  # raises
    entry, statistics = found.entry, found.entry["statistics"]
    n_comparisons, n_units = np.shape(statistics["p"])
    each = np.repeat(np.arange(n_comparisons), n_units)
    texts = {
        name: np.array([str(one) for one in entry[stored]], dtype=object)[each]
        for name, stored in (("within", "categories"), ("group", "groups"), ("reference", "references"))
    }
    numbers = {name: np.asarray(array, dtype=np.float64).ravel() for name, array in statistics.items()}
    table = pd.DataFrame(
        {
            "within": texts["within"],
            "unit": np.tile(np.array(unit_names(n_units), dtype=object), n_comparisons),
            "name": np.tile(name_column(adata, found.key, unit_names(n_units)), n_comparisons),
            "group": texts["group"],
            "reference": texts["reference"],
            **_targets(entry, each),
            **{name: numbers[name] for name in BEFORE},
            **{name: np.asarray(entry[name])[each] for name in COUNTS if name in entry},
            **{name: numbers[name] for name in AFTER if name in numbers},
            "over": np.array([str(entry["over"])] * len(each), dtype=object),
            **{name: numbers[name] for name in ("p", "q")},
        }
    )
    table = table.sort_values(["q", "effect"], key=lambda column: -column.abs() if column.name == "effect" else column)
    table = table if group is None else table[table["group"] == written(group)]
    return table.reset_index(drop=True)


def _targets(entry: dict[str, Any], each: NDArray[np.intp]) -> dict[str, NDArray[np.object_]]:
    if "target_genes" not in entry:
        return {}
    return {"target_gene": np.array([str(gene) for gene in entry["target_genes"]], dtype=object)[each]}
