"""Some of very many cells, in which programmes of few cells are still there to be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.data.map_reduce import map_cells
from modulae.core.factorisation.low_rank import low_rank

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modulae.core.data.source import Source

RANK, SHARE = 50, 10
"""Directions in which cells can be unusual, and one for so many cells or genes at most. More let in the noise of single
genes."""

LEAST_SPREAD = 0.02
"""Added to the standard deviation that a gene is divided by, so that a gene of hardly any cell is not all there is."""

LEAST_WEIGHT = 1e-6
"""Of a cell that is no more unusual than the median."""

FEWEST = 100
"""Cells of each batch at least: what a batch counts otherwise is learnt from them."""

CELLS_AT_ONCE = 4096


def random_cells(
    rows: NDArray[np.intp], most: int, seed: int, batch: NDArray[np.int64] | None = None
) -> NDArray[np.intp]:
    """All of these rows, or random ones where there are more than `most`.

    With the `batch` of every cell there are :data:`FEWEST` of each batch, or all it has.
    """
    if len(rows) <= most:
        return rows
    order = np.random.default_rng([seed, 8]).permutation(rows)
    if batch is None:
        return np.sort(order[:most])
    known = [order[batch[order] == one] for one in np.unique(batch[rows]) if one >= 0]
    fewest = max(min(FEWEST, most // (2 * max(len(known), 1))), 1)
    first = np.concatenate([part[:fewest] for part in known])
    return np.sort(np.concatenate([first, order[~np.isin(order, first)]])[:most])


def draw_cells(
    cells: Source, rows: NDArray[np.intp], most: int, seed: int, on_cells: Callable[[int], object] = lambda _n: None
) -> NDArray[np.intp]:
    """All of these rows, or where there are more than `most`, half of them at random and half of unusual cells.

    The first half stands for all cells. In the second, a cell is drawn in proportion to its leverage beyond that of
    the median cell: how far it lies out in the largest directions of the inputs, each gene and each direction scaled to
    the same variance. A programme of few cells is such a direction, so that its cells are drawn many times as often.
    `on_cells` is told how many more cells have been looked at.
    """
    if len(rows) <= most:
        return rows
    fair = random_cells(rows, most - most // 2, seed, cells.batch)
    others = np.setdiff1d(rows, fair)
    seen, leverage = read_rows(cells.take(fair)), np.empty(len(cells))
    rank = min(RANK, max(min(seen.counts.shape) // SHARE, 1))
    # of all cells: to take the others alone would make a copy of them
    for where, found in map_cells(cells, Leverage.of(seen, rank, seed), threads=True):
        leverage[where] = found
        on_cells(len(found))
    # so that there are always enough that can be drawn
    weights = np.maximum(leverage[others] - np.median(leverage[others]), 0) + LEAST_WEIGHT
    unusual = np.random.default_rng([seed, 9]).choice(others, most // 2, replace=False, p=weights / weights.sum())
    return np.sort(np.concatenate([fair, unusual]))


def read_rows(cells: Source) -> Cells:
    """The cells in memory; of a dask array each block is read once, however its rows are scattered."""
    parts = [counts for _, counts in map_cells(cells, _counts)]
    counts = sparse.csr_matrix(sparse.vstack(parts, format="csr") if len(parts) > 1 else parts[0])
    return Cells(counts, cells.size_factors, cells.batch)


def _counts(cells: Cells) -> sparse.csr_matrix:
    return cells.counts


@dataclass(frozen=True, slots=True)
class Leverage:
    """How far cells lie out, as a job on a portion of them."""

    directions: NDArray[np.float32]  # genes × rank, of variance 1 over the cells that they were found in
    centre: NDArray[np.float32]  # rank: the mean of these cells

    @classmethod
    def of(cls, cells: Cells, rank: int, seed: int) -> Self:
        """The largest directions of some cells."""
        inputs = cells.sparse_inputs()
        mean = np.asarray(inputs.mean(axis=0), dtype=np.float64).ravel()
        squares = np.asarray(inputs.multiply(inputs).mean(axis=0), dtype=np.float64).ravel()
        scale = 1 / (np.sqrt(np.maximum(squares - mean**2, 0)) + LEAST_SPREAD)
        scaled = sparse.csr_matrix(inputs @ sparse.diags(scale.astype(np.float32)))
        right = low_rank(scaled, rank, seed=seed).right.astype(np.float64)
        length = np.linalg.norm(right, axis=1, keepdims=True)
        right = right / np.where(length > 0, length, 1)
        at = scaled @ right.T  # cells × rank
        values, vectors = np.linalg.eigh(np.cov(at, rowvar=False).reshape(len(right), -1))
        kept = values > max(values[-1], 0) * 1e-6
        turn = vectors[:, kept] / np.sqrt(values[kept])
        directions = (scale[:, None] * right.T) @ turn
        return cls(directions.astype(np.float32), (at.mean(axis=0) @ turn).astype(np.float32))

    def __call__(self, cells: Source) -> NDArray[np.float32]:
        """Cells: their leverage."""
        found = np.empty(len(cells), dtype=np.float32)
        for rows, block in cells.blocks(CELLS_AT_ONCE):
            at = block.sparse_inputs() @ self.directions - self.centre
            found[rows] = np.einsum("cr,cr->c", at, at)
        return found
