"""Which genes stand for a unit: those it makes, and that tell it from the other units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gene_shares(loadings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Genes × units: the share of the unit in what all units make of the gene, of those with the same sign.

    Parameters
    ----------
    loadings
        Genes × units: what one standard deviation more of the unit, or a like step, changes in log1p of the rate.
    """
    exact = loadings.astype(np.float64)
    size = np.abs(exact)
    raised = np.where(exact > 0, exact, 0).sum(axis=1, keepdims=True)
    lowered = np.where(exact < 0, -exact, 0).sum(axis=1, keepdims=True)
    total = np.where(exact > 0, raised, lowered)
    return np.asarray(np.divide(size, total, out=np.zeros_like(size), where=size > 0))


def gene_scores(loadings: NDArray[np.floating]) -> NDArray[np.float64]:
    """Genes × units: the loading times its share, with the sign of the loading.

    A gene that only this unit makes keeps its loading; one that n units make alike keeps a part in n. So ribosomal
    genes, which many units make, stand behind the markers of a unit, and stand first where one unit makes most of them;
    a gene that is its own but hardly made does not come first either.
    """
    return loadings.astype(np.float64) * gene_shares(loadings)


def strongest_genes(scores: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Positions of the `n` genes of largest absolute score of one unit, the largest first; of score 0 none."""
    order = np.argsort(-np.abs(scores), kind="stable")[:n]
    return np.asarray(order[scores[order] != 0], dtype=np.intp)
