"""Coordinate descent on columns that stay in the cache, compiled."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from modulae.core.compiled.aligned import zeros
from modulae.core.compiled.first_call import COMPILED, digest, inline
from modulae.core.compiled.simd import FILE, WIDTH, at_least_0, broadcast, load, store

from . import limits
from .limits import LEAST, LOOK_EVERY

ZERO, ONE, SETTLED = np.float32(0), np.float32(1), np.float32(limits.SETTLED)

BLOCK, ALONE, BEFORE = range(3)
"""What stands in the lanes of a part: its numbers, what it would be alone, and (of the first) what it was before."""


class Memory(NamedTuple):
    """What the loops work in. Memory that they took themselves would take longer to compile than they do."""

    lanes: Any  # 3 × an even number of parts × WIDTH
    others: Any  # parts × an even number: what each part explains of each, negative
    step: Any  # parts
    alive: Any  # parts: the numbers of those that are something, first
    gram: Any  # parts × parts
    inner: Any  # parts × rank
    of_cells: Any  # parts × cells: products
    of_genes: Any  # parts that are not fixed × genes: products


def memory_for(n_parts: int, rank: int, n_cells: int, n_genes: int, n_fixed: int) -> Memory:
    """Memory for so many; sweeps alone need none by rank, cells or genes."""
    even, f = n_parts + n_parts % 2, np.float32
    sweeps = zeros((3, even, WIDTH), f), zeros((n_parts, even), f), np.ones(n_parts, f)
    shapes = (n_parts, n_parts), (n_parts, rank), (n_parts, n_cells), (n_parts - n_fixed, n_genes)
    return Memory(*sweeps, np.zeros(n_parts, np.intp), *(np.empty(shape, f) for shape in shapes))


@inline
def improve(factor, gram, products, n_fixed, first, last, n_sweeps, memory):  # noqa: PLR0912
    """What :func:`.sweeps.sweep` does to these columns, for all parts but the first, which are fixed."""
    lanes, others, step, alive = memory.lanes, memory.others, memory.step, memory.alive
    n_parts, n_alive = factor.shape[0], 0
    for part in range(n_fixed, n_parts):
        if gram[part, part] > LEAST:
            size = ONE / gram[part, part]
            step[part], alive[n_alive], n_alive = size, part, n_alive + 1
            for other in range(n_parts):
                others[part, other] = -gram[part, other] * size
            others[part, part] = ZERO
    for start in range(first, last, WIDTH):
        n = min(WIDTH, last - start)
        for part in range(n_parts):
            for c in range(n):
                lanes[BLOCK, part, c] = factor[part, start + c]
        for i in range(n_alive):
            part = alive[i]
            row, size = part - n_fixed, step[part]
            for c in range(n):
                lanes[ALONE, part, c] = products[row, start + c] * size
        for turn in range(n_sweeps):
            look, change, largest = turn % LOOK_EVERY == LOOK_EVERY - 1, ZERO, ZERO
            for i in range(n_alive):
                part = alive[i]
                sums, more = load(lanes, (ALONE, part, 0)), broadcast(ZERO)
                for other in range(0, others.shape[1], 2):
                    sums += broadcast(others[part, other]) * load(lanes, (BLOCK, other, 0))
                    more += broadcast(others[part, other + 1]) * load(lanes, (BLOCK, other + 1, 0))
                if look:
                    store(lanes, (BEFORE, 0, 0), load(lanes, (BLOCK, part, 0)))
                store(lanes, (BLOCK, part, 0), at_least_0(sums + more))
                if look:
                    for c in range(WIDTH):
                        change = max(change, abs(lanes[BLOCK, part, c] - lanes[BEFORE, 0, c]))
                        largest = max(largest, lanes[BLOCK, part, c])
            if look and change <= SETTLED * largest:
                break
        for part in range(n_fixed, n_parts):
            for c in range(n):
                factor[part, start + c] = lanes[BLOCK, part, c]


def compiled(*, keep: bool) -> Any:  # noqa: ANN401
    """What Python calls; it is compiled by the first call, or read from disk, where it is also kept."""
    return _made_of(digest([FILE, Path(limits.__file__)]), keep=keep)


def _made_of(made_of: int, *, keep: bool) -> Any:  # noqa: ANN401
    """Compile it; `made_of` says what else than this file they are made of, see :func:`.first_call.digest`."""

    @numba.njit(cache=keep, **COMPILED)
    def work(
        factor, given_gram, given_products, first, last, n_sweeps, loadings, left, right, n_fixed, n_passes, memory
    ):
        """Sweep over some columns; or where there are passes to do, over activities, then loadings, again and again.

        One function for both, with one place where it sweeps: each such place takes a second to compile.
        """
        made_of  # noqa: B018
        for turn in range(2 * n_passes if n_passes else 1):
            now, gram, products, fixed, end = factor, memory.gram, memory.of_cells, 0, factor.shape[1]
            if not n_passes:
                gram, products, end = given_gram, given_products, last
            elif turn % 2 == 0:
                np.dot(loadings, loadings.T, gram)
                np.dot(loadings, right.T, memory.inner)
                np.dot(memory.inner, left.T, products)
            elif n_fixed < loadings.shape[0]:
                now, products, fixed, end = loadings, memory.of_genes, n_fixed, loadings.shape[1]
                np.dot(factor, factor.T, gram)
                np.dot(factor[n_fixed:], left, memory.inner[n_fixed:])
                np.dot(memory.inner[n_fixed:], right, products)
            else:
                continue
            improve(now, gram, products, fixed, first, end, n_sweeps, memory)

    return work


try:
    work = compiled(keep=True)
except RuntimeError:  # numba has found no folder that it may write to
    work = compiled(keep=False)
