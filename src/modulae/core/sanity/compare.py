"""An explanation, and the same from networks that know nothing or learnt it from another start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.inference.encode import encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.scores.activity import activity_differences, pooled_mean
from modulae.core.scores.correlation import column_correlation, match_units, rank_correlation
from modulae.core.scores.impact import aggregate_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.network import Method, Network
    from modulae.core.scores.impact import Aggregate, Difference


@dataclass(frozen=True, slots=True)
class ExplanationSpec:
    """What is explained, and how."""

    sets: Sequence[NDArray[np.intp]]  # positions of the genes of each set
    members: NDArray[np.bool_]  # groups × cells; no rows where no groups are compared
    reference_members: NDArray[np.bool_]  # groups × cells
    method: Method
    signed: bool
    aggregate: Aggregate
    batch_size: int
    device: str
    difference: Difference = "activity"  # what of two groups is compared


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one network says about the cells."""

    activity: NDArray[np.float32]  # cells × units
    saliency: NDArray[np.float32]  # genes × units, a mean over the cells
    impact: NDArray[np.float64]  # (1 + groups) × sets × units: over all cells; group against reference

    def effect(self) -> NDArray[np.float64]:
        """(1 + groups) × sets: summed over units, with its sign."""
        return np.asarray(self.impact.sum(axis=-1))

    def strength(self) -> NDArray[np.float64]:
        """(1 + groups) × sets: root mean square over units, whatever the sign of each."""
        return np.asarray(np.sqrt((self.impact**2).mean(axis=-1)))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank correlations of an explanation with the same of a control."""

    units: NDArray[np.float64]  # units, over genes
    partner: NDArray[np.intp]  # units: the unit of the control it was compared with; −1 where there are none
    activity: NDArray[np.float64]  # units: r of the two over the cells
    effect: NDArray[np.float64]  # 1 + groups, over sets
    strength: NDArray[np.float64]  # 1 + groups, over sets


def explain(network: Network, cells: Cells, spec: ExplanationSpec) -> Explanation:
    """Read a network's explanation from the cells."""
    n = len(spec.members)
    everyone = np.ones((1, len(cells)), dtype=bool)
    saliency = mean_saliency(
        network,
        cells,
        method=spec.method,
        signed=spec.signed,
        membership=np.concatenate([everyone, spec.members, spec.reference_members]),
        batch_size=spec.batch_size,
        device=spec.device,
    )
    activity = encode(network, cells, device=spec.device)
    values = aggregate_sets(saliency, spec.sets, aggregate=spec.aggregate)
    if n == 0:
        return Explanation(activity, saliency[0], values)
    if spec.difference == "saliency":
        compared = values[1 : 1 + n] - values[1 + n :]
    else:
        sides = spec.members, spec.reference_members
        pooled = aggregate_sets(
            pooled_mean(saliency[1 : 1 + n], saliency[1 + n :], *sides), spec.sets, aggregate=spec.aggregate
        )
        compared = pooled * activity_differences(activity, *sides)[:, None, :]
    return Explanation(activity, saliency[0], np.concatenate([values[:1], compared]))


def compare(own: Explanation, other: Explanation, *, same_units: bool, signed: bool) -> Agreement:
    """Hold one explanation against another.

    Parameters
    ----------
    own, other
        Both of the same cells.
    same_units
        Unit k is unit k, as in the network that training started from; otherwise units are paired by their activity.
    signed
        The saliency has a sign, which turns where the paired unit's activity runs the other way.
    """
    if same_units:
        partner = np.arange(own.saliency.shape[1])
        activity = column_correlation(own.activity, other.activity)
        sign = np.ones(len(partner))
    else:
        partner, activity = match_units(own.activity, other.activity)
        sign = np.where(activity < 0, -1.0, 1.0) if signed else np.ones(len(partner))
    return Agreement(
        rank_correlation(own.saliency, other.saliency[:, partner] * sign.astype(np.float32)),
        partner,
        activity,
        rank_correlation(own.effect().T, other.effect().T),
        rank_correlation(own.strength().T, other.strength().T),
    )


def compare_with_expression(own: Explanation, cells: Cells, spec: ExplanationSpec) -> Agreement:
    """Hold an explanation against no model at all: the mean input of each gene, and its difference between groups."""
    inputs, n = cells.sparse_inputs(), len(spec.members)
    everyone = np.ones((1, len(cells)), dtype=bool)
    sides = np.concatenate([everyone, spec.members, spec.reference_members]).astype(np.float32)
    means = np.asarray((inputs.T @ sides.T).T) / np.maximum(sides.sum(axis=1, keepdims=True), 1)  # sides × genes
    values = aggregate_sets(means[:, :, None], spec.sets, aggregate=spec.aggregate)[..., 0]
    effect = np.concatenate([values[:1], values[1 : 1 + n] - values[1 + n :]])
    n_units = own.saliency.shape[1]
    return Agreement(
        rank_correlation(own.saliency, np.repeat(means[0][:, None], n_units, axis=1)),
        np.full(n_units, -1),
        np.zeros(n_units),
        rank_correlation(own.effect().T, effect.T),
        rank_correlation(own.strength().T, np.abs(effect).T),
    )
