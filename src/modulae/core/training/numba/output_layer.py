"""Stages of a step, compiled: the last layer, and what its rates are compared with."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from modulae.core.compiled.first_call import inline, stage

from .rows import add_products, add_rows, bias_step, nesterov, pass_back, softplus, step_rows

ROWS_IN_CACHE = 64
"""Rows that are gone over more than once while they lie in the cache next to the processor."""


@inline
def compare_counts(cell, place, first, data, rates, deltas, scale, settings):
    """Turn the slopes of a cell's genes into deltas, scale · s · slope · (1 − x / y).

    Returns where the counts of the genes after them begin, and the loss Σ y − x · log y.
    """
    size, loss, total = data.size_factors[cell], 0.0, settings.zero
    for c in range(rates.shape[0]):
        total += rates[c]
        deltas[c] *= scale * size
    while place < data.indptr[cell + 1] and data.indices[place] < first + rates.shape[0]:
        c, count = data.indices[place] - first, data.counts[place]
        rate = size * rates[c] + settings.epsilon
        deltas[c] *= settings.one - count / rate
        loss -= count * np.log(rate)
        place += 1
    return place, loss + total * size


@inline
def apply_batch_factors(cell, first, data, rates, slopes):
    """Multiply rates and slopes of a cell's genes by the factors of its batch, after summing the rates."""
    batch, size = data.batch[cell], data.size_factors[cell]
    for c in range(rates.shape[0]):
        if data.expected.shape[0]:
            data.expected[batch, first + c] += size * rates[c]
        rates[c] *= data.factors[batch, first + c]
        slopes[c] *= data.factors[batch, first + c]


@stage
def compare_all(cells, first, linear, deltas, data, settings, scale, block):
    """Deltas of some genes, and the loss, from the outputs before their SoftPlus; both cells × genes."""
    rates, loss = block.rate[: linear.shape[1]], 0.0
    for b in range(cells.shape[0]):
        delta = deltas[b]
        softplus(linear[b], rates, delta, settings.betas[3], settings)
        if data.batch.shape[0]:
            apply_batch_factors(cells[b], first, data, rates, delta)
        block.places[b], more = compare_counts(cells[b], block.places[b], first, data, rates, delta, scale, settings)
        loss += more
    return loss


@stage
def output_of_one_cell(cell, data, layer, hidden, settings, scale, block, below, learn):
    """Last layer for one cell, some genes after another while they lie in the cache: predict, pass back, update.

    Returns the loss summed over genes; `below` gets Σ_g delta · row, without the slope of the hidden layer.
    """
    n_genes, loss, place = layer.weight.shape[0], 0.0, data.indptr[cell]
    linear, rates, deltas = block.linear[:n_genes], block.rate[:n_genes], block.delta[:n_genes]
    for c in range(n_genes):
        linear[c] = layer.bias[c]
    for first in range(0, n_genes, ROWS_IN_CACHE):
        last = min(n_genes, first + ROWS_IN_CACHE)
        add_products(linear, layer.weight, first, last, hidden, settings.zero)
        rate, delta = rates[first:last], deltas[first:last]
        softplus(linear[first:last], rate, delta, settings.betas[3], settings)
        if data.batch.shape[0]:
            apply_batch_factors(cell, first, data, rate, delta)
        place, more = compare_counts(cell, place, first, data, rate, delta, scale, settings)
        loss += more
        if learn:
            pass_back(below, layer.weight, layer.velocity, first, last, deltas, hidden, settings)
    if learn:
        nesterov(layer.bias, layer.bias_velocity, deltas, settings.one, settings)
    return loss


@stage
def output_by_rows(cells, data, layer, hidden, settings, scale, block, below, learn):
    """Last layer for few cells, some genes after another while they lie in the cache: predict, pass back, update.

    Returns the loss summed over cells and genes; `below` gets Σ_g delta · row, without the slope of the hidden layer.
    """
    n_cells, n_genes, loss, no_penalty = cells.shape[0], layer.weight.shape[0], 0.0, layer.weight[:0]
    for first in range(0, n_genes, ROWS_IN_CACHE):
        n = min(ROWS_IN_CACHE, n_genes - first)
        weight, velocity = layer.weight[first : first + n], layer.velocity[first : first + n]
        bias, bias_velocity = layer.bias[first : first + n], layer.bias_velocity[first : first + n]
        linear = block.linear[: n_cells * n].reshape((n_cells, n))
        deltas = block.delta[: n_cells * n].reshape((n_cells, n))
        for b in range(n_cells):
            total = linear[b]
            for c in range(n):
                total[c] = bias[c]
            add_products(total, weight, 0, n, hidden[b], settings.zero)
        loss += compare_all(cells, first, linear, deltas, data, settings, scale, block)
        if not learn:
            continue
        for b in range(n_cells):
            add_rows(below[b], weight, 0, n, deltas[b])
        step_rows(weight, velocity, deltas, hidden, n_cells, no_penalty, settings)
        bias_step(bias, bias_velocity, deltas, n_cells, settings)
    return loss


@stage
def output_by_blas(cells, data, layer, hidden, settings, scale, block, below, learn):
    """The same for many cells, through BLAS."""
    n_cells, n_genes, loss, at_once = cells.shape[0], layer.weight.shape[0], 0.0, block.gradient.shape[0]
    for first in range(0, n_genes, at_once):
        n = min(at_once, n_genes - first)
        weight, velocity = layer.weight[first : first + n], layer.velocity[first : first + n]
        bias, bias_velocity = layer.bias[first : first + n], layer.bias_velocity[first : first + n]
        linear = block.linear[: n_cells * n].reshape((n_cells, n))
        deltas = block.delta[: n_cells * n].reshape((n_cells, n))
        np.dot(hidden, weight.T, linear)
        for b in range(n_cells):
            total = linear[b]
            for c in range(n):
                total[c] += bias[c]
        loss += compare_all(cells, first, linear, deltas, data, settings, scale, block)
        if not learn:
            continue
        back, gradient = np.dot(deltas, weight), block.gradient[:n]
        for b in range(n_cells):
            total, more = below[b], back[b]
            for i in range(total.shape[0]):
                total[i] += more[i]
        np.dot(deltas.T, hidden, gradient)
        for c in range(n):
            nesterov(weight[c], velocity[c], gradient[c], settings.one, settings)
        bias_step(bias, bias_velocity, deltas, n_cells, settings)
    return loss
