"""Cells whose counts lie on disk, read a portion at a time, with the interface of those in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.processes.ranks import ALONE

from .cells import Cells, of_rows
from .readers import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.processes.ranks import Ranks

    from .readers import Reader

T = TypeVar("T")

GAP = 64
"""Rows that are read and thrown away rather than reading twice."""

ROWS_AT_ONCE = 4096
"""Rows that are read at once at most."""

AT_ONCE_IN_ORDER = 65_536
"""Cells that are in memory at once at most where their order does not matter: more would save no time."""

MAX_SAMPLE = 50_000
"""Cells that stand for all where a method needs them in memory at once."""

MAX_HELD = 2
"""Held-out cells that are kept in memory, for each cell there is room for: they take a fifth of its memory or less."""


@dataclass(frozen=True, slots=True)
class StoredCells:
    """Rows of a file, with the size factor of each (`None`: the model reads raw counts)."""

    reader: Reader
    rows: NDArray[np.intp]
    size_factors: NDArray[np.float32] | None  # cells; 0 for a cell without counts
    room: int  # cells that are in memory at once, and as many again that are read ahead
    batch: NDArray[np.int64] | None = None  # cells: number of its batch, −1 if unknown; `None`: no batches
    streams: int = 1  # that an epoch is dealt to; each has room for as many
    _totals: list[NDArray[np.float64]] = field(default_factory=list)  # of genes, once they are known

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_genes(self) -> int:
        """Genes of the model."""
        return self.reader.n_genes

    @property
    def at_a_time(self) -> int:
        """Cells that are learnt from in one random order."""
        return self.room * self.streams

    def take(self, rows: NDArray[np.intp]) -> Self:
        """These cells, in this order; nothing is read."""
        factors, batch = of_rows(self.size_factors, rows), of_rows(self.batch, rows)
        return replace(self, rows=self.rows[rows], size_factors=factors, batch=batch, _totals=[])

    def with_batch(self, batch: NDArray[np.int64]) -> Self:
        """The same cells, of these batches; nothing is read."""
        return replace(self, batch=batch)

    def load(self) -> Cells:
        """The counts, read into memory."""
        from scipy import sparse

        if not len(self):
            none = sparse.csr_matrix(np.zeros((0, self.n_genes), dtype=np.float32))
            return Cells(none, self.size_factors, self.batch)
        order = np.argsort(self.rows, kind="stable")
        parts = [self._read(run) for run in _runs(self.rows[order])]
        counts = sparse.csr_matrix(sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0])
        if (np.diff(order) < 0).any():
            counts = counts[np.argsort(order, kind="stable")]
        return Cells(counts, self.size_factors, self.batch)

    def portions(self) -> Iterator[Cells]:
        """Consecutive cells in memory, at most as many as there is room for."""
        at_once = min(self.room, AT_ONCE_IN_ORDER)
        starts = range(0, len(self), at_once)
        parts = (self.take(np.arange(start, min(start + at_once, len(self)))) for start in starts)
        yield from ahead(part.load for part in parts)

    def blocks(self, size: int) -> Iterator[tuple[slice, Cells]]:
        """Consecutive blocks of at most `size` cells in memory, with where they stand."""
        check_integer("batch_size", size, minimum=1)
        whole = max(min(self.room, AT_ONCE_IN_ORDER) // size, 1) * size  # no block lies in two portions
        starts = range(0, len(self), whole)
        parts = (self.take(np.arange(start, min(start + whole, len(self)))) for start in starts)
        for start, portion in zip(starts, ahead(part.load for part in parts), strict=True):
            for rows, block in portion.blocks(size):
                yield slice(start + rows.start, start + rows.stop), block

    def shuffled(
        self, rng: np.random.Generator, *, after: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[tuple[Cells, NDArray[np.intp]]]:
        """An epoch: random blocks of rows, as many as there is room for, and a random order of their cells.

        A block holds rows that lie together, which are read at once; cells that lie together in the file, such as those
        of one sample, are spread over the epoch, and mixed with those of all other blocks of their portion. The next
        portion is read while the caller learns from this one. The first `after` portions are left out.

        With several ranks, the blocks of a portion are laid end to end and cut into streams, one a rank, of as many
        cells up to one: a rank reads its own stream only, and shuffles it. One process that goes through as many
        `streams` has their cells in turn in its order, and so in every batch what the ranks have together.
        """
        streams = max(self.streams, ranks.size)
        seed = int(rng.integers(2**63))  # one draw an epoch, so that the next begins alike after an interruption
        block = max(self.reader.rows_together(self.room), 1)
        edges = np.flatnonzero(np.diff(self.rows // block, prepend=-1))
        edges = np.append(edges, len(self))  # training cells of a block of rows: from one edge to the next
        order = np.random.default_rng([seed, 0]).permutation(len(edges) - 1)
        together = max(self.room // block, 1) * streams
        mine = range(streams) if ranks.size == 1 else range(ranks.rank, ranks.rank + 1)
        jobs = (
            partial(self._portion, edges, order[start : start + together], (seed, 1 + number * streams), streams, mine)
            for number, start in enumerate(range(0, len(order), together))
        )
        yield from ahead(islice(jobs, after, None))

    def some(self, seed: int) -> Cells:
        """Cells of random blocks, as many as there is room for, at most :data:`MAX_SAMPLE`."""
        portion, order = next(replace(self, streams=1).shuffled(np.random.default_rng(seed)))
        return portion.take(np.sort(order[:MAX_SAMPLE]))

    def held(self) -> Self:
        """The same with the counts in memory, where they are few beside those that are learnt from at once."""
        if len(self) > MAX_HELD * self.room:
            return self
        cells = self.load()
        return replace(self, reader=InMemory(cells.counts), rows=np.arange(len(cells)), _totals=[])

    def knowing(self, totals: NDArray[np.float64]) -> Self:
        """The same cells, with what :meth:`gene_totals` would have to read them all for."""
        return replace(self, _totals=[totals])

    def gene_totals(self) -> NDArray[np.float64]:
        """Genes: summed counts."""
        if not self._totals:
            parts = (part.gene_totals() for part in self.portions())
            self._totals.append(sum(parts, start=np.zeros(self.n_genes)))
        return self._totals[0]

    def detected(self) -> NDArray[np.int64]:
        """Genes: in how many cells they are counted."""
        return sum((part.detected() for part in self.portions()), start=np.zeros(self.n_genes, dtype=np.int64))

    def totals(self) -> NDArray[np.float64]:
        """Cells: summed counts."""
        return np.concatenate([part.totals() for part in self.portions()])

    def _read(self, rows: NDArray[np.intp]) -> sparse.csr_matrix:
        first, last = int(rows[0]), int(rows[-1])
        block = self.reader.read(first, last + 1)
        return block if len(rows) == last + 1 - first else block[rows - first]

    def _portion(
        self, edges: NDArray[np.intp], blocks: NDArray[np.intp], seed: tuple[int, int], streams: int, mine: range
    ) -> tuple[Cells, NDArray[np.intp]]:
        """Cells of some of the streams of these blocks, and their order."""
        laid = np.concatenate([np.arange(edges[index], edges[index + 1]) for index in blocks])
        dealt = [np.sort(part) for part in np.array_split(laid, streams)]
        places = np.concatenate([dealt[index] for index in mine])
        order, start = np.empty(len(places), dtype=np.intp), 0
        for turn, index in enumerate(mine):
            n = len(dealt[index])
            order[turn :: len(mine)] = start + np.random.default_rng((seed[0], seed[1] + index)).permutation(n)
            start += n
        return self.take(places).load(), order


def _runs(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Ascending rows cut where a gap is wide, and where a run is long."""
    start = 0
    cuts = np.flatnonzero(np.diff(rows) > GAP) + 1
    for stop in (*cuts.tolist(), len(rows)):
        while start < stop:
            end = min(stop, int(np.searchsorted(rows, rows[start] + ROWS_AT_ONCE)))
            yield rows[start:end]
            start = end


def ahead(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results of jobs in their order; the next is done by a thread while the caller works with this one."""
    with ThreadPoolExecutor(1) as pool:
        waiting: Any = None
        for job in jobs:
            following = pool.submit(job)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()
