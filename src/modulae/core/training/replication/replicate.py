"""Find the units that both halves of the cells find, and how many there are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.checks import SEEDS
from modulae.core.model.ridge import RidgeReader

from .agree import Agreed, agree
from .explained import HeldOut, explained
from .few_cells import EvenNoise, of_few_cells
from .find import RANK
from .larger_starts import from_larger
from .side_by_side import HalvesInThreads, HalvesOnGpu
from .tried import Tried, fewest_enough

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from .find import HalfUnits
    from .halves import Halves
    from .side_by_side import Run

MOST_GENES = 3000
"""Units are found by the genes whose inputs vary most: the noise of all the others together hides them."""

MIN_SHARE = 0.6
"""In which share of the splits both halves have a unit at least."""

MIN_LIKENESS = 0.5
"""How alike the units of the two halves are that a size is judged by, on average over the splits.

About as much as units have that come back in other cells with a probability of 0.7. That curve is fitted to finished
models, so it can't choose them: what is found would change with each new fit, and the fit with what is found."""

SIZES = (4, 8, 12, 16, 24)
"""Numbers of parts to look for first; then they grow until more explain no more."""

GROWTH = (48, 64, 96, 128, RANK)

PATIENCE = 2
"""Sizes in a row that explain no more of held-out cells than an earlier one, before the search ends."""

MAX_MORE = 4
"""Units that are looked for one by one beside those found together, at most."""

FEWEST_GENES = 3.0
"""How many genes a unit has at least, counted by how even its loadings are: one gene alone is no programme."""


@dataclass(frozen=True, slots=True)
class Replicated:
    """The units that both halves have in enough of the splits."""

    loadings: NDArray[np.float64]  # units × genes; 0 for genes that vary too little to find units by
    found: NDArray[np.bool_]  # units × splits × 2: which halves have the unit
    similarity: NDArray[np.float64]  # units × splits: how alike the halves' units are; NaN where one has none
    sizes: NDArray[np.int64]  # numbers of parts that were looked for
    n_units: NDArray[np.int64]  # sizes: how many units it is judged by: those alike enough, or all
    explained: NDArray[np.float64]  # sizes: share of the variance of held-out cells that these explain
    min_likeness: float  # how alike these are at least; 0 where no size has a unit that reaches `MIN_LIKENESS`
    size: int  # the one that was taken
    n_few: int  # units of few cells that were found beside all these
    n_single: int  # units that are hardly more than one gene, and left out


