"""A whole factorisation, compiled: Python has no part in its passes.

Threads that come back to Python a thousand times in a second wait for each other there: ten halves of the cells in ten
threads took as long as one after the other.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN202, PLR0917

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np

from modulae.core.compiled import simd
from modulae.core.compiled.first_call import COMPILED, digest

from . import kernels


def compiled(*, keep: bool) -> Any:  # noqa: ANN401
    """What Python calls; it is compiled by the first call, or read from disk, where it is also kept."""
    return _made_of(digest([simd.FILE, Path(kernels.__file__)]), keep=keep)


def _made_of(made_of: int, *, keep: bool) -> Any:  # noqa: ANN401
    """Compile it; `made_of` says what else than this file it is made of, see :func:`.first_call.digest`."""
    improve = kernels.improve

    @numba.njit(cache=keep, **COMPILED)
    def work(activity, loadings, left, right, n_fixed, n_iterations, n_sweeps):
        """Passes over both factors of `left @ right`; the first `n_fixed` loadings stay as they are."""
        made_of  # noqa: B018
        n_parts, rank = len(loadings), len(right)
        small = np.empty((n_parts, rank), np.float32)
        of_cells, of_genes = np.empty_like(activity), np.empty_like(loadings[n_fixed:])
        for _ in range(n_iterations):
            np.dot(loadings, right.T, small)
            np.dot(small, left.T, of_cells)
            improve(activity, np.dot(loadings, loadings.T), of_cells, n_sweeps)
            if n_fixed == n_parts:
                continue
            gram = np.dot(activity, activity.T)
            np.dot(activity[n_fixed:], left, small[n_fixed:])
            np.dot(small[n_fixed:], right, of_genes)
            if n_fixed:
                of_genes -= np.dot(np.ascontiguousarray(gram[n_fixed:, :n_fixed]), loadings[:n_fixed])
            improve(loadings[n_fixed:], np.ascontiguousarray(gram[n_fixed:, n_fixed:]), of_genes, n_sweeps)

    return work


try:
    work = compiled(keep=True)
except RuntimeError:  # numba has found no folder that it may write to
    work = compiled(keep=False)
