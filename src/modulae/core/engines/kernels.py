"""One epoch of training in compiled loops: Nesterov steps whose cost is that of the counts which are not zero.

The loops that the stages are made of stand in :mod:`.rows`. Scalars come in the type of the weights: a float64 or an
integer among float32 would widen the loops. NaN are not looked for in here (`fastmath`); the caller checks the loss.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from .lanes import COUNT, read, spread, write
from .rows import (
    COMPILED,
    add_products,
    add_rows,
    bias_step,
    coast,
    coast_lanes,
    idle,
    inline,
    nesterov,
    nesterov_lanes,
    pass_back,
    softplus,
    step_rows,
)

BLAS_FROM = 96
"""Cells a step from which the output layer goes through BLAS."""

ROWS_IN_CACHE = 64
"""Rows that are gone over more than once while they lie in the cache next to the processor."""

# only `epoch` is called from Python, and kept: what unpacks arguments takes as long to compile as a stage itself
stage: Any = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **COMPILED)  # type: ignore[call-overload]


class Layer(NamedTuple):
    """A layer's weights and their velocities; rows are genes where there are genes, else outputs.

    Rows go on with zeros to a multiple of :data:`.lanes.COUNT`, and what they are multiplied with, so that they stay 0.
    """

    weight: Any
    velocity: Any
    bias: Any
    bias_velocity: Any


class Sparse(NamedTuple):
    """Cells × genes by rows, genes ascending: counts, what the encoder reads, size factors and batches of the cells."""

    indptr: Any
    indices: Any
    counts: Any
    inputs: Any
    size_factors: Any
    batch: Any  # of each cell; empty where there are no batches
    factors: Any  # of batches, × genes
    expected: Any  # batches × genes: rates summed before the factors; empty where they are not wanted


class Settings(NamedTuple):
    """Numbers of a step, all in the type of the weights."""

    learning_rate: Any
    momentum: Any
    reach: Any  # how far a velocity carries without gradients: lr·μ² / (1 − μ)
    powers: Any  # μ⁰, μ¹, … as an array whose last entry is 0
    orthogonality: Any
    betas: Any  # SoftPlus β of the four layers
    exp_terms: Any  # 1/n, …, 1/2, 1
    artanh_terms: Any  # 1/n, …, 1/3, 1 for odd n
    epsilon: Any
    smallest_norm: Any
    zero: Any
    one: Any


class Hidden(NamedTuple):
    """Memory of a hidden layer in a step, each cells × width."""

    linear: Any  # before SoftPlus
    value: Any  # after it
    slope: Any  # its derivative
    delta: Any  # derivative of the loss with respect to `linear`


class Square(NamedTuple):
    """Memory of the penalty."""

    gap: Any  # units × units
    penalty: Any  # units × hidden


class Block(NamedTuple):
    """Memory of some genes of the output."""

    linear: Any  # flat, cells × genes
    rate: Any  # genes, for one cell
    delta: Any  # flat, cells × genes
    gradient: Any  # genes × hidden
    places: Any  # cells: where in its counts each stands


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


@inline
def compare(cell, place, first, data, rates, deltas, scale, settings):
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
def take_batch(cell, first, data, rates, slopes):
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
            take_batch(cells[b], first, data, rates, delta)
        block.places[b], more = compare(cells[b], block.places[b], first, data, rates, delta, scale, settings)
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
            take_batch(cell, first, data, rate, delta)
        place, more = compare(cell, place, first, data, rate, delta, scale, settings)
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


def _digest() -> int:
    sources = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("lanes", "rows")]
    return int.from_bytes(blake2b(b"".join(sources) + bytes([COUNT]), digest_size=7).digest())


def _kept(made_of: int) -> Any:  # noqa: ANN401
    """Compile what Python calls, and keep it on disk.

    Numba finds again what it has kept by the file of a function and by the variables around it; so these say what else
    the code is made of.
    """

    @numba.njit(cache=True, **COMPILED)
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
            coast(first.weight[gene], first.velocity[gene], now - touched[gene], settings)
            touched[gene] = 0
        return loss

    return epoch


epoch = _kept(_digest())
