"""Training of the parts-based autoencoder with PyTorch, on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from modulae.core.array_backend import to_numpy
from modulae.core.plain_torch import flush_denormal
from modulae.core.processes.ranks import ALONE

from .torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks

    from .resident_cells import Batch

RISING_STEPS = 30
"""Steps over which the learning rate rises from 0: Adam's first steps are as long as all others, whatever the slope."""


class PartsEngine(TorchEngine):
    """Adam (Kingma & Ba 2015) on the Poisson loss; after each step V is clipped at 0, its rows get their length back.

    Held at their start, the rows can't trade length with the activities, so that a unit keeps its scale.
    """

    def __init__(
        self,
        network: PartsNetwork,
        train_cells: Cells | None,
        config: Config,
        unit: float,
        device: str,
        *,
        ranks: Ranks = ALONE,
        replay: bool | None = None,
    ) -> None:
        super().__init__(network, train_cells, config, unit, device, ranks=ranks, replay=replay)
        self._loadings = cast("torch.Tensor", cast("PartsNetwork", self._network).loadings)
        self._lengths = self._loadings.detach().norm(dim=1, keepdim=True)
        self._rate = self._first_rate()
        self._taken: Any = 0 if self._replay is None else torch.zeros((), dtype=torch.int64, device=device)
        self._expected = None

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Leave the factors of the batches as they start; learnt beside loadings ≥ 0, they would drift into these."""

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """One pass over the training cells in this order; their mean Poisson loss on the way."""
        if self._replay is None:
            self._rate = learning_rate
        else:
            self._rate.fill_(learning_rate)
        with flush_denormal(on=True):
            return super().epoch(order, learning_rate)

    def state(self) -> dict[str, NDArray[Any]]:
        """Also the steps taken, which the warm-up counts, and the lengths that the rows keep."""
        return {**super().state(), "taken": np.array(int(self._taken)), "lengths": to_numpy(self._lengths).copy()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` said."""
        super().restore(state)
        taken = int(state["taken"])
        self._taken = taken if self._replay is None else self._taken.fill_(taken)
        self._lengths = torch.tensor(state["lengths"], device=self._device)

    def _start_optimizer(self) -> torch.optim.Optimizer:
        weights = [getattr(self._network, name) for name in self._network.weights]
        recorded = self._replay is not None
        return torch.optim.Adam(weights, lr=self._first_rate(), fused=recorded, capturable=recorded)

    def _step(self, batch: Batch, weight: float = 1) -> torch.Tensor:
        self._taken += 1
        warm = (
            min(1.0, self._taken / RISING_STEPS) if self._replay is None else (self._taken / RISING_STEPS).clamp_max(1)
        )
        self._set_rate(self._rate * warm)
        loss = super()._step(batch, weight)
        loadings = self._loadings
        with torch.no_grad():
            loadings.clamp_min_(0)
            loadings *= self._lengths / loadings.norm(dim=1, keepdim=True).clamp_min(torch.finfo(loadings.dtype).tiny)
        return loss

    def _objective(self, loss: torch.Tensor) -> torch.Tensor:
        return loss / self._unit
