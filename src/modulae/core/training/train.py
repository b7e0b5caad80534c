"""The training loop: steps on the Poisson loss, stopped on held-out cells; one for all architectures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.data.cells import Cells
from modulae.core.data.stored_cells import StoredCells
from modulae.core.model.batch_factors import BatchEffects, n_batches
from modulae.core.model.losses import gene_means_loss
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.model.starts import initial_parts, quiet
from modulae.core.plain_torch import plain_torch
from modulae.core.processes.ranks import ALONE

from .count_scale import loss_unit, mean_rates
from .engine import start_engine
from .phases import Phases
from .state import TrainingState, mean_loss
from .step_size import learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.fitted import History
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks

    from .engine import Engine
    from .state import CheckpointStore


@dataclass(frozen=True, slots=True)
class Training:
    """What a finished (or interrupted) training hands back."""

    network: Network
    history: History
    snapshots: dict[int, Network]  # by epoch
    held: NDArray[np.bool_]  # units: of parts, which wandered off and are read as at the start again


def split_cells(n_cells: int, config: Config) -> NDArray[np.bool_]:
    """Mark the held-out cells: `test_fraction` of them, at least one, drawn with `seed`."""
    if n_cells < 2:
        msg = f"training needs at least 2 cells, one to learn from and one held out; there is {n_cells}. Add cells."
        raise ValueError(msg)
    n_test = min(max(1, round(config.test_fraction * n_cells)), n_cells - 1)
    test = np.zeros(n_cells, dtype=bool)
    test[np.random.default_rng([config.seed, 0]).permutation(n_cells)[:n_test]] = True
    return test


@plain_torch()
def train(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    *,
    device: str = "cpu",
    loadings: NDArray[np.float64] | None = None,
    keeper: CheckpointStore | None = None,
    on_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
    on_cells: Callable[[int], None] = lambda _n: None,
    ranks: Ranks = ALONE,
) -> Training:
    """Train on the cells that are not held out; keep the weights with the lowest held-out loss.

    Parameters
    ----------
    cells
        All cells, counts of the model's genes.
    test
        Which cells are held out.
    config
        Settings.
    device
        Where to compute.
    loadings
        Units × genes, ≥ 0: parts to start from, rather than those that a factorisation finds.
    keeper
        Remembers the training as it goes on; where it knows an earlier part of it, that is not done again.
    on_epoch
        Called after each epoch with its number and the last held-out loss.
    on_cells
        Called with the number of cells that were learnt from since the last call; first with those of an earlier part.
    ranks
        The processes that train this model together. All are given the same but for the keeper, which the first has;
        all end with the same.

    Raises
    ------
    FloatingPointError
        The loss stopped being finite.
    """
    config = config.for_cells(len(cells))
    train_cells, held_out = cells.take(np.flatnonzero(~test)), cells.take(ranks.share(np.flatnonzero(test))).held()
    state = ranks.from_first(lambda: None if keeper is None else keeper.read())
    if state is None or not state.stopped:
        course = Trainer(train_cells, held_out, config, device, ranks)
        if state is None:
            state = course.start(loadings)
            if keeper is not None:
                keeper.keep(state)
        else:
            state = course.go_on(state)
        on_cells(state.epoch * len(train_cells) + sum(n for _, n in state.portions))
        try:
            while not state.stopped:
                for n_cells in course.epoch(state):
                    on_cells(n_cells)
                    if keeper is not None and (state.stopped or keeper.due(state)):
                        keeper.keep(course.up_to_date(state))
                on_epoch(state.epoch, state.rows[-1][2])
        except KeyboardInterrupt:
            if ranks.size > 1:  # the others may be at another step, and wait for this one: it ends, and they with it
                raise
            state.stopped = "interrupted"
    return Training(state.kept, state.history, state.snapshots, state.held)


class Trainer:
    """A training under way."""

    def __init__(self, train_cells: Source, held_out: Source, config: Config, device: str, ranks: Ranks) -> None:
        self._held_out, self._config, self._device, self._ranks = held_out, config, device, ranks
        self._mine = train_cells if ranks.size == 1 else train_cells.take(ranks.share(np.arange(len(train_cells))))
        if ranks.size > 1 and isinstance(train_cells, StoredCells):
            train_cells = train_cells.knowing(ranks.total(self._mine.gene_totals()))
        self._train_cells = train_cells  # all: of their orders each rank takes its own part
        self._rng = np.random.default_rng([config.seed, 1])
        self._engine: Engine
        self._phases: Phases | None
        n = max(n_batches(cells.batch) for cells in (train_cells, held_out))
        self._effects = BatchEffects.of(train_cells, n) if n else None

    def start(self, loadings: NDArray[np.float64] | None) -> TrainingState:
        """Take the first weights and look at their losses."""
        config, rates = self._config, mean_rates(self._train_cells)
        factors = None if self._effects is None else self._effects.start()
        network: Network = (
            self._ranks.from_first(lambda: initial_parts(config, self._train_cells, loadings, factors))
            if config.architecture == "parts"
            else replace(initial_network(config, rates, self._rng), batch_factors=factors)
        )
        held = quiet(network) if isinstance(network, PartsNetwork) else np.zeros(network.n_units, dtype=bool)
        self._start_engine(network)
        self._start_phases(held)
        gene_means = self._mean(self._held_out, lambda part: gene_means_loss(rates, part.counts, part.size_factors))
        losses = self._loss(self._mine), self._loss(self._held_out)
        snapshots = {0: network} if 0 in config.snapshot_epochs else {}
        first = (0, *losses, network.orthogonality_gap)
        return self.up_to_date(TrainingState(self._generator, [first], network, snapshots, gene_means, held))

    def go_on(self, state: TrainingState) -> TrainingState:
        """Put everything as it was."""
        self._start_engine(state.kept)  # for its shapes; then come the weights
        self._engine.restore(state.engine)
        self._start_phases(state.held)
        self._rng.bit_generator.state = state.generator
        return state

    def up_to_date(self, state: TrainingState) -> TrainingState:
        """The same state with the weights as they are now."""
        state.engine = self._engine.state()
        return state

    def epoch(self, state: TrainingState) -> Iterator[int]:
        """Do what is left of an epoch; yields the number of cells of each portion when the state has it."""
        config, index = self._config, state.epoch + 1
        for portion, order in self._train_cells.shuffled(self._rng, after=len(state.portions), ranks=self._ranks):
            self._engine.read(portion)
            n_cells = sum(self._ranks.gather(len(order)))
            loss = self._learn(order, index, sum(n for _, n in state.portions), n_cells)
            check_finite(loss, index, config)
            state.portions.append((loss, n_cells))
            if sum(n for _, n in state.portions) == len(self._train_cells):
                self._finish(state)
            yield n_cells

    def _learn(self, order: NDArray[np.intp], epoch: int, done: int, n_cells: int) -> float:
        if self._phases is None:
            return self._engine.epoch(order, learning_rate(epoch, self._config))
        return self._phases.epoch(order, epoch, done / len(self._train_cells), n_cells / len(self._train_cells))

    def _finish(self, state: TrainingState) -> None:
        config, index, train_loss = self._config, state.epoch + 1, mean_loss(state.portions)
        if self._phases is not None:
            self._phases.hold_wandered(index)
            state.held = self._phases.held
        if self._effects is not None:
            self._engine.update_batch_factors(self._effects.factors)
        if index in config.snapshot_epochs:
            state.snapshots[index] = self._engine.network()
        if index % config.test_every == 0 or index == config.max_epochs:
            now, test_loss = self._engine.network(), self._loss(self._held_out)
            check_finite(test_loss, index, config)
            if test_loss < min(row[2] for row in state.rows):
                state.kept, state.best_epoch = now, index
            state.rows.append((index, train_loss, test_loss, now.orthogonality_gap))
        state.epoch, state.portions, state.generator = index, [], self._generator
        since = state.best_epoch if self._phases is None else self._phases.since(state.best_epoch)
        if index - since >= config.patience:
            state.stopped = "patience"
        elif index == config.max_epochs:
            state.stopped = "max_epochs"

    def _loss(self, cells: Source) -> float:
        return self._mean(cells, self._engine.loss)

    def _mean(self, cells: Source, loss: Callable[[Cells], float]) -> float:
        """Over the cells of all ranks, of which these are the ones of this rank."""
        mine = [(loss(part), len(part)) for part in cells.portions() if len(part)]
        return mean_loss([one for result in self._ranks.gather(mine) for one in result])

    def _start_engine(self, network: Network) -> None:
        unit = loss_unit(self._train_cells) if self._config.loss_scale == "mean" else 1.0
        train_cells = (
            self._train_cells if isinstance(self._train_cells, Cells) else None
        )  # else a portion comes with each order
        self._engine = start_engine(network, train_cells, self._config, unit, self._device, ranks=self._ranks)

    def _start_phases(self, held: NDArray[np.bool_]) -> None:
        parts = self._config.architecture == "parts"
        given: Any = self._engine
        self._phases = Phases(given, self._config, self._train_cells, held, self._ranks) if parts else None

    @property
    def _generator(self) -> dict[str, Any]:
        return dict(self._rng.bit_generator.state)


def check_finite(loss: float, epoch: int, config: Config) -> None:
    """Stop with a way out when the training has diverged."""
    if not np.isfinite(loss):
        lower = config.learning_rate / 5
        msg = f"the loss stopped being finite in epoch {epoch}. Try a lower learning rate: learning_rate={lower:g}."
        raise FloatingPointError(msg)
