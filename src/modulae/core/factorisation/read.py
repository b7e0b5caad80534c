"""How active known parts are in cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.checks import check_integer
from modulae.core.data.csr import as_csr

from .sweeps import sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_parts(inputs: Any, loadings: NDArray[Any], *, n_sweeps: int = 100) -> NDArray[np.float32]:  # noqa: ANN401
    """Cells × parts: non-negative least squares of each cell on the loadings, by coordinate descent from 0.

    Parameters
    ----------
    inputs
        Cells × genes, best as a `csr_matrix` of float32; others are converted.
    loadings
        Parts × genes. A part without loadings has no activity.
    n_sweeps
        How many times to go through the parts. More come closer where parts are alike.
    """
    check_integer("n_sweeps", n_sweeps, minimum=1)
    rows = as_csr(inputs).astype(np.float32, copy=False)
    parts = np.asarray(loadings, dtype=np.float32)
    activity = np.zeros((len(parts), rows.shape[0]), dtype=np.float32)
    sweep(activity, parts @ parts.T, (rows @ parts.T).T, n_sweeps=n_sweeps)
    return np.ascontiguousarray(activity.T)
