"""A stage of a step, compiled: decode cells, compare them with their counts, and take the step of the decoder."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from modulae.core.compiled.first_call import inline, stage
from modulae.core.compiled.simd import (
    FEW,
    WIDTH,
    broadcast,
    broadcast_few,
    exponent,
    load,
    load_few,
    power_of_two,
    store,
    sum_of,
)

from .steps import ONE, ZERO, adam, find

CHUNK = 256
"""Genes that one thread decodes before another may: what reaches the units is summed within such a chunk first."""

HALF, TWO = np.float32(0.5), np.float32(2)
LOG2_E, LN_2, ROOT_2 = (np.float32(number) for number in (np.log2(np.e), np.log(2), np.sqrt(2)))
EXP_TERMS = tuple(np.float32(1 / n) for n in range(7, 1, -1))
ARTANH_TERMS = tuple(np.float32(1 / n) for n in (9, 7, 5, 3, 1))
LARGEST_EXPONENT = np.float32(128)  # of infinity


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
def rates_of(b, cell, gene, n, data, memory, at, numbers):
    """From z·V + b to rates, in place, and how fast they change, both of some genes of a cell; returns their sum."""
    linear, delta = memory.rates, memory.delta
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
    return sum_of(load(linear, (at, b % 2, 0)))  # beyond the last gene there are zeros


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
            adam(
                weights.loadings, means, squares, r, gene, n, gradient[at], r - k, weights.loadings_scale, ZERO, numbers
            )
    one = broadcast(ZERO)
    for b in range(n_cells):
        one += load(delta, (at, b, 0))
    store(gradient, (at, 0, 0), one)
    means, squares = moments.baseline_mean, moments.baseline_square
    adam(weights.baseline, means, squares, 0, gene, n, gradient[at], 0, weights.baseline_scale, ZERO, numbers)


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
