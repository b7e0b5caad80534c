"""How many times as often each batch counts each gene: one factor a batch and gene, beside what the units make.

A rate is size factor × factor of the batch × what the units decode to. The encoder sees no batch. So that it learns to
see past what it could still tell them apart by, it reads each cell while it learns as if counted in a batch at random.
Factors start as ratios of the batches' mean rates; those of the orthogonal architecture are refined after each epoch,
beside what the units make of the cells, and so follow less where batches hold other kinds of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source

BATCH_PRIOR = 5.0
"""Strength of the prior on a factor, gamma with mean 1 and variance one over it: a gene hardly expected in a batch
keeps about 1, and one that a batch never counts gets a low factor, never 0. The factors are many, so that without it
they learn the noise of rare genes."""

PERMUTE_BATCHES = True
"""Whether the encoder learns from cells as if they were of a batch at random (:meth:`Cells.permute_batches`)."""


@dataclass(frozen=True, slots=True)
class BatchEffects:
    """What of the training cells decides on the factors, and stays the same while the network learns."""

    seen: NDArray[np.float64]  # batches × genes: summed counts
    exposure: NDArray[np.float64]  # batches: summed size factors
    shares: NDArray[np.float64]  # batches: share of the cells

    @classmethod
    def of(cls, cells: Source, n_batches: int) -> BatchEffects:
        """Look once through the training cells."""
        seen, exposure = np.zeros((n_batches, cells.n_genes)), np.zeros(n_batches)
        sizes = np.zeros(n_batches)
        for part in cells.portions():
            if part.batch is None:
                msg = "cells without batches have no effects of them"
                raise ValueError(msg)
            where = (part.batch, np.arange(len(part)))
            members = sparse.csr_matrix((np.ones(len(part)), where), shape=(n_batches, len(part)))
            seen += (members @ part.counts).toarray()
            exposure += members @ part.scale()[:, 0].astype(np.float64)
            sizes += np.bincount(part.batch, minlength=n_batches)
        return cls(seen, exposure, sizes / sizes.sum())

    def factors(self, expected: NDArray[np.float64]) -> NDArray[np.float32]:
        """(Batches + 1) × genes: posterior means (Σx + a) / (Σy + a), and as the last row their average over the cells.

        For Poisson counts x of rates y times a factor with a gamma prior of mean 1, variance 1 / a. They are scaled so
        that over all batches a gene is expected as often as without them: how often it is counted at all is for the
        decoder to learn, and would otherwise drift between the two.

        Parameters
        ----------
        expected
            Batches × genes: Σy over the cells of each batch, before the factors.
        """
        result = (self.seen + BATCH_PRIOR) / (expected + BATCH_PRIOR)
        with_them = (expected * result).sum(axis=0)
        result *= np.divide(expected.sum(axis=0), with_them, out=np.ones_like(with_them), where=with_them > 0)
        return np.vstack([result, self.shares @ result]).astype(np.float32)

    def start(self) -> NDArray[np.float32]:
        """The factors where all cells have the same rates: then no unit is needed to tell the batches apart."""
        rates = self.seen.sum(axis=0) / max(self.exposure.sum(), np.finfo(float).tiny)
        return self.factors(np.outer(self.exposure, rates))


def n_batches(batch: NDArray[np.int64] | None) -> int:
    """How many there are; 0 without batches."""
    return 0 if batch is None else int(batch.max(initial=-1)) + 1
