"""Units that come back: many runs on parts of the cells, and one model of what they agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.inference.encode import encode
from modulae.core.scores.correlation import correlation, match_units

from .train import split_cells, train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config


@dataclass(frozen=True, slots=True)
class ConsensusRun:
    """What one run found."""

    loadings: NDArray[np.float32]  # units × genes
    activity: NDArray[np.float32]  # cells × units, of all cells, also those the run did not see


@dataclass(frozen=True, slots=True)
class Agreed:
    """Units that came back in enough of the runs, those in most of them first."""

    loadings: NDArray[np.float64]  # units × genes: the median over runs
    share: NDArray[np.float64]  # units: in which share of the runs it was found
    members: NDArray[np.intp]  # units × runs: which unit of the run; −1 where there is none


def run_once(cells: Source, config: Config, share_of_cells: float, device: str) -> ConsensusRun:
    """Train on a random share of the cells, drawn with the seed of the settings; read all of them."""
    rng = np.random.default_rng([config.seed, 6])
    n = max(2, round(share_of_cells * len(cells)))
    some = cells.take(np.sort(rng.permutation(len(cells))[:n]))
    network = train(some, split_cells(n, config), config, device=device).network
    loadings = network.gene_loadings
    if loadings is None:
        msg = "units have to be parts to be put together. Use architecture='parts'."
        raise ValueError(msg)
    return ConsensusRun(np.ascontiguousarray(loadings.T), encode(network, cells))


def agree(runs: Sequence[ConsensusRun], *, min_similarity: float, min_share: float) -> Agreed:
    """Group the units of all runs by likeness, and keep the groups that most runs have a unit in.

    Two units are as alike as the smaller of two numbers says: the cosine of their loadings, and the correlation of
    their activities over all cells. Groups are made by average linkage (as consensus NMF does with loadings alone:
    Kotliar et al. 2019, *eLife* 8:e43803); of a run with two units in a group, the more central counts.

    Parameters
    ----------
    runs
        The runs, all of the same cells and genes.
    min_similarity
        How alike the units of a group are at least, on average.
    min_share
        In which share of the runs a unit has to be found.
    """
    of_run = np.repeat(np.arange(len(runs)), [len(run.loadings) for run in runs])
    in_run = np.concatenate([np.arange(len(run.loadings)) for run in runs])
    loadings = np.concatenate([run.loadings for run in runs]).astype(np.float64)
    activity = np.concatenate([run.activity for run in runs], axis=1)
    similarity = np.minimum(cosine(loadings), correlation(activity, activity))
    groups = _linked(similarity, min_similarity)
    result = []
    for group in range(groups.max() + 1):
        units = np.flatnonzero(groups == group)
        central = similarity[np.ix_(units, units)].mean(axis=1)
        best = np.full(len(runs), -1)
        for unit in units[np.argsort(central, kind="stable")]:
            best[of_run[unit]] = unit  # the most central comes last
        available = best[best >= 0]
        if len(available) >= min_share * len(runs) - 1e-9:
            result.append((len(available) / len(runs), similarity[np.ix_(available, available)].mean(), best))
    result.sort(key=lambda group: (-group[0], -group[1]))
    return Agreed(
        np.array([np.median(loadings[best[best >= 0]], axis=0) for _, _, best in result]).reshape(
            -1, loadings.shape[1]
        ),
        np.array([share for share, _, _ in result]),
        np.array([np.where(best >= 0, in_run[best], -1) for _, _, best in result], dtype=np.intp).reshape(
            -1, len(runs)
        ),
    )


def cosine(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of every pair of rows; 0 for a row of zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled = rows / np.where(length > 0, length, 1)
    return np.asarray(scaled @ scaled.T, dtype=np.float64)


def _linked(similarity: NDArray[np.float64], minimum: float) -> NDArray[np.intp]:
    """Units: the number of the group, by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(similarity) == 1:
        return np.zeros(1, dtype=np.intp)
    distance = 1 - (similarity + similarity.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(np.clip(distance, 0, None), checks=False), method="average")
    return np.asarray(fcluster(tree, 1 - minimum, criterion="distance") - 1, dtype=np.intp)


def run_correlation(final: NDArray[np.floating], runs: Sequence[ConsensusRun]) -> NDArray[np.float64]:
    """Units × runs: |r| of each unit's activity with that of its match in the run (Hungarian); 0 without one."""
    return np.stack([np.abs(match_units(final, run.activity)[1]) for run in runs], axis=1)
