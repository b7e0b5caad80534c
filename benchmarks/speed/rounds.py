"""Times of alternatives that take turns, so that a busy moment of a shared machine hits all of them."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def take_turns(alternatives: Mapping[str, Callable[[], object]], *, n_rounds: int) -> dict[str, list[float]]:
    """Seconds of every alternative in every round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for turn in range(n_rounds + 1):
        for name, do in alternatives.items():
            start = time.perf_counter()
            do()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, base: str) -> str:
    """How many times faster than `base`: the median over rounds, and the least and the most."""
    ratios = [slow / fast for slow, fast in zip(seconds[base], seconds[name], strict=True)]
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})"


def median(seconds: list[float]) -> float:
    """The middle one."""
    return statistics.median(seconds)
