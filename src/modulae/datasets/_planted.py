"""What is planted in simulated cells: which programmes run where, how strongly, and in which genes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED_PART = 4
"""Without a difficulty, one programme in this many runs in cells of every group, as the cell cycle does."""

MIN_HARD = 6
"""Programmes for one AND of two, one pair that runs together, and one on its own."""

MIN_TOGETHER = 4
"""Programmes for each pair: two that are in it, and two on their own."""

FOLLOWS = 0.8
"""Hard: probability that the second of a co-active pair follows the first in a cell."""

OVERLAP = 0.6
"""Together: share of the cells with one of a pair, or both, that have both."""

OFTEN = 0.25
"""Share of the cells in which a programme runs that is not rare; hard ones have shares of their own."""

RARE = (0.005, 0.02)
"""Share of the cells in which the rarest programme runs, and the most frequent of the rare."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How strong programmes are, and how far depths spread."""

    strength: tuple[float, float] = (1.2, 2.2)  # the lowest and the highest loading
    depth_spread: float = 0.3  # standard deviation of the log depth


KINDS = {
    "easy": Kind(),
    "hard": Kind((1.0, 2.0), 0.4),
    "together": Kind(depth_spread=0.5),
    "rare": Kind(),
}


@dataclass(frozen=True, slots=True)
class Planted:
    """The truth about simulated cells, before anything is counted."""

    group: NDArray[np.intp]  # cells
    activity: NDArray[np.float64]  # cells × programmes
    loadings: NDArray[np.float64]  # genes × programmes
    baseline: NDArray[np.float64]  # genes, log rate where nothing runs
    depth: NDArray[np.float64]  # cells, up to a factor
    running: NDArray[np.float64]  # groups × programmes, the expected share of cells
    housekeeping: NDArray[np.bool_] | None = None  # genes
    pairs: list[tuple[int, int]] = field(default_factory=list)
    both: list[tuple[int, int, int]] = field(default_factory=list)  # the third runs where the first two do
    rare: list[int] = field(default_factory=list)


def of_groups(
    *,
    n_cells: int,
    n_genes: int,
    n_programmes: int,
    n_groups: int,
    n_members: tuple[int, int],
    rng: np.random.Generator,
) -> Planted:
    """Programmes that belong to a group of cells each; no gene is in two."""
    group = rng.permutation(np.arange(n_cells) % n_groups)
    n_own = n_programmes - n_programmes // SHARED_PART
    running = np.zeros((n_groups, n_programmes))
    running[np.arange(n_own) % n_groups, np.arange(n_own)] = 1.0
    running[:, n_own:] = 0.5
    runs = rng.random((n_cells, n_programmes)) < running[group]  # cells × programmes
    activity = np.where(runs, rng.gamma(4.0, 0.25, size=runs.shape), 0.0)
    loadings = np.zeros((n_genes, n_programmes))
    members = rng.permutation(n_genes)[: n_programmes * n_members[1]].reshape(n_programmes, -1)
    for p, genes in enumerate(members):
        loadings[genes, p] = rng.uniform(0.5, 1.5, size=n_members[1])
    baseline = rng.normal(0.0, 1.0, size=n_genes)
    return Planted(group, activity, loadings, baseline, rng.lognormal(0.0, 0.3, size=n_cells), running)


