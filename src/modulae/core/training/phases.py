"""The two phases in which parts are trained: the decoder alone, then all, while no unit becomes another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae.core.scores.correlation import column_correlation

from .step_size import decoder_epochs, falling_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks

    from .torch.parts_engine import PartsEngine

MIN_CORRELATION = 0.9
"""A unit whose activity comes to agree less with that at its start has wandered off."""

COMPARED_CELLS = 2000
"""Training cells at most on which this is looked at."""


class Phases:
    """Steps of an engine in their phases, and what is held meanwhile.

    With V and b alone to learn, the loss is convex, gene by gene, and nothing can happen to the units. Then all learn;
    a unit that wandered off is read as at the start again, and stays so.
    """

    def __init__(
        self, engine: PartsEngine, config: Config, train_cells: Source, held: NDArray[np.bool_], ranks: Ranks
    ) -> None:
        """`held` says which units have wandered off before."""
        self._engine, self._config, self._ranks, self.held = engine, config, ranks, held
        self._decoder_epochs = decoder_epochs(config)
        self._inputs: sparse.csr_matrix | None = None
        if ranks.first and config.max_epochs > self._decoder_epochs:
            some = train_cells.some(config.seed)
            rows = np.random.default_rng([config.seed, 8]).permutation(len(some))[:COMPARED_CELLS]
            self._inputs = some.take(np.sort(rows)).sparse_inputs()
            self._first = self._activity(engine.first())

    def epoch(self, order: NDArray[np.intp], epoch: int, done: float, share: float) -> float:
        """Learn from cells that are a `share` of an epoch, counted from 1, of which a share is done."""
        if done == 0 and epoch in {1, self._decoder_epochs + 1}:
            self._engine.hold(np.ones_like(self.held) if epoch == 1 else self.held)
        rates = (falling_rate(epoch, at, self._config) for at in (done, done + share))
        return self._engine.epoch(order, *rates)

    def hold_wandered(self, epoch: int) -> None:
        """At the end of an epoch, put units that wandered off back."""
        if epoch <= self._decoder_epochs:
            return
        wandered = self._ranks.from_first(lambda: self._wandered(self._engine.parts()))
        if (wandered & ~self.held).any():
            self.held = self.held | wandered
            self._engine.hold(self.held)

    def since(self, best_epoch: int) -> int:
        """The epoch from which patience counts: it has no say while the decoder learns alone."""
        return max(best_epoch, self._decoder_epochs)

    def _wandered(self, network: PartsNetwork) -> NDArray[np.bool_]:
        varies = self._first.std(axis=0) > 1e-6 * self._first.mean(axis=0)  # a silent unit can't wander
        return np.asarray(varies & (column_correlation(self._first, self._activity(network)) < MIN_CORRELATION))

    def _activity(self, network: PartsNetwork) -> NDArray[np.float64]:
        return np.asarray(network.encode(self._inputs), dtype=np.float64)  # type: ignore[arg-type]
