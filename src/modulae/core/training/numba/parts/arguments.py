"""What the compiled loops are given. They see the names of the fields and the types in them, which are numba's."""

from __future__ import annotations

from typing import Any, NamedTuple


class Parts(NamedTuple):
    """Weights of the parts-based autoencoder, rows padded with zeros, and what steps in them are relative to."""

    encoder: Any  # genes × units
    bias: Any  # 1 × units
    loadings: Any  # units × genes
    baseline: Any  # 1 × genes
    encoder_scale: Any  # units; 0 where they are held
    bias_scale: Any  # units; 0 where they are held
    loadings_scale: Any  # genes
    baseline_scale: Any  # genes


class Moments(NamedTuple):
    """What Adam remembers of the slopes of each weight."""

    encoder_mean: Any
    encoder_square: Any
    bias_mean: Any
    bias_square: Any
    loadings_mean: Any
    loadings_square: Any
    baseline_mean: Any
    baseline_square: Any


class PartsMemory(NamedTuple):
    """Memory of a step; the first axis of some is the chunk of genes that a thread begins with."""

    linear: Any  # cells × units, before SoftPlus
    units: Any  # cells × units
    slope: Any  # cells × units
    places: Any  # × cells: where in its counts each stands
    rates: Any  # × 2 × genes side by side
    delta: Any  # × cells × genes side by side
    seen: Any  # × 2 × (cells times genes side by side): counts that are not 0, and their rates
    turned: Any  # × genes side by side × units: loadings
    gradient: Any  # × 2 × genes side by side or units
    back: Any  # × cells × units: what reaches them from each chunk
    loss: Any  # chunks
    encoder: Any  # genes × units: gradient
    penalty: Any  # the same of the penalty; empty where there is none


class PartsNumbers(NamedTuple):
    """Numbers of a step, all in the type of the weights."""

    step: Any  # of Adam: the learning rate over 1 − β₁ᵗ
    root: Any  # 1 / √(1 − β₂ᵗ)
    beta1: Any
    beta2: Any
    eps: Any
    scale: Any  # what each entry of cells × genes weighs in the loss
    beta: Any  # of SoftPlus
    lowest: Any  # that it gets
    silent: Any
    epsilon: Any
    exp_terms: Any  # of SoftPlus, see :class:`StepSettings`
    artanh_terms: Any
