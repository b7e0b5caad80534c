"""Training with PyTorch's autograd and its stochastic gradient descent, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from modulae.core.array_backend import to_numpy
from modulae.core.model import batch_factors
from modulae.core.model.losses import orthogonality_penalty, poisson_loss
from modulae.core.processes.ranks import ALONE
from modulae.core.threads import threads_for

from .cuda_graph import Replay
from .minibatch_loss import BatchLoss, wrap_ddp
from .resident_cells import Batch, ResidentCells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks

TEST_BLOCK = 512
"""Cells at once when a loss is measured."""


class TorchEngine:
    """A network of tensors, its optimiser, and the training cells.

    With several ranks, each learns from its own cells, and all take the same step with the gradient of all.
    """

    def __init__(
        self,
        network: Network,
        train_cells: Cells | None,
        config: Config,
        unit: float,
        device: str,
        *,
        ranks: Ranks = ALONE,
        replay: bool | None = None,
    ) -> None:
        """`replay` decides whether steps are recorded and played back; by default where that can be, on a GPU."""
        if replay is None:
            replay = device.startswith("cuda") and ranks.size == 1 and network.batch_factors is None
        batch_loss = BatchLoss(network, device)
        self._network, self._expected = batch_loss.network, batch_loss.expected
        self._batch_loss, self._ranks = wrap_ddp(batch_loss, ranks), ranks
        self._dtype: torch.dtype = getattr(self._network, network.weights[0]).dtype
        self._config = config
        self._unit = unit
        self._device = device
        self._replay = Replay(config.batch_size, device) if replay else None
        if train_cells is not None:
            self.read(train_cells)
        self._device_of_sums = "cpu" if device == "mps" else device  # mps has no float64
        self._last_sent: tuple[Cells | None, ResidentCells | None] = (None, None)
        self._optimizer = self._start_optimizer()

    def read(self, train_cells: Cells) -> None:
        """The cells that the next steps learn from."""
        if train_cells is not getattr(self, "_read", None):
            self._read, self._train_cells = train_cells, ResidentCells(train_cells, self._device, self._dtype)
            if self._replay is not None:
                self._replay.read(self._train_cells)

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """One pass over the cells it has read, in this order; their mean Poisson loss on the way, read at its end."""
        self._set_rate(learning_rate)
        if self._replay is not None:
            return self._replay.epoch(order, self._step) / len(order)
        if self._network.batch_factors is not None and batch_factors.PERMUTE_BATCHES:
            self._train_cells.permute_batches(torch.from_numpy(order).to(self._device), self._network.batch_factors)
        total = torch.zeros((), dtype=torch.float64, device=self._device_of_sums)
        cells, size = self._ranks.gather(len(order)), self._config.batch_size // self._ranks.size
        n_steps = -(-max(cells) // size)  # a rank that has fewer cells takes the last step without one
        with self._ranks.watched():
            for index, (rows, available) in enumerate(self._batches(order, size, n_steps)):
                everywhere = sum(min(max(n - index * size, 0), size) for n in cells)
                weight = len(rows) * self._ranks.size / everywhere  # the mean over ranks is then that over cells
                total += self._step(self._train_cells.batch(rows, available), weight) * len(rows)
        return float(self._ranks.total(np.array(float(total)))) / sum(cells)

    def _start_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            [getattr(self._network, name) for name in self._network.weights],
            lr=self._first_rate(),
            momentum=self._config.momentum,
            nesterov=self._config.momentum > 0,
            fused=self._replay is not None,
        )

    def _first_rate(self) -> Any:  # noqa: ANN401
        """A number, or a tensor that recorded steps look it up in."""
        rate = self._config.learning_rate
        return rate if self._replay is None else torch.tensor(rate, dtype=torch.float32, device=self._device)

    def _set_rate(self, rate: float | torch.Tensor) -> None:
        for group in self._optimizer.param_groups:
            if self._replay is None:
                group["lr"] = rate
            else:
                group["lr"].fill_(rate)

    def _step(self, batch: Batch, weight: float = 1) -> torch.Tensor:
        loss: torch.Tensor = self._batch_loss(*batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._objective(loss if weight == 1 else loss * weight).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()

    def _objective(self, loss: torch.Tensor) -> torch.Tensor:
        objective = loss / self._unit
        if self._config.orthogonality and self._config.orthogonality_gradient:
            objective = objective + self._config.orthogonality * orthogonality_penalty(self._network.latent_weight)  # type: ignore[arg-type]
        return objective

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""
        resident = self._sent(cells)
        total = torch.zeros((), dtype=torch.float64, device=self._device_of_sums)
        with torch.no_grad():
            for rows, available in self._batches(np.arange(len(cells)), TEST_BLOCK, -(-len(cells) // TEST_BLOCK)):
                inputs, counts, scale, batch = resident.batch(rows, available)
                rates = scale * cast("torch.Tensor", self._network.decode(self._network.encode(inputs), batch))
                total += poisson_loss(rates, counts) * len(rows)
        return float(total) / len(cells)

    def _sent(self, cells: Cells) -> ResidentCells:
        """The cells on the device, where those of a loss stay: the next one is mostly of the same, held-out ones."""
        last, resident = self._last_sent
        if resident is None or cells is not last:
            resident = ResidentCells(cells, self._device, self._dtype)
            self._last_sent = (None, None) if self._device == "cpu" else (cells, resident)  # a CPU has them anyway
        return resident

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Take new factors of the batches at the end of an epoch."""
        if self._expected is not None:
            factors = factors_of(to_numpy(self._expected).astype(np.float64))
            self._network.batch_factors.copy_(torch.from_numpy(factors))
            self._expected.zero_()

    def network(self) -> Network:
        """A copy of the network as it is now."""
        return self._network.to_numpy()

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights, and what the optimiser remembers of each."""
        result = {name: to_numpy(getattr(self._network, name)) for name in self._network.weights}
        for name in self._network.weights:
            memory = self._optimizer.state[getattr(self._network, name)]
            result |= {f"{name}.{key}": to_numpy(value) for key, value in memory.items() if value is not None}
        if self._expected is not None:
            result |= {"factors": to_numpy(self._network.batch_factors), "expected": to_numpy(self._expected)}
        return {name: array.copy() for name, array in result.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` said."""
        for name in self._network.weights:
            weight: torch.Tensor = getattr(self._network, name)
            with torch.no_grad():
                weight.copy_(torch.from_numpy(state[name]))
            memory = {key.partition(".")[2]: value for key, value in state.items() if key.startswith(f"{name}.")}
            # the optimiser counts its steps on the CPU, unless they are recorded
            here = "cpu" if self._replay is None else self._device
            self._optimizer.state[weight] = {
                key: torch.tensor(value, device=self._device if value.ndim else here) for key, value in memory.items()
            }
        if self._replay is not None:
            self._replay.forget()
        if self._expected is not None:
            self._network.batch_factors.copy_(torch.from_numpy(state["factors"]))
            self._expected.copy_(torch.from_numpy(state["expected"]))

    def _batches(
        self, order: NDArray[np.intp], size: int, n_batches: int
    ) -> Iterator[tuple[NDArray[np.intp], torch.Tensor]]:
        """Rows of each batch, here and on the device, where the order is sent once."""
        available = torch.from_numpy(order).to(self._device)
        with threads_for(size * self._network.n_genes * max(self._network.n_units, self._network.n_hidden_paths)):
            for start in range(0, n_batches * size, size):
                yield order[start : start + size], available[start : start + size]
