"""Sweeps in compiled loops, where numba can compile them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.threads import n_threads, sharing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED_FROM = 50_000_000
"""Multiplications that are worth several threads."""


@cache
def loops() -> Any:  # noqa: ANN401
    """The compiled sweeps; `None` where numba can't compile them, and NumPy does the same, slower.

    Nothing is said then: the engine that trains what is found needs numba as well, and says so.
    """
    try:
        from modulae.core.compiled.first_call import check_compiler, first_call

        check_compiler()
        from . import kernels

        one = np.ones((1, 1), dtype=np.float32)
        first_call(kernels, "work", lambda: kernels.work(one, 0, 0, one, one, one[0], np.zeros(1, np.intp), 1))
    except Exception:  # noqa: BLE001 - whatever a compiler meets
        return None
    return kernels.work


def descend(  # noqa: PLR0917
    factor: NDArray[np.float32],
    others: NDArray[np.floating],
    products: NDArray[Any],
    step: NDArray[np.floating],
    parts: NDArray[np.intp],
    n_sweeps: int,
) -> bool:
    """What :func:`.sweeps.sweep` does, where there is what it takes; whether there was."""
    if factor.dtype != np.float32 or not factor.flags.c_contiguous or (work := loops()) is None:
        return False
    (n_parts, n_columns), f = factor.shape, np.float32
    negative = np.zeros((n_parts, n_parts + n_parts % 2), dtype=f)
    negative[:, :n_parts] = -others
    given = negative, np.ascontiguousarray(products, f), step.astype(f, copy=False), parts, n_sweeps
    several = n_sweeps * n_parts * n_parts * n_columns >= SHARED_FROM
    with sharing(n_threads() if several else 1) as share:
        share(n_columns, lambda first, last: work(factor, first, last, *given))
    return True
