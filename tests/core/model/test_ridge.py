"""Ridge regression by hand, whichever way it is solved."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.model import ridge
from modulae.core.model.ridge import RIDGE_SHARE, RidgeReader


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)], ids=["fewer cells", "fewer genes"])
@pytest.mark.parametrize("density", [0.05, 0.4], ids=["sparse", "dense"])
@pytest.mark.parametrize("direct", [True, False])
def test_is_the_textbooks_for_every_target(shape, density, direct, monkeypatch):
    monkeypatch.setattr(ridge, "GENES_AT_ONCE", 7)
    if not direct:
        monkeypatch.setattr(ridge, "DIRECT_UP_TO", 0)  # as large data are solved
    rng = np.random.default_rng(0)
    inputs = sparse.csr_matrix(sparse.random_array(shape, density=density, rng=rng, dtype=np.float32))
    reader = RidgeReader(inputs)
    dense = inputs.toarray().astype(float)
    penalty = RIDGE_SHARE * (dense**2).sum()
    for n_targets in (3, 1):
        targets = rng.random((shape[0], n_targets))
        expected = np.linalg.solve(dense.T @ dense + penalty * np.eye(shape[1]), dense.T @ targets)
        np.testing.assert_allclose(reader.solve(targets), expected, rtol=1e-4, atol=1e-5)


def test_inputs_of_zeros_read_nothing():
    reader = RidgeReader(sparse.csr_matrix((4, 3), dtype=np.float32))
    np.testing.assert_array_equal(reader.solve(np.ones((4, 2))), np.zeros((3, 2)))