def in_types(
    *,
    difficulty: str,
    n_cells: int,
    n_genes: int,
    n_programmes: int,
    n_groups: int,
    n_members: tuple[int, int],
    rng: np.random.Generator,
) -> Planted:
    """Programmes that run across cell types, each of which has an identity programme too, as the last columns."""
    kind = KINDS[difficulty]
    shares = np.linspace(1.0, 0.4, n_groups)  # cell types are never equally frequent
    group = rng.permutation(np.searchsorted(np.cumsum(shares / shares.sum()), (np.arange(n_cells) + 0.5) / n_cells))
    group = np.minimum(group, n_groups - 1)
    running, both, pairs, rare = _running(n_groups, n_programmes, rng, difficulty=difficulty)
    runs = _runs(running[group], both, pairs, rare, rng, difficulty=difficulty)
    runs = np.c_[runs, group[:, None] == np.arange(n_groups)]
    running = np.c_[running, np.eye(n_groups)]
    activity = np.where(runs, rng.lognormal(-0.045, 0.3, size=runs.shape), 0.0)  # mean 1, never near 0

    baseline = rng.normal(0.0, 1.0, size=n_genes)
    housekeeping = np.zeros(n_genes, dtype=np.bool_)
    housekeeping[rng.permutation(n_genes)[: n_genes // 20]] = True
    baseline[housekeeping] += 1.5
    free = ~housekeeping & (baseline > np.quantile(baseline, 0.3))  # in a gene that is hardly counted nothing is seen
    loadings = _overlapping(free, runs.shape[1], n_members, kind.strength, rng)
    depth = rng.lognormal(0.0, kind.depth_spread, size=n_cells)
    return Planted(group, activity, loadings, baseline, depth, running, housekeeping, pairs, both, rare)


def _running(
    n_groups: int, n_programmes: int, rng: np.random.Generator, *, difficulty: str
) -> tuple[NDArray[np.float64], list[tuple[int, int, int]], list[tuple[int, int]], list[int]]:
    """Share of each type's cells in which each programme runs, which hang together, and which are rare."""
    running = np.full((n_groups, n_programmes), OFTEN)
    if difficulty == "together":
        return running, [], [(p, p + 1) for p in range(0, 2 * (n_programmes // MIN_TOGETHER), 2)], []
    if difficulty == "rare":
        rare = list(range(n_programmes // 2, n_programmes))
        running[:, rare] = np.geomspace(*RARE, len(rare))
        return running, [], [], rare
    if difficulty == "easy":
        return running, [], [], []
    running = np.clip(rng.uniform(0.25, 0.35) + rng.uniform(-0.2, 0.2, size=(n_groups, n_programmes)), 0.05, 0.6)
    running[:, :2] = 0.45  # so that both run in a fifth of the cells
    running[:, 2] = running[:, 0] * running[:, 1]
    pairs = [(p, p + 1) for p in range(3, 3 + 2 * ((n_programmes - 3) // 3), 2)]
    for first, second in pairs:
        running[:, second] = running[:, first]
    return running, [(0, 1, 2)], pairs, []


def _runs(
    share: NDArray[np.float64],  # cells × programmes, the probability
    both: list[tuple[int, int, int]],
    pairs: list[tuple[int, int]],
    rare: list[int],
    rng: np.random.Generator,
    *,
    difficulty: str,
) -> NDArray[np.bool_]:
    """Draw in which cells each programme runs."""
    n_cells = len(share)
    runs = rng.random(share.shape) < share
    for first, second in pairs:
        if difficulty == "together":  # of two shares p with both in q: q / (2p − q) = OVERLAP
            p, kept = share[:, first], 2 * OVERLAP / (1 + OVERLAP)
            runs[:, second] = rng.random(n_cells) < np.where(runs[:, first], kept, p * (1 - kept) / (1 - p))
        else:
            follows = rng.random(n_cells) < FOLLOWS
            runs[follows, second] = runs[follows, first]
    for first, second, third in both:
        runs[:, third] = runs[:, first] & runs[:, second]
    for programme in rare:  # exactly so many: by chance there could be none
        chosen = rng.permutation(n_cells)[: max(1, round(n_cells * share[0, programme]))]
        runs[:, programme] = np.isin(np.arange(n_cells), chosen)
    return runs


def _overlapping(
    free: NDArray[np.bool_],
    n_programmes: int,
    n_members: tuple[int, int],
    strength: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw every programme's genes from the free ones, whatever the others have: they overlap a little."""
    loadings = np.zeros((len(free), n_programmes))
    for p in range(n_programmes):
        size = rng.integers(n_members[0], n_members[1], endpoint=True)
        genes = rng.choice(np.flatnonzero(free), size=size, replace=False)
        loadings[genes, p] = rng.uniform(*strength, size=size)
    return loadings
