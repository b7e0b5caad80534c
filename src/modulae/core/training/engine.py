"""What moves the weights: compiled loops on a CPU, torch anywhere. Both give the same steps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import numpy as np

from modulae.core.processes.ranks import ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.network import Network
    from modulae.core.model.orthogonal import OrthogonalNetwork
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks


class Engine(Protocol):
    """A training under way: weights, velocities, and the training cells."""

    def read(self, train_cells: Cells) -> None:
        """Take these cells to learn from in the next steps."""

    def epoch(self, order: NDArray[np.intp], learning_rate: float) -> float:
        """Step through the cells it has read in this order; returns their mean Poisson loss on the way, in counts."""

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Take new factors of the batches at the end of an epoch.

        Parameters
        ----------
        factors_of
            What they are, given what the cells of each batch were expected to have without them, batches × genes,
            summed over the steps since the last call.
        """

    def network(self) -> Network:
        """Copy the network as it is now, as NumPy arrays."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Copy all that the next steps depend on besides their cells, as NumPy arrays."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what `state` said, of the same engine and settings."""


def start_engine(
    network: Network, train_cells: Cells | None, config: Config, unit: float, device: str, *, ranks: Ranks = ALONE
) -> Engine:
    """Put a network at its first step.

    Parameters
    ----------
    network
        Where to start from.
    learn
        The training cells; `None` where they come with each order, see :meth:`Engine.read`.
    config
        Settings; `config.engine` chooses, `"auto"` takes numba on a CPU and torch elsewhere.
    unit
        What the loss is divided by.
    device
        Where torch computes.
    ranks
        The processes that take the steps together; more than one only with torch.
    """
    name = "torch" if ranks.size > 1 else engine_name(config, device)
    if network.architecture == "parts":
        parts = cast("PartsNetwork", network)
        if name == "numba" and parts.encoder.dtype == np.float32:
            from modulae.core.training.numba.parts.engine import NumbaPartsEngine

            return NumbaPartsEngine(parts, train_cells, config, unit)
        from modulae.core.training.torch.parts_engine import PartsEngine

        return PartsEngine(parts, train_cells, config, unit, device, ranks=ranks)
    if name == "torch":
        from modulae.core.training.torch.torch_engine import TorchEngine

        return TorchEngine(network, train_cells, config, unit, device, ranks=ranks)
    from modulae.core.training.numba.numba_engine import NumbaEngine

    return NumbaEngine(cast("OrthogonalNetwork", network), train_cells, config, unit)


def compilations(config: Config, device: str) -> Iterator[Callable[[], object]]:
    """What such a training will need compiled, in the order in which it needs it; none of it raises, or says anything.

    To be called while other threads have work: on few cores that takes no longer than their work alone.
    """
    if device != "cpu":
        return
    from modulae.core.factorisation.compiled_sweeps import loops

    yield loops
    if config.engine != "torch":
        from modulae.core.training.numba.compiled import outcome

        yield partial(outcome, config.architecture)


def engine_name(config: Config, device: str) -> Literal["numba", "torch"]:
    """Which engine settings and a device come to. The loops of numba are compiled, to see whether they can be.

    Raises
    ------
    ValueError
        They exclude each other, or numba was asked for where it can't compile.
    """
    if config.engine == "numba" and device != "cpu":
        msg = f"engine='numba' computes on a CPU, not on {device!r}. Use device='cpu' or engine='torch'."
        raise ValueError(msg)
    if config.engine == "torch" or device != "cpu":
        return "torch"
    from modulae.core.training.numba.compiled import trouble

    if not (reason := trouble(config.architecture)):
        return "numba"
    if config.engine == "numba":
        msg = f"numba can't compile the training steps here ({reason}). Use engine='auto', and torch takes them."
        raise ValueError(msg)
    return "torch"
