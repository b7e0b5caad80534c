"""One epoch of training in compiled loops: Nesterov steps whose cost is that of the counts which are not zero.

Everything numba compiles stands in this one file, because its cache looks only at the file of the function that is
called. Scalars come in the type of the weights: a float64 or an integer among float32 would widen the loops.
NaN are not looked for in here (`fastmath`); the caller checks the loss.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

BLAS_FROM = 16
"""Cells a step from which the output layer goes through BLAS."""

COMPILED: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "nogil": True}
stage = numba.njit(cache=True, **COMPILED)
# copied into the stage that calls it: a call would count references to its arrays, slower than the work on a row
inline = numba.njit(inline="always", **COMPILED)


class Layer(NamedTuple):
    """A layer's weights and their velocities; rows are genes where there are genes, else outputs."""

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
    """Memory of some genes of the output; all but the gradient flat, cells × genes."""

    linear: Any
    rate: Any
    delta: Any
    bits: Any  # integers as wide as the weights
    power_of_two: Any  # the same memory as floats
    gradient: Any  # genes × hidden
    row: Any  # as long as the widest hidden layer
    places: Any  # cells: where in its counts each stands


@inline
def add_rows(total, matrix, n_rows, factors):
    """Total += Σᵣ factors[r] · matrix[r], four rows at a time."""
    whole = n_rows - n_rows % 4
    for r in range(0, whole, 4):
        row0, row1, row2, row3 = matrix[r], matrix[r + 1], matrix[r + 2], matrix[r + 3]
        f0, f1, f2, f3 = factors[r], factors[r + 1], factors[r + 2], factors[r + 3]
        for i in range(total.shape[0]):
            total[i] += f0 * row0[i] + f1 * row1[i] + f2 * row2[i] + f3 * row3[i]
    for r in range(whole, n_rows):
        row0, f0 = matrix[r], factors[r]
        for i in range(total.shape[0]):
            total[i] += f0 * row0[i]


@inline
def add_products(total, matrix, n_rows, x, zero):
    """Total[r] += matrix[r] · x, four rows at a time."""
    whole = n_rows - n_rows % 4
    for r in range(0, whole, 4):
        row0, row1, row2, row3 = matrix[r], matrix[r + 1], matrix[r + 2], matrix[r + 3]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for i in range(x.shape[0]):
            s0 += row0[i] * x[i]
            s1 += row1[i] * x[i]
            s2 += row2[i] * x[i]
            s3 += row3[i] * x[i]
        total[r] += s0
        total[r + 1] += s1
        total[r + 2] += s2
        total[r + 3] += s3
    for r in range(whole, n_rows):
        row0, s0 = matrix[r], zero
        for i in range(x.shape[0]):
            s0 += row0[i] * x[i]
        total[r] += s0


@inline
def nesterov(weight, velocity, direction, factor, settings):
    """One step with the gradient factor · direction, as `torch.optim.SGD(nesterov=True)` takes it."""
    for i in range(weight.shape[0]):
        gradient = factor * direction[i]
        faster = settings.momentum * velocity[i] + gradient
        velocity[i] = faster
        weight[i] -= settings.learning_rate * (gradient + settings.momentum * faster)


@inline
def coast(weight, velocity, steps, settings):
    """Take k steps of Nesterov without a gradient, in one: by −lr·μ²(1 − μᵏ)/(1 − μ)·v, which leaves μᵏ·v."""
    left = settings.powers[min(steps, len(settings.powers) - 1)]
    moved = settings.reach * (settings.one - left)
    for i in range(weight.shape[0]):
        weight[i] -= moved * velocity[i]
        velocity[i] *= left


@inline
def bias_step(bias, velocity, deltas, n_cells, settings):
    """Nesterov step of a bias, whose gradient is the sum of the deltas over cells; the sum is left in `deltas[0]`."""
    total = deltas[0]
    for b in range(1, n_cells):
        delta = deltas[b]
        for i in range(total.shape[0]):
            total[i] += delta[i]
    nesterov(bias, velocity, total, settings.one, settings)


@stage
def softplus(x, value, slope, bits, power_of_two, beta):
    """SoftPlus and its slope, elementwise; exp and log1p as polynomials that the compiler can vectorise.

    `bits` and `power_of_two` are the same memory, as integers and as floats: 2ᵏ is written through its exponent.
    """
    number, whole = x.dtype.type, bits.dtype.type
    mantissa, offset = (whole(23), whole(127)) if x.itemsize == 4 else (whole(52), whole(1023))
    one, two, half = number(1), number(2), number(0.5)
    for i in range(x.shape[0]):
        negative = -min(abs(x[i] * beta), number(80))
        k = np.floor(negative * number(1.4426950408889634) + half)  # exp(x) = 2ᵏ · exp(x − k·ln 2)
        rest = negative - k * number(0.6931471805599453)
        taylor = one
        for n in (12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1):
            taylor = one + taylor * rest * number(1 / n)
        value[i] = taylor
        bits[i] = (whole(k) + offset) << mantissa
    for i in range(x.shape[0]):
        scaled = x[i] * beta
        t = value[i] * power_of_two[i]  # exp(−|βx|)
        ratio = t / (two + t)  # log1p(t) = 2·artanh(t / (2 + t))
        square = ratio * ratio
        series = number(1 / 25)
        for n in (23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1):
            series = series * square + number(1 / n)
        soft = (max(scaled, number(0)) + two * ratio * series) / beta
        sigmoid = one / (one + t)
        value[i] = x[i] if scaled > number(20) else soft
        slope[i] = one if scaled > number(20) else (sigmoid if scaled > number(0) else t * sigmoid)


