"""Sets × units: which pathways move which units, and where two groups differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.groups import Contrast, large_enough, plan_groups
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, Bounds, match_sets
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.write_model import result_name
from modulae.core.checks import check_integer
from modulae.core.inference.saliency import mean_saliency
from modulae.core.scores.explanation import resolve_explanation
from modulae.core.scores.impact import aggregate_sets, scale_difference, scale_strength

from .plan import Null, check_sides, plan_test
from .statistics import SaliencyReading, compare_groups, gene_differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.scores.explanation import ExplanationSettings

    from .statistics import Compared


@public
def pathway_impact(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path,
    *,
    key: str = DEFAULT_KEY,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    groupby: str | None = None,
    groups: Sequence[str] | None = None,
    reference: str = "rest",
    min_cells: int = 10,
    explanation: ExplanationSettings | None = None,
    null: Null | None = "matched+cells",
    n_permutations: int = 1000,
    donor_key: str | None = None,
    stratify_by: str | None = None,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Average the saliencies of the genes of each set: the impact of the set on each unit.

    Without `groupby`, the impact over all cells, min–max scaled to [0, 1] (Kinalis et al. 2019 [1]_). With it, what
    moves the representation from the reference to the group: the impact on each unit, times the difference in the
    activity of that unit, scaled to [−1, 1]. :doc:`/method/method` has the formulas, and the paper's own settings.

    A comparison is tested against two nulls, and the larger p-value counts: the labels of the cells are permuted, and
    the genes of the set are exchanged for genes of the same expression. Cells are not replicates: such a p-value speaks
    of these cells, not of the population they were drawn from. Where there are donors, name them in `donor_key`.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    {min_genes}
    {min_share}
    {groupby}
    {groups}
    {reference}
    {min_cells_of_groups}
    {explanation}
    null
        How a comparison is tested: `"matched+cells"`, `"matched"` (other genes only), `"cells"` (permuted labels only),
        or `None` (no p-values). There are none without `groupby`, nor with medians (`aggregate`).
    n_permutations
        Permutations of either null, and of donors for `p_exact`. Where fewer than ten of them are as far out, p comes
        from the tail of all of them, down to 1 / (n + 1)²; with fewer than 500 the smallest p is 1 / (n + 1).
    donor_key
        `obs` column with the donor of each cell. Donors are then the replicates: their means are compared as in
        :func:`modulae.tl.rank_units`, by a t-test instead of permuted cells, in pairs where donors have cells on both
        sides. Cells without a donor are left out of the test. Every side needs two donors.
    stratify_by
        `obs` column; labels of cells are permuted within its categories only, such as cell types or batches; cells
        without one among themselves.
    {seed}
    {model_layer}
    {batch_size_inference}
    {device}
    key_added
        Name of the result; `f"{key}_impact"`, with `f"_{groupby}"` after it, if `None`.
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[f'{key}_impact']`, with `groupby` `adata.uns[f'{key}_impact_{groupby}']` : `dict`
        {set_entries}
        - `"all"`, `"all_unscaled"` (`float32`, sets × units): the impact over all cells.
        - `of_model` and the settings.

        With `groupby` also

        - `"groups"`, `"references"` (`object`, groups): what is compared with what.
        - `"n_cells"` (integers, groups): cells of each group; `"groups_left_out"` (`object`): those that are too small.
        - `"impact"`, `"unscaled"` (`float32`, groups × sets × units): the differences between the groups.
        - `"within"`, `"within_unscaled"` (the same): the impact over each group's own cells, on one scale with `"all"`.
        - `"statistics"` (`dict` of `float32`, groups × sets × (units + 1), the last for the sum over units): `effect`;
          `se` (Welch's over cells, NaN where a side has one; or over donors); `p` (two-sided; 1 where the two nulls
          disagree about the direction); `q` (Benjamini–Hochberg over groups and sets, and units); `p_cells`, or with
          donors `p_donors`; `p_matched`; `null_mean` (of the matched sets). With donors `p_exact` (permuted donors,
          which can't say less than one in the number of ways), `effect_lowest`, `effect_highest` (without one donor).

    Raises
    ------
    KeyError
        No such model, layer, `obs` column or group.
    ValueError
        Too little of every set is there; nothing can be compared; too few donors; or groups, donors or strata are given
        where nothing is compared or tested.

    Warns
    -----
    {sets_left_out}
        Groups are too small. No stratum has cells of both sides: then p is 1. Or there are so few cells or permutations
        that no `q` reaches 0.05 whatever the data.

    See Also
    --------
    modulae.get.impact : Sets × units.
    modulae.get.impact_table : A tidy table, with p-values.
    modulae.pl.impact : The result as a picture.
    modulae.pl.impact_groups : All groups side by side.
    modulae.tl.sanity : Whether such an explanation is better than its controls.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> gene_sets = mo.datasets.immune_signatures()
    >>> mo.tl.pathway_impact(adata, gene_sets)
    >>> mo.get.impact(adata).shape
    (20, 32)
    >>> mo.tl.pathway_impact(adata, gene_sets, groupby="phase", n_permutations=20)
    >>> adata.uns["ae_impact_phase"]["impact"].shape
    (3, 20, 32)
    """
    name = result_name(adata, key_added, Fields(key).impact(groupby), "pathway_impact")
    check_integer("min_cells", min_cells, minimum=1)
    how = resolve_explanation(explanation)
    method, signed, aggregate = how["method"], how["signed"], how["aggregate"]
    fitted = read_model(adata, key)
    sets = match_sets(adata, gene_sets, fitted.genes, Bounds(min_genes, min_share))
    tested = null if groupby is not None and aggregate == "mean" else None
    asked: dict[str, Any] = {"n_permutations": n_permutations, "donor_key": donor_key, "stratify_by": stratify_by}
    test = plan_test(adata, tested, **asked, seed=seed)
    plan = plan_groups(adata, groupby, groups=groups, reference=reference)
    plan, left_out = large_enough(plan, 1 if test.null is None else min_cells)
    check_sides(test, plan)
    layer = counts_layer(adata, key, layer)
    cells = read_cells(adata, fitted, layer=layer, spread=True)
    everyone = np.ones((1, len(cells)), dtype=bool)
    saliency = mean_saliency(
        fitted.network,
        cells,
        method=method,
        signed=signed,
        membership=everyone if plan is None else np.concatenate([everyone, plan.members, plan.reference_members]),
        batch_size=batch_size,
        device=device,
    )
    levels = aggregate_sets(saliency, sets.positions, aggregate=aggregate)  # (1 + 2 · groups) × sets × units
    if plan is None:
        result = _overall(levels[0], how["scale"])
    else:
        reading = SaliencyReading(method, signed, batch_size, device, how["difference"])
        compared = gene_differences(fitted, cells, plan, saliency[1:], reading)
        result = _compared(levels, _differences(levels, compared, sets.positions, aggregate), plan, how["scale"])
        result |= {"difference": how["difference"], "min_cells": min_cells, "groups_left_out": left_out}
        if test.null is not None:
            result["statistics"] = compare_groups(
                fitted, cells, plan, compared=compared, sets=sets.positions, test=test, reading=reading
            )
            result |= {"null": null, "seed": seed, **asked}

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "method": method,
        "signed": signed,
        "aggregate": aggregate,
        "scale": how["scale"],
        "groupby": groupby,
        **sets.stored(),
        **result,
    }
    return adata if copy else None


