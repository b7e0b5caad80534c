"""UMAP of few cells and of many."""

import numpy as np
import pytest

from modulae._layout import umap_layout

MANY = 8192  # from here on scanpy leaves exact neighbours for PyNNDescent


@pytest.mark.slow
@pytest.mark.parametrize("n_cells", [200, MANY])
def test_two_kinds_of_cells_lie_apart(n_cells):
    """From 8192 cells on scanpy takes another way to the neighbours, which PyNNDescent from 0.6 on breaks."""
    rng = np.random.default_rng(0)
    kind = np.arange(n_cells) % 2
    points = umap_layout((rng.normal(size=(n_cells, 3)) + 8 * kind[:, None]).astype(np.float32), 10, 0)
    assert points.shape == (n_cells, 2)
    assert points.dtype == np.float32
    centres = np.stack([points[kind == k].mean(axis=0) for k in (0, 1)])
    nearest = np.linalg.norm(points[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == kind).mean() > 0.99
