"""The training loop: steps on the Poisson loss, stopped on held-out cells; one for all architectures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .engines.start import start_engine
from .fitted import History
from .losses import gene_means_loss
from .network import initial_network
from .parts_start import initial_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .batches import Cells
    from .config import Config
    from .weights import Network


@dataclass(frozen=True, slots=True)
class Training:
    """What a finished (or interrupted) training hands back."""

    network: Network
    history: History
    snapshots: dict[int, Network]  # by epoch


def split_cells(n_cells: int, config: Config) -> NDArray[np.bool_]:
    """Mark the held-out cells: `test_fraction` of them, at least one, drawn with `seed`."""
    if n_cells < 2:
        msg = f"training needs at least 2 cells, one to learn from and one held out; there is {n_cells}. Add cells."
        raise ValueError(msg)
    n_test = min(max(1, round(config.test_fraction * n_cells)), n_cells - 1)
    test = np.zeros(n_cells, dtype=bool)
    test[np.random.default_rng([config.seed, 0]).permutation(n_cells)[:n_test]] = True
    return test


def train(
    cells: Cells,
    test: NDArray[np.bool_],
    config: Config,
    *,
    device: str = "cpu",
    loadings: NDArray[np.float64] | None = None,
    on_epoch: Callable[[int, float], None] = lambda _epoch, _loss: None,
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
    on_epoch
        Called after each epoch with its number and the last held-out loss.

    Raises
    ------
    FloatingPointError
        The loss stopped being finite.
    """
    rng = np.random.default_rng([config.seed, 1])
    learn, held_out = cells.take(np.flatnonzero(~test)), cells.take(np.flatnonzero(test))
    rates = mean_rates(learn)
    start: Network = (
        initial_parts(config, learn, loadings)
        if config.architecture == "parts"
        else initial_network(config, rates, rng)
    )
    unit = loss_unit(learn) if config.loss_scale == "mean" else 1.0
    engine = start_engine(start, learn, config, unit, device)
    kept, snapshots = start, {0: start} if 0 in config.snapshot_epochs else {}
    rows = [(0, engine.loss(learn), engine.loss(held_out), start.orthogonality_gap)]
    best_epoch, stopped = 0, "max_epochs"
    try:
        for epoch in range(1, config.max_epochs + 1):
            train_loss = engine.epoch(rng.permutation(len(learn)), learning_rate(epoch, config))
            check_finite(train_loss, epoch, config)
            if epoch in config.snapshot_epochs:
                snapshots[epoch] = engine.network()
            if epoch % config.test_every == 0 or epoch == config.max_epochs:
                now = engine.network()
                rows.append((epoch, train_loss, engine.loss(held_out), now.orthogonality_gap))
                check_finite(rows[-1][2], epoch, config)
                if rows[-1][2] < min(row[2] for row in rows[:-1]):
                    kept, best_epoch = now, epoch
            on_epoch(epoch, rows[-1][2])
            if epoch - best_epoch >= config.patience:
                stopped = "patience"
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
    epochs, train_losses, test_losses, gaps = (np.asarray(column) for column in zip(*rows, strict=True))
    plain = gene_means_loss(rates, held_out.counts, held_out.size_factors)
    history = History(epochs, train_losses, test_losses, gaps, best_epoch, stopped, plain)
    return Training(kept, history, snapshots)


def learning_rate(epoch: int, config: Config) -> float:
    """Step size in an epoch, counted from 1: constant, or falling from the first epoch to the last on a half cosine."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / config.max_epochs))


def mean_rates(cells: Cells) -> NDArray[np.float64]:
    """Counts of each gene per cell of size factor 1: the best rates of a Poisson model without structure."""
    exposure = len(cells) if cells.size_factors is None else float(cells.size_factors.sum(dtype=np.float64))
    totals = np.asarray(cells.counts.sum(axis=0, dtype=np.float64)).ravel()
    return np.asarray(totals / max(exposure, np.finfo(float).tiny))


def loss_unit(cells: Cells) -> float:
    """What the loss is divided by, so that one learning rate serves thin and deep data: the mean count, or its root.

    Below a count of 1, SoftPlus is an exponential and the curvature of the Poisson loss in what it gets is the mean
    count; far above, SoftPlus is linear and the curvature falls as 1 / count. The square root above 1 is what measured
    between too slow (the mean count) and unstable (its inverse).
    """
    mean = float(cells.counts.sum(dtype=np.float64)) / (cells.counts.shape[0] * cells.counts.shape[1])
    if mean == 0:
        msg = (
            "the training cells have no counts in the model's genes. Choose other genes (`mask_var`) or another layer."
        )
        raise ValueError(msg)
    return mean if mean < 1 else float(np.sqrt(mean))


def check_finite(loss: float, epoch: int, config: Config) -> None:
    """Stop with a way out when the training has diverged."""
    if not np.isfinite(loss):
        lower = config.learning_rate / 5
        msg = f"the loss stopped being finite in epoch {epoch}. Try a lower learning rate: learning_rate={lower:g}."
        raise FloatingPointError(msg)
