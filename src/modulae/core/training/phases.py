"""The two phases in which parts are trained: the decoder alone, then all, while no unit becomes another one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np


if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks

    from .torch.parts_engine import PartsEngine

DECODER_SHARE = 0.4
"""Share of the epochs in which the decoder learns alone."""

MIN_CORRELATION = 0.9
"""A unit whose activity comes to agree less with that at its start has wandered off."""

COMPARED_CELLS = 2000
"""Training cells at most on which this is looked at."""


def decoder_epochs(config: Config) -> int:
    """How many epochs the decoder learns alone."""
    return max(1, round(DECODER_SHARE * config.max_epochs))


def falling_rate(at: float, config: Config) -> float:
    """Step size after this many epochs: constant, or falling in either phase from full to 0 on a half cosine."""
    if config.schedule == "constant":
        return config.learning_rate
    first = decoder_epochs(config)
    done = at / first if at < first else (at - first) / max(config.max_epochs - first, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


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
        if epoch == self._decoder_epochs + 1 and done == 0:
            self._engine.hold(self.held)
        at = epoch - 1 + done
        final = self._config.learning_rate if self._config.schedule == "constant" else self._just_before(at + share)
        return self._engine.epoch(order, falling_rate(at, self._config), final)

    def _just_before(self, at: float) -> float:
        return 0.0 if round(at, 9) in {self._decoder_epochs, self._config.max_epochs} else falling_rate(at, self._config)

    def hold_wandered(self, epoch: int) -> None:
        """At the end of an epoch, put units that wandered off back."""
        if epoch <= self._decoder_epochs:
            return
        wandered = self._ranks.from_first(lambda: self._wandered(self._engine.network()))
        if (wandered & ~self.held).any():
            self.held = self.held | wandered
            self._engine.hold(self.held)

    def since(self, best_epoch: int) -> int:
        """The epoch from which patience counts: it has no say while the decoder learns alone."""
        return max(best_epoch, self._decoder_epochs)

    def _wandered(self, network: PartsNetwork) -> NDArray[np.bool_]:
        r = column_correlation(self._first, self._activity(network))
        return np.asarray(r < MIN_CORRELATION)

    def _activity(self, network: PartsNetwork) -> NDArray[np.float64]:
        return np.asarray(network.encode(self._inputs), dtype=np.float64)  # type: ignore[arg-type]


def column_correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each column with its own; 1 where the first is constant, else 0 where the second is."""
    one, other = (values - values.mean(axis=0) for values in (first, second))
    spread, other_spread = np.linalg.norm(one, axis=0), np.linalg.norm(other, axis=0)
    product = spread * other_spread
    constant = spread <= 1e-6 * np.linalg.norm(first, axis=0)
    return np.where(constant, 1.0, (one * other).sum(axis=0) / np.where(product > 0, product, 1))
