"""Sets × units: which pathways move which units, and where two groups differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.groups import Contrast, plan_groups
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, Bounds, match_sets
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.write_model import result_name
from modulae.core.inference.saliency import check_method, mean_saliency
from modulae.core.scores.impact import (
    Difference,
    aggregate_sets,
    check_aggregate,
    check_difference,
    scale_difference,
    scale_strength,
)

from .plan import Null, check_sides, plan_test
from .statistics import SaliencyReading, compare_groups, gene_differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

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
    method: Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"] = "gradient",
    signed: bool = True,
    aggregate: Literal["mean", "median"] = "mean",
    difference: Difference = "activity",
    scale: Literal["all", "set"] = "all",
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
    """Sum the saliencies of the genes of each set: its impact on each unit.

    Without `groupby`, the impact over all cells, min–max scaled to [0, 1] (Kinalis et al. 2019, Methods). With it, what
    moves the representation from the reference to the group: the impact on each unit, times the difference in the
    activity of that unit, in standard deviations; divided by the largest absolute value, so in [−1, 1]. The paper's own
    numbers, impact(group) − impact(reference), are `method="guided", signed=False, difference="saliency"`; the authors'
    scripts add `aggregate="median", scale="set"`.

    A comparison is tested, by default with two nulls of which the larger p counts: the labels of the cells permuted
    (is there a difference between these groups?) and the genes of the set exchanged for genes of the same expression
    and detection (is it more than any such genes would show?). Either alone is fooled: the first by highly expressed
    sets, the second by chance differences. Cells are not replicates: such a p speaks of these cells, not of the
    population they were drawn from. Where there are donors, name them in `donor_key`.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    {min_genes}
    {min_share}
    groupby
        `obs` column with the groups to compare; all cells together if `None`.
    groups
        Groups to compare with the reference; all of them if `None`.
    reference
        `"rest"` (all labelled cells outside the group) or the name of a group.
    method
        Which saliency, see :func:`modulae.tl.saliency`.
    signed
        Keep the sign of the saliency when averaging over cells and genes. Over all cells the impact is the strength
        `abs(value)` either way; the sign stays in the unscaled values.
    aggregate
        `"mean"` (the paper) or `"median"` (the authors' scripts) over the genes of a set.
    difference
        What of two groups is compared. `"activity"`: the activity of the units, each weighted with the impact of the
        set on it over the cells of both sides. Positive: more of the set's genes moves a cell towards the group,
        because they raise a unit that is more active there, or turn one down that is less active there. Summed over
        units this is the gradient along the direction in which the groups differ. `"saliency"` (the paper): the impact
        itself, on the cells of either side. Positive: the genes of the set raise the unit more in the group.
    scale
        Scale the impact of all cells over the whole table (`"all"`, the paper) or each set over its units (`"set"`, the
        scripts).
    null
        How a comparison is tested: `"matched+cells"`, `"matched"` (other genes only), `"cells"` (other labels only), or
        `None` (no p-values). There are none without `groupby`, nor with `aggregate="median"`.
    n_permutations
        Permutations of either null; the smallest p is 1 / (n + 1).
    donor_key
        `obs` column with the donor of each cell. Donors are then what is replicated: their means are compared, and
        their labels are permuted (or, where a donor has cells on both sides, signs of its difference flipped). Cells
        without a donor are left out of the test. Every side needs two donors.
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
    `None`, or the changed copy if `copy=True`. Sets the following field, to be read with :func:`modulae.get.impact` and
    :func:`modulae.get.impact_table`:

    `adata.uns[f'{key}_impact']` or `adata.uns[f'{key}_impact_{groupby}']` : `dict`
        `"sets"`, `"n_genes"` and `"share_found"` (sets): names, how many of each set's genes the model has, and the
        share of them that `adata` has. `"left_out"`: names of the sets of which too little is there. `"all"` and
        `"all_unscaled"` (sets × units, `float32`): the impact over all cells. With `groupby` also `"groups"`,
        `"references"`, `"n_cells"` (groups), `"impact"` and `"unscaled"` (groups × sets × units, `float32`): the
        differences between the groups; `"within"` and `"within_unscaled"` (same shape): the impact over each group's
        own cells, on one scale with `"all"`; `"statistics"` (`dict` of groups × sets × (units + 1), `float32`, the last
        for the sum over units): `effect`, `se` (Welch over cells, or over donors; NaN where a side has one cell), `p`
        (two-sided; 1 where the two nulls disagree about the direction), `q` (Benjamini–Hochberg over groups and sets,
        and units), `p_cells`, `p_matched`, `null_mean` (of the matched sets), with donors `effect_lowest` and
        `effect_highest` (with one donor left out). And how it was made: `of_model`, `min_genes`, `min_share`, `method`,
        `signed`, `aggregate`, `scale`, `difference`, `groupby`, `reference`, `null`, `n_permutations`, `donor_key`,
        `stratify_by`, `seed`.

    Raises
    ------
    KeyError
        No such model, layer, `obs` column or group.
    ValueError
        Too little of every set is there, a group has nothing to be compared with, or too few donors; or
        groups, donors or strata where nothing is compared or tested.

    Warns
    -----
    UserWarning
        Sets are left out, with the reason where it is a known one. Strata in which no label can be permuted, because
        none of them has cells of both sides: then p is 1.
    """
    name = result_name(adata, key_added, Fields(key).impact(groupby), "pathway_impact")
    check_method(method)
    check_aggregate(aggregate, scale)
    check_difference(difference)
    fitted = read_model(adata, key)
    sets = match_sets(adata, gene_sets, fitted.genes, Bounds(min_genes, min_share))
    tested = null if groupby is not None and aggregate == "mean" else None
    asked: dict[str, Any] = {"n_permutations": n_permutations, "donor_key": donor_key, "stratify_by": stratify_by}
    test = plan_test(adata, tested, **asked, seed=seed)
    plan = plan_groups(adata, groupby, groups=groups, reference=reference)
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
        result = _overall(levels[0], scale)
    else:
        reading = SaliencyReading(method, signed, batch_size, device, difference)
        compared = gene_differences(fitted, cells, plan, saliency[1:], reading)
        result = _compared(levels, _differences(levels, compared, sets.positions, aggregate), plan, scale)
        result["difference"] = difference
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
        "scale": scale,
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
