"""Principal components of cells that do not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .cells import Cells
    from .source import Source

MORE = 10
"""Directions beyond those asked for, which make these better."""

POWER_ITERATIONS = 4
"""Passes there and back that turn random directions towards the largest components."""


def principal_components(cells: Source, n_components: int, *, seed: int) -> NDArray[np.float32]:
    """Cells × components of what the encoder reads, centred, by randomised subspace iteration.

    Halko, Martinsson & Tropp (2011), *SIAM Review* 53:217, algorithm 4.4: only products of the inputs with some columns
    are needed, so the cells are read a portion at a time.
    """
    n_genes = cells.n_genes
    width = min(n_components + MORE, n_genes)
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(n_genes, width)))[0]
    mean = np.zeros(n_genes)
    for part in cells.portions():
        mean += np.asarray(part.sparse_inputs().sum(axis=0, dtype=np.float64)).ravel() / len(cells)
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(_there_and_back(cells, basis, mean))[0]
    scores = np.concatenate([_centred(part, basis, mean) for part in cells.portions()])
    turned = np.linalg.svd(scores.T @ scores)[0][:, :n_components]
    return np.asarray(scores @ turned, dtype=np.float32)


def _there_and_back(cells: Source, basis: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.zeros_like(basis)
    for part in cells.portions():
        scores = _centred(part, basis, mean)
        total += part.sparse_inputs().T @ scores  # centred on one side is centred on both: the scores sum to 0
    return total


def _centred(part: Cells, basis: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(part.sparse_inputs() @ basis - mean @ basis)
