"""Whether an explanation is better than its controls, by what rule, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .controls import EXPRESSION, LAST_LAYER, SEEDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .compare import Agreement
    from .controls import Control

MARGIN = 0.1
"""An explanation has to agree with other seeds by more than this above its best control."""

RETURNS, PARTLY = 0.7, 0.4
"""Agreement from which an explanation is said to come back, or to come back in part."""

SAME_UNIT = 0.9
"""Correlation over the cells from which two units are called the same."""

MIN_SETS = 5
"""Below it a rank correlation over sets says nothing."""


LEVELS = {
    "units": "the genes of each unit",
    "sets": "the sets over all cells, summed over units",
    "set strength": "the strength of the sets over all cells",
    "groups": "the sets between groups, summed over units",
    "group strength": "the strength of the sets between groups",
}
"""What agreement is measured of."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Every level in turn: its agreement with each control, and how it is judged."""

    names: list[str]
    agreement: NDArray[np.float64]  # levels × controls
    seeds: NDArray[np.float64]  # levels: mean over other seeds
    control: NDArray[np.float64]  # levels: the best kind of control
    control_kind: list[str]  # levels: which
    passed: NDArray[np.bool_]  # levels


def better(seeds: NDArray[np.float64], control: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The rule: clearly above the best control, which itself does not say the same."""
    return np.asarray((seeds - control > MARGIN) & (control < RETURNS))


def judge(controls: Sequence[Control], agreements: Sequence[Agreement]) -> Levels:
    """Hold the agreement with other seeds against that with the controls, level by level.

    At the level of units every network counts. Sums over units do not ask which units there are, and a network with a
    redrawn last layer keeps what the first has learnt: there it is reported, not counted. Nor is expression alone
    counted: it is no control of the network, and a true explanation may well follow it.
    """
    compared = len(agreements[0].effect) > 1
    rows = [[float(np.median(result.units)) for result in agreements]]
    for index in (slice(0, 1), slice(1, None)) if compared else (slice(0, 1),):
        rows.append([float(np.median(result.effect[index])) for result in agreements])
        rows.append([float(np.median(result.strength[index])) for result in agreements])
    names, agreement = list(LEVELS)[: len(rows)], np.array(rows)
    by_kind = _by_kind(controls, agreement)
    seeds = by_kind.pop(SEEDS)
    last_layer = by_kind.pop(LAST_LAYER)
    by_kind.pop(EXPRESSION, None)
    kinds, values = list(by_kind), np.stack(list(by_kind.values()))
    best = values.argmax(axis=0)
    control, kind = values.max(axis=0), [kinds[index] for index in best]
    if last_layer[0] > control[0]:
        control[0], kind[0] = last_layer[0], LAST_LAYER
    passed = better(seeds, control)
    for level, what in ((3, "effect"), (4, "strength")) if compared else ():
        passed[level] &= bool(groups_passed(controls, agreements, what).mean() >= 0.5)
    return Levels(names, agreement, seeds, control, kind, passed)


def groups_passed(controls: Sequence[Control], agreements: Sequence[Agreement], what: str) -> NDArray[np.bool_]:
    """Whether each group passes by itself, by its `"effect"` or its `"strength"`."""
    values = np.stack([getattr(result, what)[1:] for result in agreements], axis=-1)  # groups × controls
    by_kind = _by_kind(controls, values)
    seeds = by_kind.pop(SEEDS)
    by_kind.pop(LAST_LAYER)
    by_kind.pop(EXPRESSION, None)
    return better(seeds, np.max(list(by_kind.values()), axis=0))


def _by_kind(controls: Sequence[Control], values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Means over the controls of each kind; `values` is … × controls."""
    kinds = np.array([control.kind for control in controls])
    return {str(kind): values[..., kinds == kind].mean(axis=-1) for kind in dict.fromkeys(kinds)}
