"""Standard errors and p-values of the differences in impact between groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.inference.encode import encode
from modulae.core.scores.activity import activity_differences, activity_values, per_set_statistics, pooled_mean
from modulae.core.scores.expression_bins import expression_bins, expression_of
from modulae.core.scores.impact import aggregate_sets
from modulae.core.scores.set_values import SetValues, set_indicator
from modulae.core.statistics.differences.donors import compare_donors
from modulae.core.statistics.multiple_tests import false_discovery_rates
from modulae.core.statistics.permutation import compare_cells, matched_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast
    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted
    from modulae.core.model.network import Method
    from modulae.core.scores.impact import Difference

    from .plan import Null, Test


OVER_DONORS = ("effect", "se", "p_exact", "effect_lowest", "effect_highest")
"""What is kept of a comparison over donors as it is called there."""


@dataclass(frozen=True, slots=True)
class SaliencyReading:
    """How the saliency is read, see :func:`.mean_saliency`, and what of it is compared."""

    method: Method
    signed: bool
    batch_size: int
    device: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sides of every comparison, as genes."""

    genes: NDArray[np.float64]  # groups × genes × units: the difference as each gene carries it
    pooled: NDArray[np.float64]  # groups × genes × units: the mean saliency of the cells of both sides
    activity: NDArray[np.float32] | None  # cells × units; `None` where saliencies are compared


def gene_differences(
    fitted: Fitted, cells: Source, plan: Contrast, saliency: NDArray[np.float32], reading: SaliencyReading
) -> Compared:
    """What each gene carries of the difference between group and reference, for each unit.

    `difference="activity"`: the saliency of the unit to the gene, averaged over the cells of both sides, times the
    difference in the activity of the unit in standard deviations. Summed over units it is the gradient along the
    direction in which the sides differ. `"saliency"`: the difference in saliency.

    Parameters
    ----------
    fitted, cells, plan, reading
        As in :func:`compare_groups`.
    saliency
        2 · groups × genes × units: the mean saliency of the groups, then of their references.
    """
    groups, references = np.split(saliency.astype(np.float64), 2)
    pooled = pooled_mean(groups, references, plan.members, plan.reference_members)
    if reading.difference == "saliency":
        return Compared(groups - references, pooled, None)
    activity = encode(fitted.network, cells, batch_size=reading.batch_size, device=reading.device)
    along = activity_differences(activity, plan.members, plan.reference_members)
    return Compared(pooled * along[:, None, :], pooled, activity)


def compare_groups(
    fitted: Fitted,
    cells: Source,
    plan: Contrast,
    *,
    compared: Compared,
    sets: list[NDArray[np.intp]],
    test: Test,
    reading: SaliencyReading,
) -> dict[str, NDArray[np.float32]]:
    """Statistics of every group against its reference.

    Parameters
    ----------
    fitted, cells
        The model and the cells as it reads them.
    plan
        Which groups.
    compared
        What is compared, from :func:`gene_differences`.
    sets
        Positions of the genes of each set.
    test
        How to test.
    reading
        How to read the saliency.

    Returns
    -------
    groups × sets × (units + 1), the last for the sum over units: `effect`, `se`, `p`, `q`, and, as far as they were
    asked for, `p_cells`, `p_matched`, `null_mean`; with donors, not `p_cells` but `p_donors`, `p_exact`,
    `effect_lowest` and `effect_highest`.
    """
    indicator = set_indicator(sets, len(fitted.genes))
    # how strongly a gene is read depends on all the cells the model saw, not only on those compared
    bins = expression_bins(*expression_of(cells))
    found: dict[str, list[NDArray[np.float64]]] = {}
    for index in range(len(plan.groups)):
        rng = np.random.default_rng([test.seed, index])
        used = np.flatnonzero(plan.members[index] | plan.reference_members[index])
        sides = plan.members[index][used], plan.reference_members[index][used]
        if compared.activity is None:
            how = reading.method, reading.signed, reading.batch_size, reading.device
            saliencies = SetValues(fitted.network, cells.take(used), indicator, *how)
            result = _over_cells(saliencies, *sides, test.among(used), rng, lenders=0)
            result = {name: statistic.reshape(len(sets), -1) for name, statistic in result.items()}
        else:
            set_saliency = aggregate_sets(compared.pooled[index], sets)
            activities = activity_values(compared.activity[used], set_saliency)
            result = _over_cells(activities, *sides, test.among(used), rng, lenders=compared.activity.shape[1])
            result = per_set_statistics(result, set_saliency)
        if test.null != "cells":
            difference = np.column_stack([compared.genes[index], compared.genes[index].sum(axis=1)])
            p, centre = matched_sets(difference, indicator, bins, n_permutations=test.n_permutations, rng=rng)
            result |= {"p_matched": p, "null_mean": centre}
        result["p"] = _together(result, test.null)
        for name, statistic in result.items():
            found.setdefault(name, []).append(statistic)
    stacked = {name: np.stack(statistics) for name, statistics in found.items()}
    of_units, of_sums = stacked["p"][..., :-1], stacked["p"][..., -1:]  # each over all groups and sets
    stacked["q"] = np.concatenate([false_discovery_rates(of_units), false_discovery_rates(of_sums)], axis=-1)
    return {name: statistic.astype(np.float32) for name, statistic in stacked.items()}


def _over_cells(
    values: Iterable[tuple[slice, NDArray[np.floating]]],
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    test: Test,
    rng: np.random.Generator,
    *,
    lenders: int,
) -> dict[str, NDArray[np.float64]]:
    if test.donors is not None:
        how: dict[str, Any] = {"lenders": lenders, "n_permutations": test.n_permutations, "rng": rng}
        over = compare_donors(values, group, reference, test.donors, **how)
        return {"p_donors": over["p"]} | {name: over[name] for name in OVER_DONORS}
    n_permutations = 1 if test.null == "matched" else test.n_permutations
    cells = compare_cells(values, group, reference, n_permutations=n_permutations, rng=rng, strata=test.strata)
    result = {"effect": cells.effect, "se": cells.standard_error}
    return result if test.null == "matched" else {**result, "p_cells": cells.p}


def _together(result: dict[str, NDArray[np.float64]], null: Null | None) -> NDArray[np.float64]:
    """The larger p; 1 where the two nulls disagree about the direction."""
    if null == "matched":
        return result["p_matched"]
    over = result["p_donors"] if "p_donors" in result else result["p_cells"]
    if null == "cells":
        return over
    larger = np.maximum(over, result["p_matched"])
    agree = np.sign(result["effect"]) == np.sign(result["effect"] - result["null_mean"])
    return np.where(agree, larger, 1.0)
