"""Cells made of parts."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells


@pytest.fixture(scope="session")
def mixed():
    """Four parts of ten genes each, in cells of tenfold depth; activities and their counts."""
    rng = np.random.default_rng(0)
    activity = rng.gamma(1.0, size=(300, 4)) * (rng.random((300, 4)) < 0.4)
    depth = rng.uniform(0.4, 4, size=(300, 1))
    rates = depth * (0.05 + activity @ np.kron(np.eye(4), np.ones(10)) * 2)
    counts = rng.poisson(rates).astype(np.float32)
    return activity, Cells(sparse.csr_matrix(counts), depth[:, 0].astype(np.float32))
