"""Memory of the compiled loops, and the zeros that rows of weights go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.compiled.aligned import zeros
from modulae.core.compiled.simd import WIDTH

from . import arguments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.model.orthogonal import OrthogonalNetwork


def layers_of(network: OrthogonalNetwork) -> tuple[arguments.Layer, ...]:
    """Copies of a network's weights by rows, those of the first layer gene by gene, and velocities of 0."""
    layers = []
    for index in (1, 2, 3, 4):
        weight, bias = getattr(network, f"w{index}"), getattr(network, f"b{index}")
        n_rows, width = weight.shape[:: -1 if index == 1 else 1]
        shapes = ((n_rows, padded(width)), (padded(len(bias)) if index == 1 else len(bias),))
        layer = arguments.Layer(*(zeros(shape, weight.dtype) for shape in shapes for _ in range(2)))
        layer.weight[:, :width] = weight.T if index == 1 else weight
        layer.bias[: len(bias)] = bias
        layers.append(layer)
    return tuple(layers)


def without_padding(layers: tuple[arguments.Layer, ...], network: OrthogonalNetwork) -> dict[str, NDArray[Any]]:
    """Views of what belongs to the network: weights, biases and their velocities."""
    views = {}
    for index, layer in enumerate(layers, start=1):
        width, n_biases = (
            getattr(network, f"w{index}").shape[0 if index == 1 else 1],
            len(getattr(network, f"b{index}")),
        )
        for name, array in zip(layer._fields, layer, strict=True):
            views[f"{name}_{index}"] = array[:, :width] if array.ndim > 1 else array[:n_biases]
    return views


def scratch_for(network: OrthogonalNetwork, n_cells: int, n_genes: int) -> tuple[Any, ...]:
    """Memory for steps of at most so many cells, and so many genes of the output at once."""
    dtype = network.w1.dtype
    (n_units, hidden), n_genes = network.w2.shape, min(n_genes, network.n_genes)
    hidden, units = padded(hidden), padded(n_units)
    layers = [
        arguments.Hidden(*(zeros((n_cells, width), dtype) for _ in range(4))) for width in (hidden, units, hidden)
    ]
    square = arguments.Square(gap=zeros((n_units, n_units), dtype), penalty=zeros((n_units, hidden), dtype))
    linear, delta = (zeros((max(n_cells * n_genes, network.n_genes),), dtype) for _ in range(2))
    block = arguments.Block(
        linear=linear,
        rate=zeros((network.n_genes,), dtype),
        delta=delta,
        gradient=zeros((n_genes, hidden), dtype),
        places=np.zeros(n_cells, dtype=np.int64),
    )
    return *layers, square, block


def padded(width: int) -> int:
    """The next multiple of the numbers that go through registers side by side."""
    return -(-width // WIDTH) * WIDTH
