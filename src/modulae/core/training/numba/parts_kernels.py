"""Steps of the parts-based autoencoder, compiled: cells are read from counts that are not 0, and decoded gene by gene.

A step has four stages, each of which several threads can share: cells are read (by cells); they are decoded, compared
with their counts, and V and b take their step, some genes after another while these lie in the cache (by chunks of
genes); what reaches the units is summed, in one order however many threads there are; and the encoder takes its step
(by genes).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN202, PLR0917

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from .kernels import digest
from .rows import COMPILED, inline, softplus, stage
from .simd import FEW, WIDTH, broadcast, broadcast_few, exponent, load, load_few, power_of_two, store

READ, DECODE, SUM, ENCODER = range(4)
"""The stages, in their order."""

CHUNK = 256
"""Genes that one thread decodes before another may: what reaches the units is summed within such a chunk first."""

MADE_OF = ("arguments", "parts_kernels", "rows", "simd")
"""Files that are compiled together with this one."""

ZERO, HALF, ONE, TWO = (np.float32(number) for number in (0, 0.5, 1, 2))
LOG2_E, LN_2, ROOT_2 = (np.float32(number) for number in (np.log2(np.e), np.log(2), np.sqrt(2)))
EXP_TERMS = tuple(np.float32(1 / n) for n in range(7, 1, -1))
ARTANH_TERMS = tuple(np.float32(1 / n) for n in (9, 7, 5, 3, 1))
LARGEST_EXPONENT = np.float32(128)  # of infinity
ANY = np.float32(-3e38)
NOTHING, NOTHING_SQUARED = np.float32(1e-30), np.float32(1e-36)  # less would become denormal numbers in the end


@inline
def find(indices, first, last, gene):
    """Where the first gene that is not before this one stands."""
    while first < last:
        middle = (first + last) // 2
        if indices[middle] < gene:
            first = middle + 1
        else:
            last = middle
    return first


@inline
def log_sum(counts, rates, n):
    """Σ x · log y, with log y = k·ln 2 + 2·artanh((m − 1) / (m + 1)) for y = 2ᵏ·m."""
    total = ZERO
    for i in range(n):
        k = exponent(rates[i])
        m = rates[i] * power_of_two(-k)
        large = m > ROOT_2
        m = HALF * m if large else m
        k = k + ONE if large else k
        t = (m - ONE) / (m + ONE)
        square, series = t * t, ZERO
        for term in ARTANH_TERMS:
            series = series * square + term
        total += counts[i] * (k * LN_2 + TWO * t * series)
    return total


@inline
def adam(weight, mean, square, row, start, n, gradient, at, scale, lowest, numbers):
    """A step of Adam in some numbers of a row; afterwards none is below the lowest."""
    for c in range(n):
        slope = gradient[at, c]
        m = numbers.beta1 * mean[row, start + c] + (ONE - numbers.beta1) * slope
        v = numbers.beta2 * square[row, start + c] + (ONE - numbers.beta2) * slope * slope
        m, v = m if abs(m) > NOTHING else ZERO, v if v > NOTHING_SQUARED else ZERO
        mean[row, start + c], square[row, start + c] = m, v
        step = scale[start + c] * numbers.step * m / (np.sqrt(v) * numbers.root + numbers.eps)
        weight[row, start + c] = max(weight[row, start + c] - step, lowest)


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


@inline
def rates_of(b, cell, gene, n, data, memory, at, numbers):
    """From z·V + b to rates, in place, and how fast they change, both of some genes of a cell; returns their sum."""
    linear, delta, total = memory.rates, memory.delta, ZERO
    size, changed = data.size_factors[cell], data.batch.shape[0] > 0
    for c in range(n):
        x = linear[at, b % 2, c]
        k = min(np.floor(x * LOG2_E + HALF), LARGEST_EXPONENT)
        rest, series = x - k * LN_2, ONE
        for term in EXP_TERMS:
            series = ONE + series * rest * term
        power = power_of_two(k)
        less = power * rest * series + (power - ONE)  # exp(x) − 1
        linear[at, b % 2, c] = size * (less + numbers.silent)
        delta[at, b, c] = numbers.scale * size * (less + ONE)
    if changed:
        batch = data.batch[cell]
        for c in range(n):
            linear[at, b % 2, c] *= data.factors[batch, gene + c]
            delta[at, b, c] *= data.factors[batch, gene + c]
    for c in range(n):
        total += linear[at, b % 2, c]
    return total


@inline
def predict(n_cells, cells, gene, n, data, weights, memory, at, numbers):
    """Rates of some genes in all cells, and the derivative of the loss by their logarithms; returns the loss."""
    loadings, units, places = weights.loadings, memory.units, memory.places
    loss, n_seen = 0.0, 0
    for first in range(0, n_cells, 2):
        one = load(weights.baseline, (0, gene))
        two = one
        for k in range(loadings.shape[0]):
            row = load(loadings, (k, gene))
            one += broadcast(units[first, k]) * row
            two += broadcast(units[first + 1, k]) * row
        store(memory.rates, (at, 0, 0), one)
        store(memory.rates, (at, 1, 0), two)
        for b in range(first, min(first + 2, n_cells)):
            loss += rates_of(b, cells[b], gene, n, data, memory, at, numbers)
            place, end = places[at, b], data.indptr[cells[b] + 1]
            while place < end and data.indices[place] < gene + n:
                c, count = data.indices[place] - gene, data.counts[place]
                rate = memory.rates[at, b % 2, c] + numbers.epsilon
                memory.delta[at, b, c] *= ONE - count / rate
                memory.seen[at, 0, n_seen], memory.seen[at, 1, n_seen] = count, rate
                n_seen += 1
                place += 1
            places[at, b] = place
    return loss - log_sum(memory.seen[at, 0], memory.seen[at, 1], n_seen)


@inline
def pass_back(n_cells, chunk, gene, n, weights, memory, at):
    """Add what reaches the units from some genes."""
    turned, delta, back, loadings = memory.turned, memory.delta, memory.back, weights.loadings
    for k in range(loadings.shape[0]):
        for c in range(n):
            turned[at, c, k] = loadings[k, gene + c]
    for i in range(0, back.shape[2], FEW):
        for b in range(0, n_cells, 4):  # beyond the last cell there is room
            sums0, sums1 = load_few(back, (chunk, b, i)), load_few(back, (chunk, b + 1, i))
            sums2, sums3 = load_few(back, (chunk, b + 2, i)), load_few(back, (chunk, b + 3, i))
            for c in range(n):
                row = load_few(turned, (at, c, i))
                sums0 += broadcast_few(delta[at, b, c]) * row
                sums1 += broadcast_few(delta[at, b + 1, c]) * row
                sums2 += broadcast_few(delta[at, b + 2, c]) * row
                sums3 += broadcast_few(delta[at, b + 3, c]) * row
            store(back, (chunk, b, i), sums0)
            store(back, (chunk, b + 1, i), sums1)
            store(back, (chunk, b + 2, i), sums2)
            store(back, (chunk, b + 3, i), sums3)


@inline
def step_decoder(n_cells, gene, n, weights, moments, memory, at, numbers):
    """Adam's step of V and b in some genes."""
    delta, units, gradient = memory.delta, memory.units, memory.gradient
    for k in range(0, weights.loadings.shape[0], 2):  # beyond the last unit there is room
        one, two = broadcast(ZERO), broadcast(ZERO)
        for b in range(n_cells):
            row = load(delta, (at, b, 0))
            one += broadcast(units[b, k]) * row
            two += broadcast(units[b, k + 1]) * row
        store(gradient, (at, 0, 0), one)
        store(gradient, (at, 1, 0), two)
        for r in range(k, min(k + 2, weights.loadings.shape[0])):
            means, squares = moments.loadings_mean, moments.loadings_square
            adam(weights.loadings, means, squares, r, gene, n, gradient[at], r - k, weights.scale, ZERO, numbers)
    one = broadcast(ZERO)
    for b in range(n_cells):
        one += load(delta, (at, b, 0))
    store(gradient, (at, 0, 0), one)
    means, squares = moments.baseline_mean, moments.baseline_square
    adam(weights.baseline, means, squares, 0, gene, n, gradient[at], 0, weights.scale, ZERO, numbers)


@stage
def decode(first, last, cells, data, weights, moments, memory, numbers, learn):
    """Decode cells in some chunks of genes, and learn from them; the loss of each chunk is left in the memory."""
    n_cells, n_genes, at = cells.shape[0], weights.encoder.shape[0], first
    for b in range(n_cells):
        memory.places[at, b] = find(data.indices, data.indptr[cells[b]], data.indptr[cells[b] + 1], first * CHUNK)
    for chunk in range(first, last):
        loss, end = 0.0, min((chunk + 1) * CHUNK, n_genes)
        memory.back[chunk] = ZERO
        for gene in range(chunk * CHUNK, end, WIDTH):
            n = min(WIDTH, end - gene)
            loss += predict(n_cells, cells, gene, n, data, weights, memory, at, numbers)
            if learn:
                pass_back(n_cells, chunk, gene, n, weights, memory, at)
                step_decoder(n_cells, gene, n, weights, moments, memory, at, numbers)
        memory.loss[chunk] = loss


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
    """Compile the stages; `made_of` says what else than this file they are made of, see :mod:`.kernels`."""

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
