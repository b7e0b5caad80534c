"""Cells alike in the representation, and how much each counts for the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

EXACT_UP_TO = 30_000
"""Cells; above it the neighbours are searched for approximately."""

CELLS_PER_QUERY = 2048


def shared_neighbours(points: NDArray[np.floating], n_neighbors: int, *, seed: int = 0) -> sparse.csr_matrix:
    """Weights of each cell's neighbours: the squared share of neighbours that the two have in common.

    A cell is its own first neighbour, with weight 1. A cell of a rare type whose neighbours are mostly of another type
    shares few of its own with them, so they count little (Jarvis & Patrick 1973, *IEEE Transactions on Computers*
    C-22:1025, use the same count).

    Parameters
    ----------
    points
        Cells × units.
    n_neighbors
        How many, the cell itself included.
    seed
        Of the approximate search.

    Returns
    -------
    cells × cells, `float32`, rows with at most `n_neighbors` weights in (0, 1].
    """
    from scipy import sparse

    n_cells, k = len(points), min(n_neighbors, len(points))
    result = nearest(points, k, seed=seed)
    starts = np.arange(0, n_cells * k + 1, k)
    near = sparse.csr_matrix((np.ones(n_cells * k, dtype=np.float32), result.ravel(), starts), shape=(n_cells,) * 2)
    others = near.T.tocsc()
    blocks = []
    for start in range(0, n_cells, CELLS_PER_QUERY):
        rows = near[start : start + CELLS_PER_QUERY]
        common = (rows @ others).multiply(rows).tocsr()
        common.data = np.square(common.data / k, dtype=np.float32)
        blocks.append(common)
    return sparse.csr_matrix(sparse.vstack(blocks))


def nearest(points: NDArray[np.floating], k: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Cells × k: the nearest cells by Euclidean distance, each cell itself first."""
    exact = np.ascontiguousarray(points, dtype=np.float32)
    if len(exact) <= EXACT_UP_TO:
        from sklearn.neighbors import NearestNeighbors

        result = NearestNeighbors(n_neighbors=k).fit(exact).kneighbors(exact, return_distance=False)
    else:
        from pynndescent import NNDescent

        index = NNDescent(exact, n_neighbors=k, random_state=seed)
        result = np.asarray(index.neighbor_graph[0])
    return _self_first(result)


def _self_first(found: NDArray[np.intp]) -> NDArray[np.intp]:
    """Put each cell in front of its neighbours; among equal cells a search may list it later, or not at all."""
    own = np.arange(len(found))
    index = np.where((found == own[:, None]).any(axis=1), (found == own[:, None]).argmax(axis=1), found.shape[1] - 1)
    rest = found.copy()
    rest[own, index] = found[:, 0]
    rest[:, 0] = own
    return rest
