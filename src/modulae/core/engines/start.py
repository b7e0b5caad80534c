"""What moves the weights: compiled loops on a CPU, torch anywhere. Both give the same steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modulae.core.batches import Cells
    from modulae.core.config import Config
    from modulae.core.network import OrthogonalNetwork
    from modulae.core.parts import PartsNetwork
    from modulae.core.weights import Network


class Engine(Protocol):
    """A training under way: weights, velocities, and the training cells."""

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """Step through the training cells in this order; returns their mean Poisson loss on the way, in counts."""

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""

    def network(self) -> Network:
        """Copy the network as it is now, as NumPy arrays."""


def start_engine(network: Network, learn: Cells, config: Config, unit: float, device: str) -> Engine:
    """Put a network at its first step.

    Parameters
    ----------
    network
        Where to start from.
    learn
        The training cells.
    config
        Settings; `config.engine` chooses, `"auto"` takes numba on a CPU and torch elsewhere, and torch for parts.
    unit
        What the loss is divided by.
    device
        Where torch computes.
    """
    if config.engine == "numba" and device != "cpu":
        msg = f"engine='numba' computes on a CPU, not on {device!r}. Use device='cpu' or engine='torch'."
        raise ValueError(msg)
    if network.architecture == "parts":
        from .parts_engine import PartsEngine

        return PartsEngine(cast("PartsNetwork", network), learn, config, unit, device)
    if config.engine == "torch" or device != "cpu":
        from .torch_engine import TorchEngine

        return TorchEngine(network, learn, config, unit, device)
    from .numba_engine import NumbaEngine

    return NumbaEngine(cast("OrthogonalNetwork", network), learn, config, unit)
