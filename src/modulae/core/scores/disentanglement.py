"""How far every label has one unit of its own: two scores of a unit for a label, three ways to sum them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import entr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

N_BINS = 10


def scaled_mutual_information(units: NDArray[np.floating], labels: NDArray[np.bool_]) -> Scores:
    """Mutual information of each unit, cut into ten bins of equal width, with each label, over the label's entropy.

    Parameters
    ----------
    units
        cells × units.
    labels
        cells × labels; none is on in no cell or in all.

    Returns
    -------
    units × labels, in [0, 1].
    """
    share = labels.mean(axis=0)
    entropy = entr(share) + entr(1 - share)
    scores = np.zeros((units.shape[1], labels.shape[1]))
    for unit, values in enumerate(units.T):
        edges = np.linspace(values.min(), values.max(), N_BINS + 1)
        in_bin = np.searchsorted(edges[1:-1], values, side="right")[:, None] == np.arange(N_BINS)  # cells × bins
        with_label = in_bin.T.astype(np.float64) @ labels / len(values)  # bins × labels
        size = in_bin.mean(axis=0)[:, None]
        joint = entr(with_label).sum(axis=0) + entr(np.maximum(size - with_label, 0)).sum(axis=0)
        scores[unit] = (entropy + entr(size).sum() - joint) / entropy
    return np.clip(scores, 0, 1)  # rounding


def same_process_neighbours(units: NDArray[np.floating], labels: NDArray[np.bool_]) -> Scores:
    """How often the next cell in the order of a unit has the label too, beyond chance.

    For cells with the same value there is no order: the pairs are counted as they are on average over all orders.

    Parameters
    ----------
    units
        cells × units.
    labels
        cells × labels; each is on in two cells or more, and not in all.

    Returns
    -------
    units × labels, in [0, 1].
    """
    n_with = labels.sum(axis=0)
    chance = n_with / len(labels)
    scores = np.zeros((units.shape[1], labels.shape[1]))
    for unit, values in enumerate(units.T):
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)  # where a new value begins
        size = np.diff(starts, append=len(values))[:, None].astype(np.float64)
        with_label = np.add.reduceat(labels[order].astype(np.float64), starts, axis=0)  # values × labels
        share = with_label / size
        pairs = (share * (with_label - 1)).sum(axis=0) + (share[:-1] * share[1:]).sum(axis=0)
        scores[unit] = (pairs / (n_with - 1) - chance) / (1 - chance)
    return np.clip(scores, 0, None)


def latent_matching(scores: Scores) -> float:
    """LMS: mean score of the labels when each is given a unit of its own, the best way round."""
    units, labels = linear_sum_assignment(scores, maximize=True)
    return float(scores[units, labels].sum() / scores.shape[1])


def most_similar_averaging(scores: Scores) -> float:
    """MSAS: mean over the labels of the score of the best unit."""
    return float(scores.max(axis=0).mean())


def most_similar_gap(scores: Scores) -> float:
    """MSGS: mean over the labels of how far the best unit is ahead of the second."""
    second, best = np.sort(scores, axis=0)[-2:]
    return float((best - second).mean())
