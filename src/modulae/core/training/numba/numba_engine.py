"""Training on a CPU in compiled loops."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.model import batch_factors
from modulae.core.model.losses import EPSILON, MIN_NORM

from . import arguments, kernels, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import DTypeLike, NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.orthogonal import OrthogonalNetwork

GENES_AT_ONCE = 512
"""Genes of the output layer that are predicted and updated together."""

LAST_TERMS: Mapping[type, tuple[int, int]] = {np.float32: (7, 13), np.float64: (13, 33)}
"""Last terms of the series of exp and artanh that a SoftPlus takes: what follows is below the rounding."""

TEST_BLOCK = 256
"""Cells at once when a loss is measured."""


class NumbaEngine:
    """Weights and velocities of a training, and the steps that move them; in the type of the network's weights."""

    def __init__(self, network: OrthogonalNetwork, learn: Cells | None, config: Config, unit: float) -> None:
        self._network = network
        self._config = config
        self._unit = unit * network.n_genes
        self._type: Any = network.w1.dtype.type
        factors = np.zeros((0, 0)) if network.batch_factors is None else network.batch_factors
        self._factors = factors.astype(self._type)
        self._expected = np.zeros(factors[:-1].shape)
        if learn is not None:
            self.read(learn)
        self._layers = memory.layers_of(network)
        self._weights = memory.without_padding(self._layers, network)
        self._touched = np.zeros(network.n_genes, dtype=np.int64)
        self._scratch = memory.scratch_for(network, max(config.batch_size, TEST_BLOCK), GENES_AT_ONCE)

    def read(self, learn: Cells) -> None:
        """The cells that the next steps learn from."""
        if learn is not getattr(self, "_learn", None):
            self._sorted = with_sorted_genes(learn)
            self._learn, self._data = learn, self._sparse(self._sorted, self._expected)

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """One pass over the cells it has read, in this order; their mean Poisson loss on the way."""
        if len(self._factors) and batch_factors.PERMUTE_BATCHES:
            self._data.inputs[:] = self._sorted.permute_batches(order, self._factors)
        size = min(self._config.batch_size, len(order))
        n_steps = -(-len(order) // size)
        return self._pass(order, size, self._data, self._settings(learning_rate, n_steps), learn=True)

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""
        data = self._sparse(with_sorted_genes(cells), np.zeros((0, 0)))
        return self._pass(np.arange(len(cells)), TEST_BLOCK, data, self._settings(0, 1), learn=False)

    def network(self) -> OrthogonalNetwork:
        """A copy of the network as it is now."""
        weights: dict[str, Any] = {"w1": self._weights["weight_1"].T.copy()}
        weights |= {f"w{index}": self._weights[f"weight_{index}"].copy() for index in (2, 3, 4)}
        weights |= {f"b{index}": self._weights[f"bias_{index}"].copy() for index in (1, 2, 3, 4)}
        if len(self._factors):
            weights["batch_factors"] = self._factors.copy()
        return replace(self._network, **weights)

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Take new factors of the batches at the end of an epoch."""
        if len(self._factors):
            self._factors[:] = factors_of(self._expected)
            self._expected[:] = 0

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights and velocities, copied, without the zeros that rows go on with; rows of `w1` are genes."""
        return {name: array.copy() for name, array in self._arrays()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` said."""
        for name, array in self._arrays():
            array[:] = state[name]

    def _arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        if len(self._factors):
            yield from (("factors", self._factors), ("expected", self._expected))
        yield from self._weights.items()

    def _sparse(self, cells: Cells, expected: NDArray[np.float64]) -> arguments.Sparse:
        return as_sparse(cells, self._type, self._factors, expected)

    def _pass(self, order: Any, size: int, data: Any, settings: Any, *, learn: bool) -> float:  # noqa: ANN401
        state = (data, self._layers, self._touched, settings, self._unit, *self._scratch)
        return float(kernels.epoch(order, size, *state, learn)) / (len(order) * self._network.n_genes)

    def _settings(self, learning_rate: float, n_steps: int) -> arguments.StepSettings:
        number, momentum = self._type, self._config.momentum
        powers = momentum ** np.arange(n_steps + 1)
        powers = np.append(powers[powers > np.finfo(np.float32).tiny], 0)  # below, velocities would be denormal
        last_exp, last_artanh = LAST_TERMS[number]
        penalised = self._config.orthogonality_gradient
        return arguments.StepSettings(
            learning_rate=number(learning_rate),
            momentum=number(momentum),
            reach=number(learning_rate * momentum**2 / (1 - momentum)),
            powers=powers.astype(number),
            orthogonality=number(self._config.orthogonality if penalised else 0),
            betas=tuple(number(beta) for beta in self._network.betas),
            exp_terms=tuple(number(1 / n) for n in range(last_exp, 0, -1)),
            artanh_terms=tuple(number(1 / n) for n in range(last_artanh, 0, -2)),
            epsilon=number(EPSILON),
            smallest_norm=number(MIN_NORM),
            zero=number(0),
            one=number(1),
        )


def as_sparse(cells: Cells, dtype: DTypeLike, factors: NDArray[Any], expected: NDArray[np.float64]) -> arguments.Sparse:
    """Counts and inputs row by row; what is expected is only summed where `expected` has rows."""
    counts, inputs = cells.counts, cells.sparse_inputs()
    return arguments.Sparse(
        counts.indptr.astype(np.int64),
        counts.indices.astype(np.int64),
        counts.data.astype(dtype),
        inputs.data.astype(dtype),
        cells.scale()[:, 0].astype(dtype),
        np.zeros(0, dtype=np.int64) if cells.batch is None or not len(factors) else cells.batch,
        factors,
        expected,
    )


def with_sorted_genes(cells: Cells) -> Cells:
    """The cells, the genes of each ascending."""
    return cells if cells.counts.has_sorted_indices else replace(cells, counts=cells.counts.sorted_indices())
