"""Which units of many halves are the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.scores.correlation import correlation_of_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .find import HalfUnits

MIN_SIMILARITY = 0.55
"""How alike the units of a group are at least, on average."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Groups of like units, those that most splits found in both halves first."""

    loadings: NDArray[np.float64]  # units × genes: the median over the halves that have the unit
    members: NDArray[np.intp]  # units × splits × 2: which unit of the half it is; −1 where there is none
    similarity: NDArray[np.float64]  # units × splits: how alike the two halves' units are; NaN where one has none

    @property
    def found(self) -> NDArray[np.bool_]:
        """Units × splits × 2: whether the half has the unit."""
        return self.members >= 0

    @property
    def replicated(self) -> NDArray[np.float64]:
        """Units: the share of splits of which both halves have the unit."""
        return np.asarray(self.found.all(axis=2).mean(axis=1))

    @property
    def likeness(self) -> NDArray[np.float64]:
        """Units: how alike the two halves' units are, a mean over the splits; 0 where one of them has none."""
        return np.asarray(np.where(np.isnan(self.similarity), 0, self.similarity).mean(axis=1))

    def take(self, units: NDArray[np.bool_] | NDArray[np.intp]) -> Agreed:
        """Some of them."""
        return Agreed(self.loadings[units], self.members[units], self.similarity[units])

    def joined(self, other: Agreed) -> Agreed:
        """These and others of the same splits."""
        return Agreed(
            np.concatenate([self.loadings, other.loadings]),
            np.concatenate([self.members, other.members]),
            np.concatenate([self.similarity, other.similarity]),
        )


def agree(halves: Sequence[HalfUnits]) -> Agreed:
    """Group the units of all halves by likeness.

    Two units are as alike as the smaller of two numbers says: the cosine of their loadings, and the correlation of
    their activities over all cells. Groups are made by average linkage (as consensus NMF does with loadings alone:
    Kotliar et al. 2019, *eLife* 8:e43803); of a half with two units in a group, the more central counts.

    Parameters
    ----------
    halves
        First and second half of the first split, of the second, …; all with the same cells and genes.
    """
    from sklearn.metrics.pairwise import cosine_similarity

    of_half = np.repeat(np.arange(len(halves)), [len(half.loadings) for half in halves])
    in_half = np.concatenate([np.arange(len(half.loadings)) for half in halves])
    loadings = np.concatenate([half.loadings for half in halves])
    shape = (len(halves) // 2, 2)
    if not len(loadings):
        none = np.zeros((0, *shape), dtype=np.intp)
        return Agreed(loadings.astype(np.float64), none, np.zeros(none.shape[:2]))
    similarity = correlation_of_all([half.activity for half in halves])
    np.minimum(similarity, cosine_similarity(loadings), out=similarity)
    groups = _linked(similarity)
    members, medians, alike = [], [], []
    for group in range(groups.max() + 1):
        units = np.flatnonzero(groups == group)
        central = similarity[np.ix_(units, units)].mean(axis=1)
        best = np.full(len(halves), -1)
        for unit in units[np.argsort(central, kind="stable")]:
            best[of_half[unit]] = unit  # the most central comes last
        available = best[best >= 0]
        medians.append(np.median(loadings[available].astype(np.float64), axis=0))
        members.append(np.where(best >= 0, in_half[best], -1).reshape(shape))
        pairs = best.reshape(shape)
        alike.append(np.where((pairs >= 0).all(axis=1), similarity[pairs[:, 0], pairs[:, 1]], np.nan))
    result = Agreed(np.array(medians), np.array(members, dtype=np.intp), np.array(alike))
    return result.take(np.lexsort((-result.likeness, -result.replicated)))


def _linked(similarity: NDArray[np.float64]) -> NDArray[np.intp]:
    """Units: the number of the group, by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(similarity) == 1:
        return np.zeros(1, dtype=np.intp)
    apart = 1 - squareform(similarity + similarity.T, checks=False) / 2
    tree = linkage(np.clip(apart, 0, None), method="average")
    return np.asarray(fcluster(tree, 1 - MIN_SIMILARITY, criterion="distance") - 1, dtype=np.intp)
