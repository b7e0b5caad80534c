"""Whether an explanation is better than its controls, by what rule, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae._genes.gene_sets import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.tl._sanity.controls import Found

    from .compare import Agreement
    from .controls import Control

MARGIN = 0.1
"""An explanation has to agree with other seeds by more than this above its best control."""

RETURNS, PARTLY = 0.7, 0.4
"""Agreement from which an explanation is said to come back, or to come back in part."""

SAME_UNIT = 0.9
"""Correlation over the cells from which two units are called the same."""

FEWEST_SETS = 5
"""Below it a rank correlation over sets says nothing."""

SEEDS, LAST_LAYER, EXPRESSION = "other seeds", "last layer redrawn", "expression alone"

MEANING = {
    "untrained, same start": "much of it was there before training",
    "untrained, other start": "a network that has learnt nothing says the same",
    "shuffled counts": "a network that never saw two genes go together says the same",
    LAST_LAYER: "any other units say the same",
}
"""What it means that a control agrees as much."""

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
    rows = [[float(np.median(found.units)) for found in agreements]]
    for at in (slice(0, 1), slice(1, None)) if compared else (slice(0, 1),):
        rows.append([float(np.median(found.effect[at])) for found in agreements])
        rows.append([float(np.median(found.strength[at])) for found in agreements])
    names, agreement = list(LEVELS)[: len(rows)], np.array(rows)
    by_kind = _by_kind(controls, agreement)
    seeds = by_kind.pop(SEEDS)
    last_layer = by_kind.pop(LAST_LAYER)
    by_kind.pop(EXPRESSION, None)
    kinds, values = list(by_kind), np.stack(list(by_kind.values()))
    best = values.argmax(axis=0)
    control, kind = values.max(axis=0), [kinds[at] for at in best]
    if last_layer[0] > control[0]:
        control[0], kind[0] = last_layer[0], LAST_LAYER
    passed = better(seeds, control)
    for level, what in ((3, "effect"), (4, "strength")) if compared else ():
        passed[level] &= bool(groups_passed(controls, agreements, what).mean() >= 0.5)
    return Levels(names, agreement, seeds, control, kind, passed)


def groups_passed(controls: Sequence[Control], agreements: Sequence[Agreement], what: str) -> NDArray[np.bool_]:
    """Whether each group passes by itself, by its `"effect"` or its `"strength"`."""
    values = np.stack([getattr(found, what)[1:] for found in agreements], axis=-1)  # groups × controls
    by_kind = _by_kind(controls, values)
    seeds = by_kind.pop(SEEDS)
    by_kind.pop(LAST_LAYER)
    by_kind.pop(EXPRESSION, None)
    return better(seeds, np.max(list(by_kind.values()), axis=0))


def in_words(levels: Levels, found: Found, *, groups: Sequence[str]) -> list[str]:
    """One plain sentence or two a level, and one for the deletions."""
    sentences = [_level_words(levels, at) for at in range(len(levels.names))]
    r = np.abs(found.by_seeds("activity")).mean(axis=1)
    sentences[0] += (
        f" {int((r > SAME_UNIT).sum())} of {len(r)} units are active in the same cells with another seed "
        f"(|r| > {SAME_UNIT})."
    )
    if groups:
        passed = groups_passed(found.controls, found.agreements, "effect")
        weak = [name for name, ok in zip(groups, passed, strict=True) if not ok]
        if weak and len(groups) > 1:
            sentences[3] += f" {len(weak)} of {len(groups)} groups are no better by themselves: {listed(weak)}."
        sentences[3] += _notes(levels, _by_kind(found.controls, levels.agreement))
    deletion = found.deletion
    sentences.append(
        f"deletion: {int((deletion.beaten() == 1).sum())} of {len(deletion.top)} units fall further without their own "
        f"top genes than in every one of {deletion.random.shape[1]} draws of genes of the same expression."
    )
    return sentences


def _notes(levels: Levels, by_kind: dict[str, NDArray[np.float64]]) -> str:
    """What agrees with the sets between groups as much as other seeds do, and is not counted."""
    notes, enough = "", levels.seeds[3] - MARGIN
    if (redrawn := by_kind[LAST_LAYER][3]) >= enough:
        notes += (
            f" It is as much the same with the last layer redrawn ({redrawn:.2f}): the first layer carries it, not the "
            "single units."
        )
    if (alone := by_kind[EXPRESSION][3]) >= enough:
        notes += f" Mean expression alone, without a model, gives it as much ({alone:.2f})."
    return notes


def _level_words(levels: Levels, at: int) -> str:
    seeds, control, kind = levels.seeds[at], levels.control[at], levels.control_kind[at]
    back = "comes back" if seeds >= RETURNS else "comes back in part" if seeds >= PARTLY else "does not come back"
    verdict = (
        "better than its controls."
        if levels.passed[at]
        else f"no better than a control: {MEANING[kind]}."
        if not better(seeds, control)
        else "but no better than a control in most groups."
    )
    return (
        f"{levels.names[at]} ({LEVELS[levels.names[at]]}): {back} with other seeds ({seeds:.2f}; best control: {kind}, "
        f"{control:.2f}); {verdict}"
    )


def _by_kind(controls: Sequence[Control], values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Means over the controls of each kind; `values` is … × controls."""
    kinds = np.array([control.kind for control in controls])
    return {str(kind): values[..., kinds == kind].mean(axis=-1) for kind in dict.fromkeys(kinds)}