@inline
def activate(layer, n_cells, block, beta):
    """SoftPlus of a hidden layer."""
    n = n_cells * layer.linear.shape[1]
    linear, value, slope = layer.linear.reshape(-1)[:n], layer.value.reshape(-1)[:n], layer.slope.reshape(-1)[:n]
    softplus(linear, value, slope, block.bits, block.power_of_two, beta)


@stage
def forward_inputs(cells, data, layer, touched, now, settings, out):
    """First layer before its SoftPlus: the rows of each cell's genes; one left alone for some steps moves on first."""
    for b in range(cells.shape[0]):
        total = out[b]
        for i in range(total.shape[0]):
            total[i] = layer.bias[i]
        for p in range(data.indptr[cells[b]], data.indptr[cells[b] + 1]):
            gene, x = data.indices[p], data.inputs[p]
            row = layer.weight[gene]
            if touched[gene] < now:
                coast(row, layer.velocity[gene], now - touched[gene], settings)
                touched[gene] = now
            for i in range(row.shape[0]):
                total[i] += x * row[i]


@stage
def backward_inputs(cells, data, layer, touched, now, settings, deltas):
    """Nesterov step of the rows that were read; it is linear in the gradient, so the cells come one by one."""
    again = settings.learning_rate * (settings.one + settings.momentum)
    for b in range(cells.shape[0]):
        delta = deltas[b]
        for p in range(data.indptr[cells[b]], data.indptr[cells[b] + 1]):
            gene, x = data.indices[p], data.inputs[p]
            row, velocity = layer.weight[gene], layer.velocity[gene]
            if touched[gene] == now:
                nesterov(row, velocity, delta, x, settings)
                touched[gene] = now + 1
            else:
                for i in range(row.shape[0]):
                    gradient = x * delta[i]
                    velocity[i] += gradient
                    row[i] -= again * gradient
    bias_step(layer.bias, layer.bias_velocity, deltas, cells.shape[0], settings)


@stage
def forward(layer, inputs, n_cells, settings, out):
    """A hidden layer before its SoftPlus."""
    for b in range(n_cells):
        total = out[b]
        for i in range(total.shape[0]):
            total[i] = layer.bias[i]
        add_products(total, layer.weight, layer.weight.shape[0], inputs[b], settings.zero)


@stage
def backward(layer, inputs, slopes, deltas, n_cells, settings, penalty, row, below):
    """Deltas of the layer below, then the Nesterov step of this one; `penalty`, if any, is added to its gradient."""
    n_rows, width = layer.weight.shape
    for b in range(n_cells):
        down, slope = below[b], slopes[b]
        for i in range(width):
            down[i] = settings.zero
        add_rows(down, layer.weight, n_rows, deltas[b])
        for i in range(width):
            down[i] *= slope[i]
    row = row[:width]
    for r in range(n_rows):
        for i in range(width):
            row[i] = penalty[r, i] if penalty.shape[0] else settings.zero
        add_rows(row, inputs, n_cells, deltas[:, r])
        nesterov(layer.weight[r], layer.velocity[r], row, settings.one, settings)
    bias_step(layer.bias, layer.bias_velocity, deltas, n_cells, settings)


@stage
def penalty_gradient(weight, settings, gap, gradient):
    """λ times the gradient of ‖I − WWᵀ‖_F: −2λ (I − WWᵀ) W / ‖I − WWᵀ‖_F. The gap is symmetric: half is worked out."""
    units, squares = weight.shape[0], settings.zero
    for i in range(units):
        row = gap[i]
        for j in range(i + 1):
            row[j] = settings.zero
        add_products(row, weight, i + 1, weight[i], settings.zero)
        row[i] -= settings.one
        squares += row[i] * row[i]
        for j in range(i):
            gap[j, i] = row[j]
            squares += row[j] * row[j] + row[j] * row[j]
    scale = settings.orthogonality / max(np.sqrt(squares), settings.smallest_norm)
    scale += scale
    for i in range(units):
        row, total = gap[i], gradient[i]
        for j in range(units):
            row[j] *= scale
        for j in range(total.shape[0]):
            total[j] = settings.zero
        add_rows(total, weight, units, row)


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
def compare_all(cells, first, n, data, settings, scale, block):
    """After `linear` of some genes: their rates and deltas in the block, and the loss."""
    flat, loss, shape = cells.shape[0] * n, 0.0, (cells.shape[0], n)
    softplus(
        block.linear[:flat], block.rate[:flat], block.delta[:flat], block.bits, block.power_of_two, settings.betas[3]
    )
    rates, deltas = block.rate[:flat].reshape(shape), block.delta[:flat].reshape(shape)
    for b in range(cells.shape[0]):
        if data.batch.shape[0]:
            take_batch(cells[b], first, data, rates[b], deltas[b])
        place = block.places[b]
        block.places[b], more = compare(cells[b], place, first, data, rates[b], deltas[b], scale, settings)
        loss += more
    return loss


