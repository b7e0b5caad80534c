"""Steps of the parts-based autoencoder, compiled: cells are read from counts that are not 0, and decoded gene by gene.

A step has four stages, each of which several threads can share: cells are read (by cells); they are decoded, compared
with their counts, and V and b take their step, some genes after another while these lie in the cache (by chunks of
genes); what reaches the units is summed, in one order however many threads there are; and the encoder takes its step
(by genes).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np

from modulae.core.compiled.first_call import COMPILED, digest, stage
from modulae.core.compiled.simd import FEW, broadcast_few, load_few, store
from modulae.core.compiled.simd import FILE as SIMD
from modulae.core.training.numba import rows

from .decoder import decode
from .steps import ZERO, adam, find

READ, DECODE, SUM, ENCODER = range(4)
"""The stages, in their order."""

MADE_OF = (
    SIMD,
    Path(rows.__file__),
    *(Path(__file__).with_name(f"{name}.py") for name in ("arguments", "decoder", "steps")),
)
"""Files that are compiled together with this one."""

ANY = np.float32(-3e38)
softplus = rows.softplus


@stage
def read(first, last, cells, data, weights, memory, numbers):
    """What units get of each cell, and their activity."""
    indices, inputs, encoder = data.indices, data.inputs, weights.encoder
    n_units = weights.loadings.shape[0]
    for b in range(first, last):
        begin, end = data.indptr[cells[b]], data.indptr[cells[b] + 1]
        paired = end - (end - begin) % 2
        for i in range(0, encoder.shape[1], FEW):
            sums, others = load_few(weights.bias, (0, i)), broadcast_few(ZERO)
            for p in range(begin, paired, 2):
                sums += broadcast_few(inputs[p]) * load_few(encoder, (indices[p], i))
                others += broadcast_few(inputs[p + 1]) * load_few(encoder, (indices[p + 1], i))
            if paired < end:
                sums += broadcast_few(inputs[paired]) * load_few(encoder, (indices[paired], i))
            store(memory.linear, (b, i), sums + others)
        linear, units, slope = memory.linear[b, :n_units], memory.units[b, :n_units], memory.slope[b, :n_units]
        for k in range(n_units):
            units[k] = max(linear[k], numbers.lowest)
        softplus(units, units, slope, numbers.beta, numbers)
        for k in range(n_units):
            units[k] += numbers.silent
            slope[k] = slope[k] if linear[k] >= numbers.lowest else ZERO


@stage
def sum_up(n_cells, weights, moments, memory, numbers):
    """What reaches the units from all chunks, without the slope below them; and the step of the bias."""
    total, back, gradient = memory.back[0], memory.back, memory.gradient
    n_units = weights.loadings.shape[0]
    for chunk in range(1, back.shape[0]):
        for b in range(n_cells):
            for k in range(n_units):
                total[b, k] += back[chunk, b, k]
    for k in range(n_units):
        gradient[0, 0, k] = ZERO
    for b in range(n_cells):
        for k in range(n_units):
            total[b, k] *= memory.slope[b, k]
            gradient[0, 0, k] += total[b, k]
    means, squares = moments.bias_mean, moments.bias_square
    adam(weights.bias, means, squares, 0, 0, n_units, gradient[0], 0, weights.bias_scale, ANY, numbers)


@stage
def step_encoder(first, last, cells, data, weights, moments, memory, numbers):
    """Adam's step of the encoder in some genes."""
    gradient, indices, inputs, n = memory.encoder, data.indices, data.inputs, weights.encoder.shape[1]
    penalised = memory.penalty.shape[0] > 0
    for gene in range(first, last):
        for k in range(n):
            gradient[gene, k] = memory.penalty[gene, k] if penalised else ZERO
    for b in range(cells.shape[0]):
        end = data.indptr[cells[b] + 1]
        place = find(indices, data.indptr[cells[b]], end, first)
        while place < end and indices[place] < last:
            gene, x = indices[place], broadcast_few(inputs[place])
            for i in range(0, n, FEW):
                more = x * load_few(memory.back, (0, b, i))
                store(gradient, (gene, i), load_few(gradient, (gene, i)) + more)
            place += 1
    means, squares = moments.encoder_mean, moments.encoder_square
    for gene in range(first, last):
        adam(weights.encoder, means, squares, gene, 0, n, gradient, gene, weights.encoder_scale, ANY, numbers)


def compiled(*, keep: bool) -> Any:  # noqa: ANN401
    """What Python calls; it is compiled by the first call, or read from disk, where it is also kept."""
    return _made_of(digest(MADE_OF), keep=keep)


def _made_of(made_of: int, *, keep: bool) -> Any:  # noqa: ANN401
    """Compile the stages; `made_of` says what else than this file they are made of, see :func:`.first_call.digest`."""

    @numba.njit(cache=keep, **COMPILED)
    def work(which, first, last, cells, data, weights, moments, memory, numbers, learn):
        """A share of a stage."""
        made_of  # noqa: B018
        if which == READ:
            read(first, last, cells, data, weights, memory, numbers)
        elif which == DECODE:
            decode(first, last, cells, data, weights, moments, memory, numbers, learn)
        elif which == SUM:
            sum_up(cells.shape[0], weights, moments, memory, numbers)
        else:
            step_encoder(first, last, cells, data, weights, moments, memory, numbers)

    return work


try:
    work = compiled(keep=True)
except RuntimeError:  # numba has found no folder that it may write to
    work = compiled(keep=False)
