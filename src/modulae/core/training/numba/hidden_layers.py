"""Stages of a step, compiled: all layers but the last, on the way up and on the way back, and the penalty."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from .rows import add_products, add_rows, bias_step, coast_lanes, idle, nesterov_lanes, softplus, stage, step_rows
from .simd import COUNT, read, spread, write


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
        for i in range(0, bias.shape[0], COUNT):
            sums = read(bias, i)
            for p in genes:
                gene, x = indices[p], spread(inputs[p])
                if touched[gene] < now:
                    left, moved = idle(now - touched[gene], settings)
                    sums += x * coast_lanes(weight, velocity, (gene, i), spread(left), spread(-moved))
                else:
                    sums += x * read(weight, (gene, i))
            write(total, i, sums)
        for p in genes:
            touched[indices[p]] = now


@stage
def backward_inputs(cells, data, layer, touched, now, settings, deltas):
    """Nesterov step of the rows that were read; it is linear in the gradient, so the cells come one by one."""
    indices, inputs, weight, velocity = data.indices, data.inputs, layer.weight, layer.velocity
    again = settings.learning_rate * (settings.one + settings.momentum)
    momentum, rate, rate_again = spread(settings.momentum), spread(-settings.learning_rate), spread(-again)
    for b in range(cells.shape[0]):
        delta, genes = deltas[b], range(data.indptr[cells[b]], data.indptr[cells[b] + 1])
        for p in genes:
            gene, x = indices[p], spread(inputs[p])
            for i in range(0, weight.shape[1], COUNT):
                gradient = x * read(delta, i)
                if touched[gene] == now:
                    nesterov_lanes(weight, velocity, (gene, i), gradient, momentum, rate)
                else:
                    write(velocity, (gene, i), read(velocity, (gene, i)) + gradient)
                    write(weight, (gene, i), read(weight, (gene, i)) + rate_again * gradient)
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
    for c in range(0, width, COUNT):
        for i in range(0, pairs, 2):
            here, next_ = spread(settings.zero), spread(settings.zero)
            for j in range(i + 1):
                row = read(weight, (j, c))
                here += spread(gap[i, j]) * row
                next_ += spread(gap[i + 1, j]) * row
            for j in range(i + 1, units):
                row = read(weight, (j, c))
                here += spread(gap[j, i]) * row
                next_ += spread(gap[j, i + 1]) * row
            write(gradient, (i, c), spread(scale) * here)
            write(gradient, (i + 1, c), spread(scale) * next_)
        for i in range(pairs, units):
            here = spread(settings.zero)
            for j in range(units):
                here += spread(gap[i, j]) * read(weight, (j, c))
            write(gradient, (i, c), spread(scale) * here)