class Replication:
    """What the halves of the cells find, and which of it both find."""

    def __init__(
        self,
        inputs: sparse.csr_matrix,
        unseen: sparse.csr_matrix,
        log_depth: tuple[NDArray[np.floating], NDArray[np.floating]],
        halves: Halves,
        *,
        seed: int,
        run: Run,
        run_others: Run,
        device: str = "cpu",
    ) -> None:
        """`run` carries out the steps of halves, and may keep what they give; `run_others` what comes between them."""
        self._genes, self._n_genes = variable_genes(inputs), inputs.shape[1]
        inputs, unseen = inputs[:, self._genes], unseen[:, self._genes]
        rows = [half for split in halves for half in split]
        given = inputs, rows, [(seed + i) % SEEDS for i in range(len(rows))], run
        with ThreadPoolExecutor(1) as beside:
            reader = beside.submit(RidgeReader, inputs)
            self._halves = HalvesInThreads(*given) if device == "cpu" else HalvesOnGpu(*given, device)
        self._inputs, self._log_depth, self._run = inputs, log_depth[0], run_others
        self._held_out = HeldOut(inputs, unseen, log_depth, reader.result())

    @property
    def trouble(self) -> str:
        """Why the GPU was of no use; empty where it was, or was not asked for."""
        return getattr(self._halves, "trouble", "")

    @property
    def most(self) -> int:
        """The largest number of parts that the smallest half bears."""
        halves = self._halves.compressed
        smallest = min(size for half in halves for size in (len(half.left), int(half.right.shape[1])))
        return max(1, min(smallest // 2, RANK))

    def search(self, n_latent: int | None) -> Replicated:
        """The fewest units that explain held-out cells as well as any; of starts of one size if it is given.

        A size is judged by its units that are alike in both halves, and brings the others with it: many parts cut
        units into pieces that replicate now and then, and these would always explain a little more. With `n_latent`
        given, there are never more units than that: those that most splits found.

        Raises
        ------
        ValueError
            No unit replicates.
        """
        tried = self._grow() if n_latent is None else self._try([min(n_latent, self.most)], n_latent)
        judged, min_likeness = self._judged(tried)
        some = [each for each in judged if each.counted.any()]
        if not some:
            msg = (
                f"no programme was found by both halves of the cells in {MIN_SHARE:.0%} of the splits: with so few "
                "cells or counts none differs from chance. Train on more cells, or take n_splits=0, which trains once "
                "and says nothing about reproducibility."
            )
            raise ValueError(msg)
        enough = self._one_by_one(fewest_enough(some), n_latent, min_likeness)
        larger = [each for each in some if each.size > enough.size]
        taken, whole = from_larger(enough, larger, self._inputs, self._held_out, self._run)
        judged = list({each.size: each for each in (*judged, enough, *whole)}.values())
        agreed = self._of_few_cells(taken.agreed, n_latent)
        loadings = np.zeros((len(agreed.loadings), self._n_genes))
        loadings[:, self._genes] = agreed.loadings
        return Replicated(
            loadings,
            agreed.found,
            agreed.similarity,
            np.array([each.size for each in judged]),
            np.array([each.counted.sum() for each in judged]),
            np.array([explained(each.errors) for each in judged]),
            min_likeness,
            taken.size,
            len(agreed.loadings) - len(taken.agreed.loadings),
            taken.n_single,
        )

    def _grow(self) -> list[Tried]:
        sizes = [size for size in (*SIZES, *GROWTH) if size <= self.most] or [self.most]
        first = [size for size in sizes if size <= SIZES[-1]]
        tried = self._try(first)
        for size in sizes[len(first) :]:
            means = [each.errors.mean() for each in self._judged(tried)[0]]
            if len(tried) - 1 - int(np.argmin(means)) >= PATIENCE:
                break
            tried += self._try([size])
        return tried

    def _try(self, sizes: Sequence[int], most_units: int | None = None) -> list[Tried]:
        found = zip(sizes, zip(*self._halves.find(sizes), strict=True), strict=True)
        return list(self._run([(self._tried, (size, units, most_units)) for size, units in found]))

    def _tried(self, size: int, units: Sequence[HalfUnits], most_units: int | None) -> Tried:
        agreed, n_single = replicating(agree(units))
        agreed = agreed.take(np.arange(len(agreed.loadings))[:most_units])
        counted = agreed.likeness >= MIN_LIKENESS
        return Tried(size, agreed, counted, self._held_out.errors(agreed.loadings[counted]), n_single)

    def _judged(self, tried: Sequence[Tried]) -> tuple[Sequence[Tried], float]:
        """Sizes judged by units that are this alike; by all of them where no size has one that is alike enough."""
        if any(each.counted.any() for each in tried):
            return tried, MIN_LIKENESS
        everything = []
        for each in tried:
            loadings = each.agreed.loadings
            counted = np.ones(len(loadings), dtype=bool)
            everything.append(replace(each, counted=counted, errors=self._held_out.errors(loadings)))
        return everything, 0.0

    def _one_by_one(self, tried: Tried, most_units: int | None, min_likeness: float) -> Tried:
        """Look for more units beside those that replicate, while there are any that count and they explain more."""
        n = len(tried.agreed.loadings)
        for _ in range(MAX_MORE if most_units is None else min(MAX_MORE, most_units - n)):
            more, _ = replicating(agree(self._halves.find_one_more(tried.agreed.loadings)))
            more = more.take(more.likeness >= min_likeness)
            if not len(more.loadings):
                break
            now = tried.with_unit(more.take(np.array([0])), self._held_out)
            if not tried.worth_it(now):
                break
            tried = now
        return tried

    def _of_few_cells(self, agreed: Agreed, most_units: int | None) -> Agreed:
        """These and the units of few cells that replicate beside them."""
        known = agreed.loadings.astype(np.float32)
        room = None if most_units is None else most_units - len(known)
        if room == 0:
            return agreed
        more, _ = replicating(agree(self._halves.find_few(EvenNoise.of(self._inputs, self._log_depth, known), known)))
        few = more.take(of_few_cells(more, self._inputs, known)) if len(more.loadings) else more
        return agreed.joined(few.take(np.arange(len(few.loadings))[:room]))


def variable_genes(inputs: sparse.csr_matrix) -> NDArray[np.intp]:
    """The genes with the largest variance, in their order."""
    mean = np.asarray(inputs.mean(axis=0), dtype=np.float64).ravel()
    squares = np.asarray(inputs.multiply(inputs).mean(axis=0), dtype=np.float64).ravel()
    return np.sort(np.argsort(-(squares - mean**2), kind="stable")[:MOST_GENES])


def replicating(agreed: Agreed) -> tuple[Agreed, int]:
    """The units that both halves have in enough of the splits; and how many of these are single genes, and left out."""
    agreed = agreed.take(agreed.replicated >= MIN_SHARE - 1e-9)
    squares = np.maximum((agreed.loadings**2).sum(axis=1), np.finfo(np.float64).tiny)
    single = agreed.loadings.sum(axis=1) ** 2 / squares < FEWEST_GENES
    return agreed.take(~single), int(single.sum())
