"""The loss of a batch as a module of PyTorch, which is what several processes can share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch

from modulae.core.model.losses import poisson_loss

if TYPE_CHECKING:
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks


SUMS = {False: torch.float64, True: torch.float32}
"""What is summed in; mps has no float64."""


class BatchLoss(torch.nn.Module):
    """Mean Poisson loss of some cells; its parameters are the weights of the network."""

    def __init__(self, network: Network, device: str) -> None:
        super().__init__()
        available = network.to_torch(device)
        for name in network.weights:
            self.register_parameter(name, torch.nn.Parameter(getattr(available, name)))
        weights: dict[str, Any] = dict(self.named_parameters())
        self.network: Network = replace(available, **weights)  # type: ignore[type-var]
        self.expected: torch.Tensor | None = None  # batches × genes: summed rates before the factors
        if network.batch_factors is not None:
            shape = network.batch_factors[:-1].shape
            self.expected = torch.zeros(shape, dtype=SUMS[device == "mps"], device=device)

    def forward(
        self, inputs: torch.Tensor, counts: torch.Tensor, scale: torch.Tensor, batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        """In counts; 0 where a rank has no cell of a batch, and only waits for the gradients of the others."""
        rates = scale * cast("torch.Tensor", self.network.shared_rates(self.network.encode(inputs)))
        if batch is not None and self.expected is not None:
            self.expected.index_add_(0, batch, rates.detach().to(self.expected.dtype))
            rates = rates * self.network.batch_factors[batch]
        return poisson_loss(rates, counts) if len(inputs) else rates.sum()


def wrap_ddp(loss: BatchLoss, ranks: Ranks) -> torch.nn.Module:
    """The same module; with several ranks, all start from the weights of the first and have the mean of all gradients.

    `DistributedDataParallel` sends the gradients of the last layers while those of the first are computed.
    """
    if ranks.size == 1:
        return loss
    from torch.nn.parallel import DistributedDataParallel

    with ranks.watched():
        return DistributedDataParallel(loss, gradient_as_bucket_view=True)