@stage
def output_by_rows(cells, data, layer, hidden, settings, scale, block, below, learn):
    """Last layer for few cells, some genes after another while they lie in the cache: predict, pass back, update.

    Returns the loss summed over cells and genes; `below` gets Σ_g delta · row, without the slope of the hidden layer.
    """
    n_cells, n_genes, loss, at_once = cells.shape[0], layer.weight.shape[0], 0.0, block.gradient.shape[0]
    for first in range(0, n_genes, at_once):
        n = min(at_once, n_genes - first)
        weight, velocity = layer.weight[first : first + n], layer.velocity[first : first + n]
        bias, bias_velocity = layer.bias[first : first + n], layer.bias_velocity[first : first + n]
        linear = block.linear[: n_cells * n].reshape((n_cells, n))
        deltas = block.delta[: n_cells * n].reshape((n_cells, n))
        for b in range(n_cells):
            total = linear[b]
            for c in range(n):
                total[c] = bias[c]
            add_products(total, weight, n, hidden[b], settings.zero)
        loss += compare_all(cells, first, n, data, settings, scale, block)
        if not learn:
            continue
        for b in range(n_cells):
            add_rows(below[b], weight, n, deltas[b])
        for c in range(n):
            if n_cells == 1:
                nesterov(weight[c], velocity[c], hidden[0], deltas[0, c], settings)
            else:
                row = block.gradient[c]
                for i in range(row.shape[0]):
                    row[i] = settings.zero
                add_rows(row, hidden, n_cells, deltas[:, c])
                nesterov(weight[c], velocity[c], row, settings.one, settings)
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
        loss += compare_all(cells, first, n, data, settings, scale, block)
        if not learn:
            continue
        back, gradient = np.dot(deltas, weight), block.gradient[:n]
        for b in range(n_cells):
            total, more = below[b], back[b]
            for i in range(total.shape[0]):
                total[i] += more[i]
        np.dot(deltas.T, hidden, gradient)
        nesterov(weight.reshape(-1), velocity.reshape(-1), gradient.reshape(-1), settings.one, settings)
        bias_step(bias, bias_velocity, deltas, n_cells, settings)
    return loss


@stage
def epoch(order, size, data, layers, touched, settings, unit, hidden, units, hidden_out, square, block, learn):
    """Steps over the cells in this order, `size` at a time; returns the loss summed over cells and genes.

    Without `learn` the weights stay as they are.
    """
    first, second, third, last = layers
    loss, now, no_penalty = 0.0, np.int64(0), square.penalty[:0]
    for start in range(0, order.shape[0], size):
        cells = order[start : start + size]
        n = cells.shape[0]
        forward_inputs(cells, data, first, touched, now, settings, hidden.linear)
        activate(hidden, n, block, settings.betas[0])
        forward(second, hidden.value, n, settings, units.linear)
        activate(units, n, block, settings.betas[1])
        forward(third, units.value, n, settings, hidden_out.linear)
        activate(hidden_out, n, block, settings.betas[2])
        below, out = hidden_out.delta[:n], hidden_out.value[:n]
        for b in range(n):
            block.places[b] = data.indptr[cells[b]]
            for i in range(below.shape[1]):
                below[b, i] = settings.zero
        scale = data.counts.dtype.type(1 / (unit * n))
        if size < BLAS_FROM:
            loss += output_by_rows(cells, data, last, out, settings, scale, block, below, learn)
        else:
            loss += output_by_blas(cells, data, last, out, settings, scale, block, below, learn)
        if not learn:
            continue
        for b in range(n):
            for i in range(below.shape[1]):
                below[b, i] *= hidden_out.slope[b, i]
        backward(third, units.value, units.slope, below, n, settings, no_penalty, block.row, units.delta)
        penalty = no_penalty
        if settings.orthogonality > settings.zero:
            penalty_gradient(second.weight, settings, square.gap, square.penalty)
            penalty = square.penalty
        backward(second, hidden.value, hidden.slope, units.delta, n, settings, penalty, block.row, hidden.delta)
        backward_inputs(cells, data, first, touched, now, settings, hidden.delta)
        now += 1
    for gene in range(touched.shape[0]):
        coast(first.weight[gene], first.velocity[gene], now - touched[gene], settings)
        touched[gene] = 0
    return loss
