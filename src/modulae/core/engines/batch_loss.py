"""The loss of a batch as a module of PyTorch, which is what several processes can share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from modulae.core.losses import poisson_loss

if TYPE_CHECKING:
    from modulae.core.ranks import Ranks
    from modulae.core.weights import Network


class BatchLoss(torch.nn.Module):
    """Mean Poisson loss of some cells; its parameters are the weights of the network."""

    def __init__(self, network: Network, device: str) -> None:
        super().__init__()
        there = network.to_torch(device)
        for name in network.weights:
            self.register_parameter(name, torch.nn.Parameter(getattr(there, name)))
        weights: dict[str, Any] = dict(self.named_parameters())
        self.network: Network = replace(there, **weights)  # type: ignore[type-var]

    def forward(self, inputs: torch.Tensor, counts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """In counts; 0 where a rank has no cell of a batch, and only waits for the gradients of the others."""
        rates = scale * self.network.decode(self.network.encode(inputs))
        return poisson_loss(rates, counts) if len(inputs) else rates.sum()


def shared(loss: BatchLoss, ranks: Ranks) -> torch.nn.Module:
    """The same module; with several ranks, all start from the weights of the first and have the mean of all gradients.

    `DistributedDataParallel` sends the gradients of the last layers while those of the first are computed.
    """
    if ranks.size == 1:
        return loss
    from torch.nn.parallel import DistributedDataParallel

    with ranks.watched():
        return DistributedDataParallel(loss, gradient_as_bucket_view=True)
