"""A job over the blocks of a dask array, as a graph that dask's own scheduler carries out."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
from scipy import sparse

from modulae.core.threads import blas_threads

from .csr import as_csr
from .readers import InMemory
from .stored_cells import StoredCells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from .readers import Reader
    from .source import Source

T = TypeVar("T")

ROWS_OF_A_TASK = 2048
"""Rows of a task: smaller blocks are put together up to so many, as each task takes a millisecond of its own."""

FAN_IN = 8
"""Results that are combined at a time."""

NO_COUNTS = InMemory(sparse.csr_matrix(np.zeros((0, 0), dtype=np.float32)))
"""Where a task reads its cells before it has their counts."""


def is_spread(cells: Source) -> TypeGuard[StoredCells]:
    """Whether the counts are a dask array, the cells in its order: then its blocks need not come to this process."""
    if not isinstance(cells, StoredCells) or cells.reader.array is None or not len(cells):
        return False
    return not np.isnan(cells.reader.array.chunks[0]).any() and bool((np.diff(cells.rows) > 0).all())


def mapped(cells: StoredCells, job: Callable[..., T], along: Sequence[Any]) -> Iterator[tuple[slice, T]]:
    """See :func:`modulae.core.data.map_reduce.map_cells`."""
    places, tasks, n_threads = _tasks(cells, job, along)
    result = list(_compute(tasks, n_threads))
    for index, rows in enumerate(places):
        yield rows, result[index]
        result[index] = None  # what the caller has made use of takes no more memory


def reduced(cells: StoredCells, job: Callable[..., T], along: Sequence[Any], combine: Callable[[list[T]], T]) -> T:
    """See :func:`modulae.core.data.map_reduce.reduce_cells`; neighbours are combined as a tree."""
    from dask.delayed import delayed

    _, tasks, n_threads = _tasks(cells, job, along)
    together = delayed(combine, pure=False)
    while len(tasks) > 1:
        tasks = [together(tasks[start : start + FAN_IN]) for start in range(0, len(tasks), FAN_IN)]
    result: T = _compute(tasks, n_threads)[0]
    return result


def _tasks(cells: StoredCells, job: Callable[..., T], along: Sequence[Any]) -> tuple[list[slice], list[Any], int]:
    """Where each task's cells stand, the tasks, and how many of them fit into memory at once."""
    from dask.delayed import delayed

    array = _in_pieces(cells.reader.array, cells.room)
    ends = np.cumsum(array.chunks[0])
    blocks = array.to_delayed()  # blocks of rows × blocks of columns
    # one object each, which dask sends once to every worker
    shared = delayed(job, traverse=False), delayed(cells.reader.elsewhere(), traverse=False)
    work = delayed(_work, pure=False)
    places, tasks, most = [], [], 1
    for first, last, rows in _parts(ends, cells.rows, min(ROWS_OF_A_TASK, cells.room)):
        start = ends[first - 1] if first else 0
        own = cells.take(np.arange(rows.start, rows.stop))
        own = replace(own, reader=NO_COUNTS, rows=own.rows - start)
        places.append(rows)
        tasks.append(work(*shared, blocks[first:last].tolist(), own, [cut(one, rows) for one in along]))
        most = max(most, int(ends[last - 1] - start))
    return places, tasks, max(cells.room // most, 1)


def cut(one: Any, rows: slice) -> Any:  # noqa: ANN401
    """What is known of some cells, from what is known of all."""
    return one.cut(rows) if hasattr(one, "cut") else np.ascontiguousarray(one[..., rows])


def _in_pieces(array: Any, room: int) -> Any:  # noqa: ANN401
    """Blocks of no more rows than there is room for, as far as dask can read a part of a block."""
    sizes = array.chunks[0]
    if max(sizes) <= room:
        return array
    pieces = (min(room, size - start) for size in sizes for start in range(0, size, room))
    return array.rechunk({0: tuple(pieces)})


def _parts(ends: NDArray[np.intp], rows: NDArray[np.intp], most: int) -> Iterator[tuple[int, int, slice]]:
    """Neighbouring blocks with some of the rows, up to `most` rows: first, last + 1, and which cells are theirs."""
    used, starts = np.unique(np.searchsorted(ends, rows, side="right"), return_index=True)
    stops = [*starts[1:].tolist(), len(rows)]
    index = 0
    while index < len(used):
        first, begin, stop = int(used[index]), int(starts[index]), stops[index]
        before = int(ends[first - 1]) if first else 0
        last = first + 1
        index += 1
        while index < len(used) and used[index] == last and ends[last] - before <= most:
            last, stop = last + 1, stops[index]
            index += 1
        yield first, last, slice(begin, stop)


def _work(job: Callable[..., T], reader: Reader, blocks: list[list[Any]], cells: StoredCells, along: list[Any]) -> T:
    """The job on some blocks, wherever this is called."""
    read = replace(cells, reader=InMemory(reader.checked(_stacked(blocks))))
    return job(read.load(), *along)


def _stacked(blocks: list[list[Any]]) -> sparse.csr_matrix:
    """Blocks of rows, each in blocks of columns."""
    rows = [as_csr(row[0] if len(row) == 1 else sparse.hstack([as_csr(one) for one in row])) for row in blocks]
    return rows[0] if len(rows) == 1 else sparse.csr_matrix(sparse.vstack(rows, format="csr"))


def _compute(tasks: list[Any], n_threads: int) -> tuple[Any, ...]:
    """Let dask do it: by the workers of the active client, or in threads, no more than fit into memory."""
    import dask
    from dask.base import compute
    from dask.system import CPU_COUNT

    asked = dask.config.get("num_workers", None) or CPU_COUNT
    n_threads = min(n_threads, int(asked))
    # threads that each start as many threads for a product of matrices wait for each other
    alone = blas_threads(1) if n_threads > 1 else nullcontext()
    # what is known of every cell is part of the graph, and may make it large: a warning would help nobody
    quiet = {"distributed.admin.large-graph-warning-threshold": "1PB"} if "distributed" in sys.modules else {}
    with alone, dask.config.set(quiet):
        result: tuple[Any, ...] = compute(*tasks, num_workers=n_threads)  # type: ignore[no-untyped-call]
    return result
