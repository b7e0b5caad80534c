"""Training with PyTorch's autograd and its stochastic gradient descent, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from modulae.core.losses import orthogonality_penalty, poisson_loss
from modulae.core.network import WEIGHTS
from modulae.core.threads import threads_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modulae.core.batches import Cells
    from modulae.core.config import Config
    from modulae.core.network import OrthogonalNetwork

TEST_BLOCK = 512
"""Cells at once when a loss is measured."""


class TorchEngine:
    """A network of tensors, its optimiser, and the training cells."""

    def __init__(self, network: OrthogonalNetwork, learn: Cells, config: Config, unit: float, device: str) -> None:
        self._network = network.to_torch(device, trained=True)
        self._learn = learn
        self._config = config
        self._unit = unit
        self._device = device
        self._optimizer = torch.optim.SGD(
            [getattr(self._network, name) for name in WEIGHTS],
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
        )

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """One pass over the training cells in this order; their mean Poisson loss on the way."""
        size, total = self._config.batch_size, 0.0
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        with threads_for(size * self._network.n_genes * self._config.n_hidden):
            for start in range(0, len(order), size):
                total += self._step(self._learn.take(order[start : start + size]))
        return total / len(order)

    def _step(self, cells: Cells) -> float:
        inputs, counts, scale = self._tensors(cells)
        network = self._network
        loss = poisson_loss(scale * network.decode(network.encode(inputs)), counts)
        objective = loss / self._unit
        if self._config.orthogonality and self._config.orthogonality_gradient:
            objective = objective + self._config.orthogonality * orthogonality_penalty(network.w2)
        self._optimizer.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return float(loss.detach()) * len(cells)

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""
        total = 0.0
        with torch.no_grad(), threads_for(TEST_BLOCK * self._network.n_genes * self._config.n_hidden):
            for _, block in cells.blocks(TEST_BLOCK):
                inputs, counts, scale = self._tensors(block)
                rates = scale * self._network.decode(self._network.encode(inputs))
                total += float(poisson_loss(rates, counts)) * len(block)
        return total / len(cells)

    def network(self) -> OrthogonalNetwork:
        """A copy of the network as it is now."""
        return self._network.to_numpy()

    def _tensors(self, cells: Cells) -> tuple[Any, Any, Any]:
        dtype = self._network.w1.dtype
        arrays = (cells.inputs(), cells.dense(), cells.scale())
        inputs, counts, scale = (torch.from_numpy(array).to(self._device, dtype) for array in arrays)
        return inputs, counts, scale
