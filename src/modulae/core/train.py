"""The training loop: Nesterov steps on the Poisson loss and the orthogonality penalty, stopped on held-out cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .fitted import History
from .losses import orthogonality_penalty, poisson_loss
from .network import WEIGHTS, OrthogonalNetwork, initial_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from numpy.typing import NDArray

    from .batches import Cells
    from .config import Config

TEST_BLOCK = 512
"""Cells per pass when the held-out loss is measured."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a finished (or interrupted) training hands back."""

    network: OrthogonalNetwork
    history: History
    snapshots: dict[int, OrthogonalNetwork]  # by epoch


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
        Where torch computes.
    on_epoch
        Called after each epoch with its number and the last held-out loss.

    Raises
    ------
    FloatingPointError
        The loss stopped being finite.
    """
    import torch

    rng = np.random.default_rng([config.seed, 1])
    learn, held_out = cells.take(np.flatnonzero(~test)), cells.take(np.flatnonzero(test))
    start = initial_network(config, mean_rates(learn), rng)
    network = start.to_torch(device, trained=True)
    optimizer = torch.optim.SGD(
        [getattr(network, name) for name in WEIGHTS],
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.momentum > 0,
    )
    unit = loss_unit(learn) if config.loss_scale == "mean" else 1.0
    kept, snapshots = start, {0: start} if 0 in config.snapshot_epochs else {}
    rows = [(0, held_out_loss(network, learn, device), held_out_loss(network, held_out, device), penalty_of(network))]
    best_epoch, stopped = 0, "max_epochs"
    try:
        for epoch in range(1, config.max_epochs + 1):
            train_loss = one_epoch(network, optimizer, learn, config, unit=unit, rng=rng, device=device)
            check_finite(train_loss, epoch, config)
            if epoch in config.snapshot_epochs:
                snapshots[epoch] = network.to_numpy()
            if epoch % config.test_every == 0 or epoch == config.max_epochs:
                rows.append((epoch, train_loss, held_out_loss(network, held_out, device), penalty_of(network)))
                check_finite(rows[-1][2], epoch, config)
                if rows[-1][2] < min(row[2] for row in rows[:-1]):
                    kept, best_epoch = network.to_numpy(), epoch
            on_epoch(epoch, rows[-1][2])
            if epoch - best_epoch >= config.patience:
                stopped = "patience"
                break
    except KeyboardInterrupt:
        stopped = "interrupted"
    epochs, train_losses, test_losses, penalties = (np.asarray(column) for column in zip(*rows, strict=True))
    history = History(epochs, train_losses, test_losses, penalties, best_epoch, stopped)
    return Training(kept, history, snapshots)


def one_epoch(
    network: OrthogonalNetwork,
    optimizer: torch.optim.Optimizer,
    learn: Cells,
    config: Config,
    *,
    unit: float,
    rng: np.random.Generator,
    device: str,
) -> float:
    """One pass over the training cells in random order; returns their mean Poisson loss on the way, in counts."""
    total = 0.0
    for batch, inputs, counts, scale in batches(learn, config.batch_size, rng, device):
        loss = poisson_loss(scale * network.decode(network.encode(inputs)), counts)
        total += float(loss.detach()) * batch
        objective = loss / unit
        if config.orthogonality and config.orthogonality_gradient:
            objective = objective + config.orthogonality * orthogonality_penalty(network.w2)
        optimizer.zero_grad(set_to_none=True)
        objective.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return total / len(learn)


def batches(cells: Cells, size: int, rng: np.random.Generator, device: str) -> Iterator[tuple[int, Any, Any, Any]]:
    """Shuffled batches as tensors: how many cells, inputs, counts, size factors."""
    import torch

    order = rng.permutation(len(cells))
    for start in range(0, len(order), size):
        batch = cells.take(order[start : start + size])
        inputs, counts, scale = (
            torch.from_numpy(array).to(device) for array in (batch.inputs(), batch.dense(), batch.scale())
        )
        yield len(batch), inputs, counts, scale


def held_out_loss(network: OrthogonalNetwork, cells: Cells, device: str) -> float:
    """Mean Poisson loss of these cells, in counts."""
    import torch

    total = 0.0
    with torch.no_grad():
        for _, block in cells.blocks(TEST_BLOCK):
            inputs, counts, scale = (
                torch.from_numpy(array).to(device) for array in (block.inputs(), block.dense(), block.scale())
            )
            total += float(poisson_loss(scale * network.decode(network.encode(inputs)), counts)) * len(block)
    return total / len(cells)


def penalty_of(network: OrthogonalNetwork) -> float:
    """‖I − W Wᵀ‖_F as a number."""
    return float(orthogonality_penalty(network.w2.detach()))


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
