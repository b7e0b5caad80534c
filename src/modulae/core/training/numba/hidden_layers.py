"""Stages of a step, compiled: all layers but the last, on the way up and on the way back, and the penalty."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from modulae.core.compiled.first_call import stage
from modulae.core.compiled.simd import WIDTH, broadcast, load, store

from .rows import (
    add_products,
    add_rows,
    apply_pending_momentum_lanes,
    bias_step,
    nesterov_lanes,
    pending_momentum,
    softplus,
    step_rows,
)


@stage
def activate(layer, n_cells, width, beta, settings):
    """SoftPlus of a hidden layer; beyond its width values and slopes stay 0."""
    for b in range(n_cells):
        softplus(layer.linear[b, :width], layer.value[b, :width], layer.slope[b, :width], beta, settings)


@stage
def forward_inputs(cells, data, layer, touched, now, settings, out):
    """First layer before its SoftPlus: the rows of each cell's genes; one left alone for some steps moves on first."""
    indices, inputs, weight, velocity, bias = data.indices, data.inputs, layer.weight, layer.velocity, layer.bias
    for b in range(cells.shape[0]):
        total, genes = out[b], range(data.indptr[cells[b]], data.indptr[cells[b] + 1])
        for i in range(0, bias.shape[0], WIDTH):
            sums = load(bias, i)
            for p in genes:
                gene, x = indices[p], broadcast(inputs[p])
                if touched[gene] < now:
                    left, moved = pending_momentum(now - touched[gene], settings)
                    sums += x * apply_pending_momentum_lanes(
                        weight, velocity, (gene, i), broadcast(left), broadcast(-moved)
                    )
                else:
                    sums += x * load(weight, (gene, i))
            store(total, i, sums)
        for p in genes:
            touched[indices[p]] = now


@stage
def backward_inputs(cells, data, layer, touched, now, settings, deltas):
    """Nesterov step of the rows that were read; it is linear in the gradient, so the cells come one by one."""
    indices, inputs, weight, velocity = data.indices, data.inputs, layer.weight, layer.velocity
    again = settings.learning_rate * (settings.one + settings.momentum)
    momentum, rate, rate_again = broadcast(settings.momentum), broadcast(-settings.learning_rate), broadcast(-again)
    for b in range(cells.shape[0]):
        delta, genes = deltas[b], range(data.indptr[cells[b]], data.indptr[cells[b] + 1])
        for p in genes:
            gene, x = indices[p], broadcast(inputs[p])
            for i in range(0, weight.shape[1], WIDTH):
                gradient = x * load(delta, i)
                if touched[gene] == now:
                    nesterov_lanes(weight, velocity, (gene, i), gradient, momentum, rate)
                else:
                    store(velocity, (gene, i), load(velocity, (gene, i)) + gradient)
                    store(weight, (gene, i), load(weight, (gene, i)) + rate_again * gradient)
        for p in genes:
            touched[indices[p]] = now + 1
    bias_step(layer.bias, layer.bias_velocity, deltas, cells.shape[0], settings)


@stage
def forward(layer, inputs, n_cells, settings, out):
    """A hidden layer before its SoftPlus."""
    for b in range(n_cells):
        total = out[b]
        for i in range(layer.bias.shape[0]):
            total[i] = layer.bias[i]
        add_products(total, layer.weight, 0, layer.weight.shape[0], inputs[b], settings.zero)


@stage
def backward(layer, inputs, slopes, deltas, n_cells, settings, penalty, below):
    """Deltas of the layer below, then the Nesterov step of this one; `penalty`, if any, is added to its gradient."""
    n_rows, width = layer.weight.shape
    for b in range(n_cells):
        down, slope = below[b], slopes[b]
        for i in range(width):
            down[i] = settings.zero
        add_rows(down, layer.weight, 0, n_rows, deltas[b])
        for i in range(width):
            down[i] *= slope[i]
    step_rows(layer.weight, layer.velocity, deltas, inputs, n_cells, penalty, settings)
    bias_step(layer.bias, layer.bias_velocity, deltas, n_cells, settings)


@stage
def penalty_gradient(weight, settings, gap, gradient):
    """λ times the gradient of ‖I − WWᵀ‖_F: −2λ (I − WWᵀ) W / ‖I − WWᵀ‖_F. The gap is symmetric: half is worked out."""
    (units, width), squares = weight.shape, settings.zero
    for i in range(units):
        row = gap[i]
        for j in range(i + 1):
            row[j] = settings.zero
        add_products(row, weight, 0, i + 1, weight[i], settings.zero)
        row[i] -= settings.one
        squares -= row[i] * row[i]
        for j in range(i + 1):
            squares += row[j] * row[j] + row[j] * row[j]
    scale = settings.orthogonality / max(np.sqrt(squares), settings.smallest_norm)
    scale += scale
    pairs = units - units % 2
    for c in range(0, width, WIDTH):
        for i in range(0, pairs, 2):
            here, next_ = broadcast(settings.zero), broadcast(settings.zero)
            for j in range(i + 1):
                row = load(weight, (j, c))
                here += broadcast(gap[i, j]) * row
                next_ += broadcast(gap[i + 1, j]) * row
            for j in range(i + 1, units):
                row = load(weight, (j, c))
                here += broadcast(gap[j, i]) * row
                next_ += broadcast(gap[j, i + 1]) * row
            store(gradient, (i, c), broadcast(scale) * here)
            store(gradient, (i + 1, c), broadcast(scale) * next_)
        for i in range(pairs, units):
            here = broadcast(settings.zero)
            for j in range(units):
                here += broadcast(gap[i, j]) * load(weight, (j, c))
            store(gradient, (i, c), broadcast(scale) * here)