def _differences(
    levels: NDArray[np.float64], compared: Compared, sets: list[NDArray[np.intp]], aggregate: Literal["mean", "median"]
) -> NDArray[np.float64]:
    """Groups × sets × units. A median of differences is no difference of medians, so saliencies are summed up first."""
    if compared.activity is None:
        groups, references = np.split(levels[1:], 2)
        return np.asarray(groups - references)
    return aggregate_sets(compared.genes, sets, aggregate=aggregate)


def _overall(values: NDArray[np.float64], scale: Literal["all", "set"]) -> dict[str, Any]:
    return {"all": scale_strength(values, scale=scale).astype(np.float32), "all_unscaled": values.astype(np.float32)}


def _compared(
    levels: NDArray[np.float64], differences: NDArray[np.float64], plan: Contrast, scale: Literal["all", "set"]
) -> dict[str, Any]:
    """What is stored of a comparison; `levels` are the impacts over all cells, each group, and each reference."""
    levels = levels[: 1 + len(plan.groups)]
    n_levels, n_sets, n_units = levels.shape
    per_set_statistics = levels.swapaxes(0, 1).reshape(n_sets, -1)  # sets × (levels and units)
    strengths = scale_strength(per_set_statistics, scale=scale).reshape(n_sets, n_levels, n_units).swapaxes(0, 1)
    return {
        "reference": plan.reference,
        "groups": np.array(plan.groups, dtype=object),
        "references": np.array(plan.references, dtype=object),
        "n_cells": plan.members.sum(axis=1),
        "impact": scale_difference(differences).astype(np.float32),
        "unscaled": differences.astype(np.float32),
        "within": strengths[1:].astype(np.float32),
        "within_unscaled": levels[1:].astype(np.float32),
        "all": strengths[0].astype(np.float32),
        "all_unscaled": levels[0].astype(np.float32),
    }
