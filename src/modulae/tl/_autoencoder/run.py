"""A training that somebody watches: its progress, and what to say at its end."""

from __future__ import annotations

import warnings
from itertools import count
from typing import TYPE_CHECKING

from modulae._utils.progress import progress_bar
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.processes.ranks import ALONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks
    from modulae.core.training.state import CheckpointStore
    from modulae.core.training.train import Training


def run_training(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    *,
    device: str,
    progress: bool | None,
    loadings: NDArray[np.float64] | None = None,
    keeper: CheckpointStore | None = None,
    ranks: Ranks = ALONE,
) -> Training:
    """Train, and warn of a training that was interrupted or that learnt nothing; of several ranks the first does so."""
    from modulae.core.training.anywhere import train_anywhere

    total = config.max_epochs * int((~test).sum())
    with progress_bar(total, "training", "cell", progress=progress if ranks.first else False, scaled=True) as bar:
        calls = count()

        def learnt(n_cells: int) -> None:
            if next(calls) == 0:
                bar.initial = n_cells  # of an earlier part: they took no time now
            bar.update(n_cells)

        def finished(epoch: int, loss: float) -> None:
            bar.set_postfix_str(f"epoch {epoch}/{config.max_epochs}, held-out loss {loss:.5f}")

        run = train_anywhere(
            cells,
            test,
            config,
            device=device,
            loadings=loadings,
            keeper=keeper,
            on_epoch=finished,
            on_cells=learnt,
            ranks=ranks,
        )
    if not ranks.first:
        return run
    if run.history.stopped == "interrupted":
        warnings.warn(
            f"training was interrupted; the weights of epoch {run.history.best_epoch}, the best so far, are kept."
            + ("" if keeper is None else " Call this again with the same checkpoint= to go on."),
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    elif run.history.best_epoch == 0 and config.architecture == "orthogonal":  # parts start from a factorisation
        warnings.warn(
            "the held-out loss never fell below that of the untrained model, which is what is kept. "
            f"Try a lower learning rate: learning_rate={config.learning_rate / 5:g}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    elif run.history.gain <= 0:
        warnings.warn(
            "the model predicts the held-out cells no better than the mean of each gene does: it has learnt nothing "
            "yet. Train longer (max_epochs=, patience=), or check that layer= holds raw counts.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return run


def encode_all(network: Network, cells: Source, *, progress: bool | None, ranks: Ranks) -> NDArray[np.float32]:
    """The representation of all cells, on every rank."""
    from modulae.core.training.distributed import encode_on_all_ranks

    seen = progress if ranks.first else False
    with progress_bar(len(cells), "reading all cells", "cell", progress=seen, scaled=True) as bar:
        return encode_on_all_ranks(network, cells, ranks, lambda n: bar.update(n * ranks.size))
