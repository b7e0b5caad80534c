"""The verdict on an explanation, in plain sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.text import listed, verb
from modulae.core.sanity.controls import EXPRESSION, LAST_LAYER
from modulae.core.sanity.verdict import (
    LEVELS,
    MARGIN,
    PARTLY,
    RETURNS,
    SAME_UNIT,
    Levels,
    _by_kind,
    better,
    groups_passed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.sanity.results import ControlResults


MEANING = {
    "untrained, same start": "much of it was there before training",
    "untrained, other start": "a network that has learnt nothing says the same",
    "shuffled counts": "a network that never saw two genes go together says the same",
    LAST_LAYER: "any other units say the same",
}
"""What it means that a control agrees as much."""


def in_words(levels: Levels, found: ControlResults, *, groups: Sequence[str]) -> list[str]:
    """One plain sentence or two a level, and one for the deletions."""
    sentences = [_level_words(levels, index) for index in range(len(levels.names))]
    r = np.abs(found.by_seeds("activity")).mean(axis=1)
    same = int((r > SAME_UNIT).sum())
    sentences[0] += (
        f" {same} of {len(r)} units {verb(same)} active in the same cells with another seed (|r| > {SAME_UNIT})."
    )
    if groups:
        passed = groups_passed(found.controls, found.agreements, "effect")
        weak = [name for name, ok in zip(groups, passed, strict=True) if not ok]
        if weak and len(groups) > 1:
            sentences[3] += (
                f" {len(weak)} of {len(groups)} groups {verb(len(weak))} no better by themselves: {listed(weak)}."
            )
        sentences[3] += _notes(levels, _by_kind(found.controls, levels.agreement))
    deletion = found.deletion
    sentences.append(
        f"deletion: of {len(deletion.top)} units, {int((deletion.beaten() == 1).sum())} lose more activity without "
        f"their own top genes than in every one of {deletion.random.shape[1]} draws of genes of the same expression."
    )
    return sentences


def _notes(levels: Levels, by_kind: dict[str, NDArray[np.float64]]) -> str:
    """What agrees with the sets between groups as much as other seeds do, and is not counted."""
    notes, enough = "", levels.seeds[3] - MARGIN
    if (redrawn := by_kind[LAST_LAYER][3]) >= enough:
        notes += (
            f" It agrees as well with the last layer redrawn ({redrawn:.2f}): the first layer carries it, not the "
            "single units."
        )
    if (alone := by_kind[EXPRESSION][3]) >= enough:
        notes += f" Mean expression alone, without a model, agrees with it as well ({alone:.2f})."
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
