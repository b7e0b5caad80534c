"""Units of many groups compared at once, in each category: planned from the labels alone, then worked out."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .designs import Design, design_of
from .moments import Moments, centre_and_spread, moments_of
from .over_cells import CellsOn, on_and_level, welch
from .over_donors import fit_donors, moderated_tests
from .ranks import rank_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from .over_donors import DonorFit

    Sides = tuple[Moments, Moments]


@dataclass(frozen=True, slots=True)
class Labels:
    """Where each cell belongs; −1 where it takes no part."""

    categories: NDArray[np.intp]  # cells
    groups: NDArray[np.intp]  # cells
    donors: NDArray[np.intp] | None  # cells
    covariates: NDArray[np.float64]  # cells × covariates
    reference: int | None  # the number of a group, or all others

    @property
    def used(self) -> NDArray[np.bool_]:
        """Cells with every label."""
        known = (self.categories >= 0) & (self.groups >= 0)
        return known if self.donors is None else known & (self.donors >= 0)

    def of(self, rows: NDArray[np.intp]) -> Labels:
        """The labels of some cells."""
        donors = None if self.donors is None else self.donors[rows]
        return Labels(self.categories[rows], self.groups[rows], donors, self.covariates[rows], self.reference)


@dataclass(slots=True)
class Comparisons:
    """Which group is compared in which category, and which is not, and why."""

    categories: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    designs: list[Design] = field(default_factory=list)
    left_out: list[tuple[int, int, str]] = field(default_factory=list)
    most_cells: int = 0  # of the smaller side, where that is too small


class Parts:
    """The cells of each category, group and donor that there are."""

    def __init__(self, labels: Labels) -> None:
        used = labels.used
        donors = np.zeros_like(labels.groups) if labels.donors is None else labels.donors
        self.n_categories, self.n_groups, self.n_donors = (
            int(codes.max(initial=-1)) + 1 for codes in (labels.categories, labels.groups, donors)
        )
        codes = (labels.categories * self.n_groups + labels.groups) * self.n_donors + donors
        found, numbers = np.unique(codes[used], return_inverse=True)
        self.of_cells = np.full(len(used), -1, dtype=np.intp)
        self.of_cells[used] = numbers
        self.side, self.donor = np.divmod(found, self.n_donors)  # category and group in one number
        self.reference = labels.reference

    def __len__(self) -> int:
        """How many there are."""
        return len(self.side)

    def sides(self, parts: Moments, category: int, group: int) -> Sides:
        """Donors × values of both sides of a comparison."""
        own = self._between(parts, category * self.n_groups + group, 1)
        if self.reference is not None:
            return own, self._between(parts, category * self.n_groups + self.reference, 1)
        return own, self._between(parts, category * self.n_groups, self.n_groups) - own

    def _between(self, parts: Moments, first: int, n: int) -> Moments:
        start, stop = np.searchsorted(self.side, [first, first + n])
        return parts.of(slice(start, stop)).gathered(self.donor[start:stop], self.n_donors)

    def all_sides(self, parts: Moments, categories: NDArray[np.intp], groups: NDArray[np.intp]) -> Sides:
        """Comparisons × values of both sides, over all donors."""
        by_side = parts.gathered(self.side, self.n_categories * self.n_groups)
        own = by_side.of(categories * self.n_groups + groups)
        if self.reference is not None:
            return own, by_side.of(categories * self.n_groups + self.reference)
        of_category = np.repeat(np.arange(self.n_categories), self.n_groups)
        return own, by_side.gathered(of_category, self.n_categories).of(categories) - own


def plan_comparisons(labels: Labels, parts: Parts, wanted: Sequence[int], *, min_cells: int) -> Comparisons:
    """Every wanted group in every category, or why not."""
    plan = Comparisons()
    covariates = moments_of(labels.covariates, parts.of_cells, len(parts))
    every = np.array([(c, g) for c in range(parts.n_categories) for g in wanted], dtype=np.intp).reshape(-1, 2)
    group, reference = parts.all_sides(covariates, every[:, 0], every[:, 1])
    for (category, number), n, n_reference in zip(every.tolist(), group.n, reference.n, strict=True):
        if min(n, n_reference) < min_cells:
            plan.left_out.append((category, number, f"{n:.0f} and {n_reference:.0f} cells"))
            plan.most_cells = max(plan.most_cells, int(min(n, n_reference)))
            continue
        if labels.donors is not None:
            design = design_of(*parts.sides(covariates, category, number))
            if isinstance(design, str):
                plan.left_out.append((category, number, design))
                continue
            plan.designs.append(design)
        plan.categories.append(category)
        plan.groups.append(number)
    return plan


@dataclass(frozen=True, slots=True)
class Reread:
    """Comparisons whose units are read anew in some cells, as where the gene that was knocked down is left out."""

    comparisons: NDArray[np.intp]
    cells: NDArray[np.intp]  # ascending
    units: NDArray[np.floating]  # these cells × units


def compare_units(
    units: NDArray[np.floating],
    labels: Labels,
    parts: Parts,
    plan: Comparisons,
    *,
    on: CellsOn | None,
    n_permutations: int,
    seed: int,
    reread: Iterable[Reread] = (),
) -> dict[str, NDArray[np.float64]]:
    """Statistics, comparisons × units; effects are in standard deviations over all cells that take part."""
    how: dict[str, Any] = {
        "plan": plan,
        "scale": centre_and_spread(units, labels.used),
        "n_permutations": n_permutations,
        "rng": np.random.default_rng(seed),
    }
    result, fits = _some(units, on, labels, parts, chosen=np.arange(len(plan.groups)), **how)
    for one in reread:
        rows = cells_of(labels, plan, one.comparisons)
        some = labels.of(rows)
        values, changed = units[rows], np.isin(one.cells, rows)
        values[np.searchsorted(rows, one.cells[changed])] = one.units[changed]
        on_again = None if on is None else CellsOn(on.on[rows], on.known[rows])
        again, fits_again = _some(values, on_again, some, Parts(some), chosen=one.comparisons, **how)
        for name, statistic in again.items():
            result[name][one.comparisons] = statistic
        for at, fit in zip(one.comparisons, fits_again, strict=bool(fits)):
            fits[at] = fit
    if not fits:
        return result
    over_donors = moderated_tests(fits)
    del over_donors["se"]  # the confidence interval says it
    return result | {"p_cells": result["p"], **over_donors}


def cells_of(labels: Labels, plan: Comparisons, comparisons: NDArray[np.intp]) -> NDArray[np.intp]:
    """The cells that take part in some of the comparisons, ascending."""
    there = labels.used & np.isin(labels.categories, [plan.categories[at] for at in comparisons])
    if labels.reference is not None:
        there &= np.isin(labels.groups, [labels.reference, *(plan.groups[at] for at in comparisons)])
    return np.flatnonzero(there)


def _some(
    units: NDArray[np.floating],
    on: CellsOn | None,
    labels: Labels,
    parts: Parts,
    *,
    plan: Comparisons,
    chosen: NDArray[np.intp],
    scale: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]],
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[dict[str, NDArray[np.float64]], list[DonorFit]]:
    """Statistics of some of the comparisons over cells, and what is found over donors."""
    centre, spread, still = scale
    moments = moments_of(units, parts.of_cells, len(parts), centre=centre, spread=spread)
    moments.total[:, still] = moments.squares[:, still] = 0
    at = np.array(plan.categories, dtype=np.intp)[chosen], np.array(plan.groups, dtype=np.intp)[chosen]
    sides = parts.all_sides(moments, *at)
    result = {
        "mean": sides[0].mean * spread + centre,
        "mean_reference": sides[1].mean * spread + centre,
        **welch(*sides),
        **_on(units, parts, at, sides, on=on, scale=(centre, spread)),
    }
    ranks = list(_ranks(units, labels, parts))
    result["auc"], result["p"] = (
        np.stack([ranks[category][which][group] for category, group in zip(*at, strict=True)]) for which in (0, 1)
    )
    if labels.donors is None:
        return result, []
    fits = [
        fit_donors(plan.designs[one], *parts.sides(moments, category, group), n_permutations=n_permutations, rng=rng)
        for one, category, group in zip(chosen, *at, strict=True)
    ]
    return result, fits


def _ranks(
    units: NDArray[np.floating], labels: Labels, parts: Parts
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """AUC and p of each category: groups × units."""
    categories = np.where(labels.used, labels.categories, -1)
    order = np.argsort(categories, kind="stable")
    edges = np.searchsorted(categories[order], np.arange(parts.n_categories + 1))
    for start, stop in pairwise(edges):
        cells = order[start:stop]
        yield rank_test(units[cells], labels.groups[cells], parts.n_groups, labels.reference)


def _on(
    units: NDArray[np.floating],
    parts: Parts,
    at: tuple[NDArray[np.intp], NDArray[np.intp]],
    sides: Sides,
    *,
    on: CellsOn | None,
    scale: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, NDArray[Any]]:
    """The part of the difference that is more cells on; NaN where nobody has said which are on."""
    if on is None:
        names = ("share_on", "share_on_reference", "effect_from_more_cells", "effect_from_more_in_cells")
        return {name: np.full(sides[0].total.shape, np.nan) for name in names}

    def summed(cells: NDArray[np.bool_]) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        many = parts.all_sides(moments_of(cells, parts.of_cells, len(parts)), *at)
        raw = parts.all_sides(moments_of(units * cells, parts.of_cells, len(parts)), *at)
        totals = [(sums.total - n.total * scale[0]) / scale[1] for sums, n in zip(raw, many, strict=True)]
        return [n.total for n in many], totals

    known, those_on = summed(on.known), summed(on.on & on.known)
    return on_and_level([side.n for side in sides], known, those_on)
