"""Sweeps in compiled loops, where numba can compile them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.threads import n_threads, sharing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .low_rank import LowRank

SHARED_FROM = 50_000_000
"""Multiplications that are worth several threads."""


@cache
def loops() -> tuple[Any, Any] | None:
    """The compiled sweeps and passes; `None` where numba can't compile them, and NumPy does the same, slower.

    Nothing is said then: the engine that trains what is found needs numba as well, and says so.
    """
    try:
        from modulae.core.compiled.first_call import check_compiler, first_call

        check_compiler()
        from . import alternation, kernels

        one, rows = np.ones((1, 1), dtype=np.float32), np.zeros((1, 2), dtype=np.float32)
        first_call(kernels, "work", lambda: kernels.work(one, 0, 0, rows, one, one[0], np.zeros(1, np.intp), 1))
        first_call(alternation, "work", lambda: alternation.work(one.copy(), one.copy(), one, one, 0, 1, 1))
    except Exception:  # noqa: BLE001 - whatever a compiler meets
        return None
    return kernels.work, alternation.work


def descend(  # noqa: PLR0917
    factor: NDArray[np.float32],
    others: NDArray[np.floating],
    products: NDArray[Any],
    step: NDArray[np.floating],
    parts: NDArray[np.intp],
    n_sweeps: int,
) -> bool:
    """What :func:`.sweeps.sweep` does, where there is what it takes; whether there was."""
    if factor.dtype != np.float32 or not factor.flags.c_contiguous or (compiled := loops()) is None:
        return False
    work, _ = compiled
    (n_parts, n_columns), f = factor.shape, np.float32
    negative = np.zeros((n_parts, n_parts + n_parts % 2), dtype=f)
    negative[:, :n_parts] = -others
    given = negative, np.ascontiguousarray(products, f), step.astype(f, copy=False), parts, n_sweeps
    several = n_sweeps * n_parts * n_parts * n_columns >= SHARED_FROM
    with sharing(n_threads() if several else 1) as share:
        share(n_columns, lambda first, last: work(factor, first, last, *given))
    return True


def passes(
    activity: NDArray[np.float32],
    loadings: NDArray[np.float32],
    compressed: LowRank,
    how: tuple[int, int, int],
) -> bool:
    """What :func:`.passes.improve_in_turn` does, where there is what it takes; whether there was."""
    arrays = activity, loadings, compressed.left, compressed.right
    if any(a.dtype != np.float32 or not a.flags.c_contiguous for a in arrays) or (compiled := loops()) is None:
        return False
    _, work = compiled
    work(*arrays, *how)
    return True
