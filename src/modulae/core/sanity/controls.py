"""Networks that know nothing, or that know it from another start: what an explanation is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.network import xavier
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.training.anywhere import train_anywhere
from modulae.core.training.count_scale import mean_rates
from modulae.core.training.train import split_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modulae.core.model.config import Config
    from modulae.core.model.fitted import Fitted
    from modulae.core.model.network import Network
    from modulae.core.training.train import Training


Kind = Literal[
    "other seeds",
    "shuffled counts",
    "untrained, same start",
    "untrained, other start",
    "last layer redrawn",
    "expression alone",
]


SEEDS, LAST_LAYER, EXPRESSION = "other seeds", "last layer redrawn", "expression alone"


@dataclass(frozen=True, slots=True)
class Control:
    """A network that an explanation is held against."""

    name: str
    kind: Kind
    network: Network | None  # None: no model at all


def untrained_network(cells: Cells, config: Config) -> Network:
    """The network that :func:`modulae.core.training.train.train` starts from with this seed.

    Parts start from a factorisation, which knows the cells; one that knows nothing has random weights.
    """
    rng = np.random.default_rng([config.seed, 1])
    if config.architecture == "parts":
        shape = config.n_latent, cells.n_genes
        bias, baseline = (np.zeros(n, dtype=np.float32) for n in shape)
        return PartsNetwork(xavier(rng, *shape), bias, np.abs(xavier(rng, *shape)), baseline)
    return initial_network(config, mean_rates(cells), rng)


def gene_shuffled(cells: Cells, rng: np.random.Generator) -> Cells:
    """Counts of every gene dealt anew to the cells, gene by gene; a cell gets its share by its depth.

    Every gene keeps its counts, so its total and the number of cells that it is seen in. Its largest count goes to a
    cell drawn with a probability proportional to the cell's size factor, the next to one of the others, and so on
    (Efraimidis & Spirakis 2006: order by an exponential draw over the weight). Deep cells stay deep, and nothing but
    depth makes two genes go together. To exchange counts only between cells of like depth would leave a good deal, as
    kinds of cells differ in depth. Size factors follow the new totals.
    """
    totals = cells.totals()
    weights = totals if cells.size_factors is None else cells.size_factors.astype(np.float64)
    by_gene = cells.counts.tocsc()
    rows = np.empty_like(by_gene.indices)
    values = np.empty_like(by_gene.data)
    with np.errstate(divide="ignore"):  # a cell of weight 0 comes last
        for start, stop in pairwise(by_gene.indptr):
            order = np.argsort(rng.exponential(size=len(weights)) / weights, kind="stable")
            rows[start:stop] = order[: stop - start]
            values[start:stop] = -np.sort(-by_gene.data[start:stop])
    counts = sparse.csc_matrix((values, rows, by_gene.indptr), shape=by_gene.shape).tocsr()
    if cells.size_factors is None:
        return Cells(counts, None, cells.batch)
    dealt = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    return Cells(counts, (dealt * weights.sum() / max(dealt.sum(), 1)).astype(np.float32), cells.batch)


def draw_controls(
    fitted: Fitted,
    cells: Cells,
    *,
    n_seeds: int,
    max_epochs: int,
    seed: int,
    device: str,
    on_epoch: Callable[[int, float], None],
) -> Iterator[Control]:
    """Make the controls one after the other, the trained ones with the model's own settings.

    The shuffled counts are learnt from another start, for as many epochs as the model's weights took: there, the
    held-out loss soon has nothing more to gain, and stopping early would leave the control half trained.
    """
    config = replace(fitted.config, max_epochs=max_epochs, snapshot_epochs=(), loadings=None)
    seeds = (number for number in count(seed) if number != config.seed)

    def fit(given: Cells, settings: Config) -> Training:
        run = train_anywhere(given, split_cells(len(given), settings), settings, device=device, on_epoch=on_epoch)
        if run.history.stopped == "interrupted":
            raise KeyboardInterrupt
        return run

    for _ in range(n_seeds):
        other = replace(config, seed=next(seeds))
        yield Control(f"seed {other.seed}", "other seeds", fit(cells, other).network)
    length = max(1, round(fitted.history.best_epoch * max_epochs / fitted.config.max_epochs))
    settings = replace(config, seed=next(seeds), snapshot_epochs=(length,), patience=max_epochs)
    shuffled = gene_shuffled(cells, np.random.default_rng([seed, 3]))
    yield Control("shuffled counts", "shuffled counts", fit(shuffled, settings).snapshots[length])
    if config.architecture != "parts":
        yield Control("untrained, same start", "untrained, same start", untrained_network(cells, config))
    for _ in range(n_seeds):
        other = replace(config, seed=next(seeds))
        yield Control(f"untrained, seed {other.seed}", "untrained, other start", untrained_network(cells, other))
    for number in range(n_seeds):
        redrawn = fitted.network.redrawn(np.random.default_rng([seed, 2, number]))
        yield Control(f"last layer redrawn, draw {number}", "last layer redrawn", redrawn)
    yield Control("expression alone", "expression alone", None)
