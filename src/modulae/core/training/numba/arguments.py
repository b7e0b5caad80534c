"""What the compiled loops are given. They see the names of the fields and the types in them, which are numba's."""

from __future__ import annotations

from typing import Any, NamedTuple


class Layer(NamedTuple):
    """A layer's weights and their velocities; rows are genes where there are genes, else outputs.

    Rows go on with zeros to a multiple of :data:`.simd.WIDTH`, and what they are multiplied with, so that they stay 0.
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


class StepSettings(NamedTuple):
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
