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
def loops() -> Any:  # noqa: ANN401
    """The module of compiled sweeps and passes; `None` where numba can't compile them: NumPy does the same, slower.

    Nothing is said then: the engine that trains what is found needs numba as well, and says so.
    """
    try:
        from modulae.core.compiled.first_call import check_compiler, first_call

        check_compiler()
        from . import kernels

        one = np.ones((1, 1), dtype=np.float32)
        memory = kernels.memory_for(1, 1, 1, 1, 0)
        first_call(kernels, "work", lambda: kernels.work(one.copy(), one, one, 0, 1, 1, one, one, one, 0, 0, memory))
    except Exception:  # noqa: BLE001 - whatever a compiler meets
        return None
    return kernels


def descend(factor: NDArray[np.float32], gram: NDArray[np.floating], products: NDArray[Any], n_sweeps: int) -> bool:
    """What :func:`.sweeps.sweep` does, where there is what it takes; whether there was."""
    if factor.dtype != np.float32 or not factor.flags.c_contiguous or (kernels := loops()) is None:
        return False
    (n_parts, n_columns), f = factor.shape, np.float32
    given = np.ascontiguousarray(gram, f), np.ascontiguousarray(products, f)
    several = n_sweeps * n_parts * n_parts * n_columns >= SHARED_FROM
    none = np.zeros((0, 0), f)

    def run(first: int, last: int) -> None:
        memory = kernels.memory_for(n_parts, 0, 0, 0, 0)
        kernels.work(factor, *given, first, last, n_sweeps, none, none, none, 0, 0, memory)

    with sharing(n_threads() if several else 1) as share:
        share(n_columns, run)
    return True


def passes(
    activity: NDArray[np.float32],
    loadings: NDArray[np.float32],
    compressed: LowRank,
    how: tuple[int, int, int],
) -> bool:
    """What :func:`.passes.improve_in_turn` does, where there is what it takes; whether there was.

    Python has no part in it. Threads that come back to Python a thousand times in a second wait for each other there:
    ten halves of the cells in ten threads took as long as one after the other.
    """
    arrays = activity, loadings, compressed.left, compressed.right
    if any(a.dtype != np.float32 or not a.flags.c_contiguous for a in arrays) or (kernels := loops()) is None:
        return False
    n_fixed, n_iterations, n_sweeps = how
    if n_iterations:
        none = np.zeros((0, 0), np.float32)
        (n_parts, n_cells), n_genes = activity.shape, loadings.shape[1]
        memory = kernels.memory_for(n_parts, compressed.rank, n_cells, n_genes, n_fixed)
        kernels.work(activity, none, none, 0, 0, n_sweeps, *arrays[1:], n_fixed, n_iterations, memory)
    return True
