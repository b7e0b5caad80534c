"""Loops over the rows of a layer's weights, and over the numbers of one: what the steps of training are made of.

They are copied into the stages that call them (:mod:`.hidden_layers`, :mod:`.output_layer`).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"
# ruff: noqa: ANN001, ANN201, PLR0917

from __future__ import annotations

import numpy as np

from modulae.core.compiled.first_call import inline
from modulae.core.compiled.simd import WIDTH, broadcast, load, power_of_two, store


@inline
def add_rows(total, matrix, first, last, factors):
    """Total += Σᵣ factors[r] · matrix[r]. The sums of some columns stay in registers from row to row."""
    for i in range(0, total.shape[0], WIDTH):
        sums = load(total, i)
        for r in range(first, last):
            sums += broadcast(factors[r]) * load(matrix, (r, i))
        store(total, i, sums)


@inline
def add_products(total, matrix, first, last, x, zero):
    """Total[r] += matrix[r] · x, four rows at a time."""
    whole = last - (last - first) % 4
    for r in range(first, whole, 4):
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
    for r in range(whole, last):
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
def nesterov_lanes(weight, velocity, at, gradient, momentum, rate):
    """The same for numbers in registers; `rate` is the negative learning rate."""
    faster = momentum * load(velocity, at) + gradient
    store(velocity, at, faster)
    store(weight, at, load(weight, at) + rate * (momentum * faster + gradient))


@inline
def pending_momentum(steps, settings):
    """What k steps of Nesterov without a gradient leave of a velocity, μᵏ, and how far they move a weight by it.

    That is −lr·μ²(1 − μᵏ)/(1 − μ), here without its sign.
    """
    left = settings.powers[min(steps, len(settings.powers) - 1)]
    return left, settings.reach * (settings.one - left)


@inline
def apply_pending_momentum(weight, velocity, steps, settings):
    """Take k steps of Nesterov without a gradient, in one."""
    left, moved = pending_momentum(steps, settings)
    for i in range(weight.shape[0]):
        weight[i] -= moved * velocity[i]
        velocity[i] *= left


@inline
def apply_pending_momentum_lanes(weight, velocity, at, left, moved):
    """The same for numbers in registers, which it returns; `moved` is negative."""
    before = load(velocity, at)
    after = load(weight, at) + moved * before
    store(velocity, at, left * before)
    store(weight, at, after)
    return after


@inline
def pass_back(below, weight, velocity, first, last, deltas, inputs, settings):
    """Add Σᵣ deltas[r] · weight[r] to `below`, and take the Nesterov step of these rows, for one cell.

    One loop for both: what it waits for is the memory that the weights come from and go back to.
    """
    momentum, rate = broadcast(settings.momentum), broadcast(-settings.learning_rate)
    for i in range(0, below.shape[0], WIDTH):
        sums, x = load(below, i), load(inputs, i)
        for r in range(first, last):
            delta = broadcast(deltas[r])
            sums += delta * load(weight, (r, i))
            nesterov_lanes(weight, velocity, (r, i), delta * x, momentum, rate)
        store(below, i, sums)


@inline
def step_rows(weight, velocity, deltas, inputs, n_cells, penalty, settings):
    """Nesterov step of each row r with the gradient Σ_b deltas[b, r] · inputs[b], plus a row of the penalty, if any."""
    momentum, rate = broadcast(settings.momentum), broadcast(-settings.learning_rate)
    for r in range(weight.shape[0]):
        for i in range(0, weight.shape[1], WIDTH):
            gradient = load(penalty, (r, i)) if penalty.shape[0] else broadcast(settings.zero)
            for b in range(n_cells):
                gradient += broadcast(deltas[b, r]) * load(inputs, (b, i))
            nesterov_lanes(weight, velocity, (r, i), gradient, momentum, rate)


@inline
def bias_step(bias, velocity, deltas, n_cells, settings):
    """Nesterov step of a bias, whose gradient is the sum of the deltas over cells; the sum is left in `deltas[0]`."""
    total = deltas[0]
    for b in range(1, n_cells):
        delta = deltas[b]
        for i in range(total.shape[0]):
            total[i] += delta[i]
    nesterov(bias, velocity, total, settings.one, settings)


@inline
def softplus(x, value, slope, beta, settings):
    """SoftPlus and its slope, elementwise; exp and log1p as polynomials that the compiler can vectorise."""
    number = x.dtype.type
    zero, one, two, half, inverse = number(0), number(1), number(2), number(0.5), number(1) / beta
    for i in range(x.shape[0]):
        scaled = x[i] * beta
        negative = -min(abs(scaled), number(80))
        k = np.floor(negative * number(1.4426950408889634) + half)  # exp(x) = 2ᵏ · exp(x − k·ln 2)
        rest = negative - k * number(0.6931471805599453)
        taylor = one
        for term in settings.exp_terms:
            taylor = one + taylor * rest * term
        t = taylor * power_of_two(k)  # exp(−|βx|)
        both = one / ((one + t) * (two + t))
        ratio = t * (one + t) * both  # log1p(t) = 2·artanh(t / (2 + t))
        square = ratio * ratio
        series = zero
        for term in settings.artanh_terms:
            series = series * square + term
        soft = (max(scaled, zero) + two * ratio * series) * inverse
        sigmoid = (two + t) * both  # 1 / (1 + t)
        value[i] = x[i] if scaled > number(20) else soft
        slope[i] = one if scaled > number(20) else (sigmoid if scaled > zero else t * sigmoid)
