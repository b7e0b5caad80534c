"""Coordinate descent on columns that stay in the cache, compiled."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from modulae.core.compiled.first_call import COMPILED, digest, stage
from modulae.core.compiled.simd import FILE, WIDTH, at_least_0, broadcast, load, store

LOOK_EVERY = 8
"""Sweeps after which it is looked at whether the last one has changed anything."""

SETTLED = np.float32(1e-6)
"""Changes of a sweep, beside the largest number, that end the sweeps."""

ZERO = np.float32(0)

LEAST = np.finfo(np.float32).tiny
"""A part whose other factor has less than this sum of squares is nothing, and stays as it is."""


@stage
def descend(factor, first, last, others, products, step, parts, n_sweeps):  # noqa: PLR0912
    """Sweeps over the parts, each set to the best it can be, WIDTH columns after another.

    `others` is parts × an even number: what each part explains of each, negative.
    """
    block, alone = np.zeros((others.shape[1], WIDTH), np.float32), np.zeros((others.shape[1], WIDTH), np.float32)
    before = np.zeros_like(block)
    for start in range(first, last, WIDTH):
        n, n_parts = min(WIDTH, last - start), factor.shape[0]
        for part in range(n_parts):
            for c in range(n):
                block[part, c] = factor[part, start + c]
                alone[part, c] = products[part, start + c] * step[part]
        for turn in range(n_sweeps):
            look = turn % LOOK_EVERY == LOOK_EVERY - 1
            if look:
                before[:] = block
            for part in parts:
                sums, more = load(alone, (part, 0)), broadcast(ZERO)
                for other in range(0, others.shape[1], 2):
                    sums += broadcast(others[part, other]) * load(block, (other, 0))
                    more += broadcast(others[part, other + 1]) * load(block, (other + 1, 0))
                store(block, (part, 0), at_least_0(sums + more))
            if look:
                change, largest = ZERO, ZERO
                for part in range(n_parts):
                    for c in range(WIDTH):
                        change = max(change, abs(block[part, c] - before[part, c]))
                        largest = max(largest, block[part, c])
                if change <= SETTLED * largest:
                    break
        for part in range(n_parts):
            for c in range(n):
                factor[part, start + c] = block[part, c]


@stage
def improve(factor, gram, products, first, last, n_sweeps):
    """What :func:`.sweeps.sweep` does to these columns."""
    n_parts = factor.shape[0]
    others, step = np.zeros((n_parts, n_parts + n_parts % 2), np.float32), np.ones(n_parts, np.float32)
    parts, n = np.zeros(n_parts, np.intp), 0
    for part in range(n_parts):
        if gram[part, part] > LEAST:
            step[part], parts[n], n = 1 / gram[part, part], part, n + 1
        for other in range(n_parts):
            if other != part:
                others[part, other] = -gram[part, other] * step[part]
    descend(factor, first, last, others, products, step, parts[:n], n_sweeps)


@stage
def of_cells(loadings, left, right):
    """Gram matrix and products of the activities."""
    return np.dot(loadings, loadings.T), np.dot(np.dot(loadings, right.T), left.T)


@stage
def of_genes(activity, loadings, left, right, n_fixed):
    """Gram matrix and products of the loadings that are not fixed."""
    gram = np.dot(activity, activity.T)
    products = np.dot(np.dot(activity[n_fixed:], left), right)
    if n_fixed:
        products -= np.dot(np.ascontiguousarray(gram[n_fixed:, :n_fixed]), loadings[:n_fixed])
    return np.ascontiguousarray(gram[n_fixed:, n_fixed:]), products


def compiled(*, keep: bool) -> Any:  # noqa: ANN401
    """What Python calls; it is compiled by the first call, or read from disk, where it is also kept."""
    return _made_of(digest([FILE]), keep=keep)


def _made_of(made_of: int, *, keep: bool) -> Any:  # noqa: ANN401
    """Compile it; `made_of` says what else than this file they are made of, see :func:`.first_call.digest`."""

    @numba.njit(cache=keep, **COMPILED)
    def work(factor, gram, products, first, last, n_sweeps, loadings, left, right, n_fixed, n_passes):
        """Sweep over some columns; or where there are passes to do, over activities, then loadings, again and again.

        One function for both, with one place where it sweeps: each such place takes seconds to compile.
        """
        made_of  # noqa: B018
        for turn in range(2 * n_passes if n_passes else 1):
            now = factor
            if n_passes and turn % 2 == 0:
                gram, products = of_cells(loadings, left, right)
            elif n_passes:
                now = loadings[n_fixed:]
                gram, products = of_genes(factor, loadings, left, right, n_fixed)
            improve(now, gram, products, first, last if last >= 0 else now.shape[1], n_sweeps)

    return work


try:
    work = compiled(keep=True)
except RuntimeError:  # numba has found no folder that it may write to
    work = compiled(keep=False)
