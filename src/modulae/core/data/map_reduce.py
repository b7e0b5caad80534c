"""One job over all cells, a portion at a time: here, or wherever dask runs it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from modulae.core.threads import side_by_side

from .dask_blocks import cut, is_spread, mapped, reduced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from .source import Source

T = TypeVar("T")

Sums = tuple["NDArray[Any]", ...]

CELLS_A_TASK = 8192
"""Of cells in memory, where tasks are done in threads: enough to keep one busy, however many threads there are."""


def map_cells(
    cells: Source,
    job: Callable[..., T],
    *along: Any,  # noqa: ANN401
    threads: bool = False,
) -> Iterator[tuple[slice, T]]:
    """What a job makes of each portion of the cells, in their order, with where it stands.

    Parameters
    ----------
    cells
        Counts in memory are one portion. Those in a file are read a portion after the other. Of a dask array a portion
        is some of its blocks, and dask's own scheduler says who does the job: threads, or the workers of a cluster.
    job
        Called with the portion in memory (:class:`modulae.core.data.cells.Cells`) and its part of `along`; with what it
        returns, it may have to travel to another process.
    along
        What is known of every cell: arrays with the cells on the last axis, or objects with a method `cut(rows)`.
    threads
        Whether to do the job in threads, with :data:`CELLS_A_TASK` cells in memory at a time: for jobs whose results
        are small.
    """
    if is_spread(cells):
        yield from mapped(cells, job, along)
        return
    start = 0
    for portion in cells.portions() if len(cells) else [cells.load()]:
        size = CELLS_A_TASK if threads else max(len(portion), 1)
        places = [slice(start + at, start + min(at + size, len(portion))) for at in range(0, len(portion) or 1, size)]
        blocks = (block for _, block in portion.blocks(size)) if len(places) > 1 else iter([portion])

        def task(rows: slice, block: Source) -> T:
            return job(block, *(cut(one, rows) for one in along))

        tasks = (partial(task, *given) for given in zip(places, blocks, strict=True))
        results = side_by_side(tasks) if len(places) > 1 else (one() for one in tasks)
        yield from zip(places, results, strict=True)
        start += len(portion)


def reduce_cells(
    cells: Source,
    job: Callable[..., T],
    *along: Any,  # noqa: ANN401
    combine: Callable[[list[T]], T],
    threads: bool = False,
) -> T:
    """:func:`map_cells`, of which only what `combine` makes of neighbouring results is kept."""
    if is_spread(cells):
        return reduced(cells, job, along, combine)
    result: list[T] = []
    for _, one in map_cells(cells, job, *along, threads=threads):
        result = [combine([*result, one])] if result else [one]
    return result[0]


def sum_cells(cells: Source, job: Callable[..., Sums], *along: Any, threads: bool = False) -> Sums:  # noqa: ANN401
    """Sums over all cells of the arrays that a job returns for a portion of them."""
    return reduce_cells(cells, job, *along, combine=added, threads=threads)


def sum_values(values: Iterable[Any], function: Callable[..., Sums], *along: Any) -> Sums:  # noqa: ANN401
    """`function(values, *along)`, sums over blocks of cells; where the blocks are made of spread cells, made there.

    Parameters
    ----------
    values
        Blocks of cells × statistics with where they stand. A dataclass with a field `cells` makes them of these.
    function
        Called with the blocks and `along`.
    along
        As in :func:`map_cells`.
    """
    cells = getattr(values, "cells", None)
    if cells is None or not is_spread(cells):
        return function(values, *along)
    without: Any = values
    return sum_cells(cells, partial(_of_portion, replace(without, cells=None), function), *along)


def added(parts: list[Sums]) -> Sums:
    """Sums of the first arrays, of the second, ….

    They are added in this order whoever has made them.
    """
    return tuple(sum(arrays[1:], start=arrays[0]) for arrays in zip(*parts, strict=True))


def _of_portion(values: Any, function: Callable[..., Sums], cells: Source, *along: Any) -> Sums:  # noqa: ANN401
    return function(replace(values, cells=cells), *along)
