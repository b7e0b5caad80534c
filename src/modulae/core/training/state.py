"""Where a training stands, and all that it needs to go on from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from modulae.core.model.fitted import History

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.model.network import Network


@dataclass(slots=True)
class TrainingState:
    """A training between two portions of its cells."""

    generator: dict[str, Any]  # of the orders of cells, as it was when the epoch under way began
    rows: list[tuple[int, float, float, float]]  # of the history
    kept: Network  # the best so far
    snapshots: dict[int, Network]  # by epoch
    gene_means_loss: float
    held: NDArray[np.bool_]  # units: of parts, which wandered off and are read as at the start again
    engine: dict[str, NDArray[Any]] = field(default_factory=dict)  # weights, velocities, …: what `Engine.state` says
    epoch: int = 0  # epochs that are finished
    portions: list[tuple[float, int]] = field(default_factory=list)  # of the epoch under way: mean loss, and cells
    best_epoch: int = 0
    stopped: str = ""  # why; empty while it goes on

    @property
    def history(self) -> History:
        """The history so far."""
        epochs, train_losses, test_losses, gaps = (np.asarray(column) for column in zip(*self.rows, strict=True))
        return History(epochs, train_losses, test_losses, gaps, self.best_epoch, self.stopped, self.gene_means_loss)


class CheckpointStore(Protocol):
    """What remembers a training, so that it can go on after an interruption."""

    def read(self) -> TrainingState | None:
        """The state that was kept last; `None` if there is none."""

    def due(self, state: TrainingState) -> bool:
        """Whether the state is to be kept now."""

    def keep(self, state: TrainingState) -> None:
        """Keep it, in place of an earlier one."""


def mean_loss(portions: list[tuple[float, int]]) -> float:
    """Mean over cells, from means over portions of them and how many cells each has."""
    if len(portions) == 1:
        return portions[0][0]
    return sum(loss * n for loss, n in portions) / sum(n for _, n in portions)
