"""Training of the parts-based autoencoder with PyTorch, on any device."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from modulae.core.array_backend import to_numpy
from modulae.core.model.losses import orthogonality_penalty
from modulae.core.plain_torch import flush_denormal
from modulae.core.processes.ranks import ALONE
from modulae.core.training.adam import ADAM_EPS, BETAS, BIAS_SCALE, ENCODER_SHARE, RISING_STEPS

from .torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks

    from .resident_cells import Batch


class PartsEngine(TorchEngine):
    """Adam (Kingma & Ba 2015) on the Poisson loss; after each step V and b are clipped at 0.

    A step is relative to the root mean square of the weights at their start: of A over all of its entries, of V and b
    over those of the gene. Units that are held keep their row of A, and their bias. Loadings that
    are fixed take no step.
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
        self._rate = self._first_rate()
        self._fall: Any = 0.0 if self._replay is None else torch.zeros_like(self._rate)
        self._taken: Any = 0 if self._replay is None else torch.zeros((), dtype=torch.int64, device=device)
        self._expected = None
        parts = self._weights
        by_gene = torch.cat([parts.loadings, parts.baseline[None]]).detach().square().mean(dim=0).sqrt()
        encoder = parts.encoder.detach()
        self._kept = {  # what a state remembers beside the weights
            "first_encoder": encoder.clone(),
            "first_bias": parts.bias.detach().clone(),
            "held": torch.zeros(len(encoder), dtype=torch.bool, device=device),
            "scale_encoder": ENCODER_SHARE * encoder.square().mean().sqrt(),
            "scale_bias": torch.full_like(encoder[0, 0], BIAS_SCALE),
            "scale_loadings": by_gene * (config.loadings != "fixed"),
            "scale_baseline": by_gene.clone(),
        }

    @property
    def _weights(self) -> Any:  # noqa: ANN401 - the network, of tensors
        return cast("PartsNetwork", self._network)

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Leave the factors of the batches as they start; learnt beside loadings ≥ 0, they would drift into these."""

    def epoch(self, order: NDArray[np.intp], learning_rate: float, final: float | None = None) -> float:
        """One pass over the cells it has read, in this order; their mean Poisson loss on the way.

        From the first step to the one after the last, the step size falls from `learning_rate` to `final`.
        """
        most = max(*self._ranks.gather(len(order)), 1)  # all ranks take as many steps, of the same size
        n_steps = -(-most // (self._config.batch_size // self._ranks.size))
        fall = 0.0 if final is None else (learning_rate - final) / n_steps
        if self._replay is None:
            self._rate, self._fall = learning_rate, fall
        else:
            self._rate.fill_(learning_rate)
            self._fall.fill_(fall)
        with flush_denormal(on=True):
            return super().epoch(order, learning_rate)

    def hold(self, held: NDArray[np.bool_]) -> None:
        """From now on these units are read as at the start, and the others learn how they are read."""
        self._kept["held"].copy_(torch.from_numpy(held))
        with torch.no_grad():
            self._hold_and_clip()

    def parts(self) -> PartsNetwork:
        """A copy of the network as it is now."""
        return cast("PartsNetwork", self.network())

    def first(self) -> PartsNetwork:
        """A copy of the network as it is now, with all units read as at the start."""
        names = {"encoder": "first_encoder", "bias": "first_bias"}
        first = {name: to_numpy(self._kept[kept]).copy() for name, kept in names.items()}
        return replace(self.parts(), **first)

    def state(self) -> dict[str, NDArray[Any]]:
        """Also the steps taken, which the rise from 0 counts, what is held where, and what steps are relative to."""
        kept = {name: to_numpy(value).copy() for name, value in self._kept.items()}
        return {**super().state(), **kept, "taken": np.array(int(self._taken))}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` said."""
        super().restore(state)
        taken = int(state["taken"])
        self._taken = taken if self._replay is None else self._taken.fill_(taken)
        self._kept = {name: torch.tensor(state[name], device=self._device) for name in self._kept}

    def _start_optimizer(self) -> torch.optim.Optimizer:
        weights = [getattr(self._network, name) for name in self._network.weights]
        recorded = self._replay is not None
        return torch.optim.Adam(
            weights, lr=self._first_rate(), betas=BETAS, eps=ADAM_EPS, fused=recorded, capturable=recorded
        )

    def _step(self, batch: Batch, weight: float = 1) -> torch.Tensor:
        self._taken += 1
        warm = (
            min(1.0, self._taken / RISING_STEPS) if self._replay is None else (self._taken / RISING_STEPS).clamp_max(1)
        )
        self._set_rate(self._rate * warm)
        self._rate -= self._fall
        names = self._network.weights
        before = {name: getattr(self._network, name).detach().clone() for name in names}
        loss = super()._step(batch, weight)
        with torch.no_grad():
            for name in names:
                after = getattr(self._network, name)
                after.copy_(torch.lerp(before[name], after, self._kept[f"scale_{name}"]))
            self._hold_and_clip()
        return loss

    def _hold_and_clip(self) -> None:
        parts, kept = self._weights, self._kept
        parts.encoder.copy_(torch.where(kept["held"][:, None], kept["first_encoder"], parts.encoder))
        parts.bias.copy_(torch.where(kept["held"], kept["first_bias"], parts.bias))
        parts.loadings.clamp_min_(0)
        parts.baseline.clamp_min_(0)

    def _objective(self, loss: torch.Tensor) -> torch.Tensor:
        objective = loss / self._unit
        if self._config.orthogonality:
            rows = self._weights.encoder
            directions = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
            objective = objective + self._config.orthogonality * orthogonality_penalty(directions)
        return objective
