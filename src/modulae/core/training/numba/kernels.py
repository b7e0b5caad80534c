"""One epoch of training in compiled loops: Nesterov steps whose cost is that of the counts which are not zero.

Its stages stand in :mod:`.hidden_layers` and :mod:`.output_layer`, the loops that they are made of in :mod:`.rows`.
Scalars come in the type of the weights: a float64 or an integer among float32 would widen the loops. NaN are not looked
for in any of it (`fastmath`); the caller checks the loss.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN202, PLR0917

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np

from modulae.core.compiled.first_call import COMPILED, digest
from modulae.core.compiled.simd import FILE as SIMD

from .hidden_layers import activate, backward, backward_inputs, forward, forward_inputs, penalty_gradient
from .output_layer import output_by_blas, output_by_rows, output_of_one_cell
from .rows import apply_pending_momentum

BLAS_FROM = 96
"""Cells a step from which the output layer goes through BLAS."""

MADE_OF = (
    SIMD,
    *(Path(__file__).with_name(f"{name}.py") for name in ("arguments", "hidden_layers", "output_layer", "rows")),
)
"""Files that are compiled together with this one."""


def compiled(*, keep: bool) -> Any:  # noqa: ANN401
    """What Python calls; it is compiled by the first call, or read from disk, where it is also kept."""
    return _made_of(digest(MADE_OF), keep=keep)


def _made_of(made_of: int, *, keep: bool) -> Any:  # noqa: ANN401
    """Compile an epoch; `made_of` says what else than this file it is made of, see :func:`.first_call.digest`."""

    @numba.njit(cache=keep, **COMPILED)
    def epoch(order, size, data, layers, touched, settings, unit, hidden, units, hidden_out, square, block, learn):
        """Steps over the cells in this order, `size` at a time; returns the loss summed over cells and genes.

        Without `learn` the weights stay as they are.
        """
        made_of  # noqa: B018
        first, second, third, last = layers
        n_hidden, n_units = third.weight.shape[0], second.weight.shape[0]
        loss, now, no_penalty = 0.0, np.int64(0), square.penalty[:0]
        for start in range(0, order.shape[0], size):
            cells = order[start : start + size]
            n = cells.shape[0]
            forward_inputs(cells, data, first, touched, now, settings, hidden.linear)
            activate(hidden, n, n_hidden, settings.betas[0], settings)
            forward(second, hidden.value, n, settings, units.linear)
            activate(units, n, n_units, settings.betas[1], settings)
            forward(third, units.value, n, settings, hidden_out.linear)
            activate(hidden_out, n, n_hidden, settings.betas[2], settings)
            below, out = hidden_out.delta[:n], hidden_out.value[:n]
            for b in range(n):
                block.places[b] = data.indptr[cells[b]]
                for i in range(below.shape[1]):
                    below[b, i] = settings.zero
            scale = data.counts.dtype.type(1 / (unit * n))
            if n == 1:
                loss += output_of_one_cell(cells[0], data, last, out[0], settings, scale, block, below[0], learn)
            elif size < BLAS_FROM:
                loss += output_by_rows(cells, data, last, out, settings, scale, block, below, learn)
            else:
                loss += output_by_blas(cells, data, last, out, settings, scale, block, below, learn)
            if not learn:
                continue
            for b in range(n):
                for i in range(below.shape[1]):
                    below[b, i] *= hidden_out.slope[b, i]
            backward(third, units.value, units.slope, below, n, settings, no_penalty, units.delta)
            penalty = no_penalty
            if settings.orthogonality > settings.zero:
                penalty_gradient(second.weight, settings, square.gap, square.penalty)
                penalty = square.penalty
            backward(second, hidden.value, hidden.slope, units.delta, n, settings, penalty, hidden.delta)
            backward_inputs(cells, data, first, touched, now, settings, hidden.delta)
            now += 1
        for gene in range(touched.shape[0]):
            apply_pending_momentum(first.weight[gene], first.velocity[gene], now - touched[gene], settings)
            touched[gene] = 0
        return loss

    return epoch


try:
    epoch = compiled(keep=True)
except RuntimeError:  # numba has found no folder that it may write to
    epoch = compiled(keep=False)
