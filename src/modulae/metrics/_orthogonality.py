"""How far the units are from orthogonal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import read_model

if TYPE_CHECKING:
    from anndata import AnnData


@public
def orthogonality(adata: AnnData, *, key: str = DEFAULT_KEY) -> dict[str, float]:
    """Measure the orthogonality of the weights and of the representation.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    `"weights"` : `float`
        ‖I − W Wᵀ‖_F of the last encoding layer (`architecture="parts"`: of its rows scaled to length 1), 0 where its
        rows are orthonormal.
    `"singular_values"` : `float`
        L2 norm of the singular values of the representation (cells × units), which the paper reports to fall faster
        with the penalty (Kinalis et al. 2019, Results). It is the Frobenius norm: it measures size more than
        orthogonality.
    `"correlation"` : `float`
        Mean absolute correlation between the activities of two units that vary.

    Raises
    ------
    KeyError
        No such model.

    See Also
    --------
    modulae.get.history : ‖I − W Wᵀ‖ in every epoch.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> list(mo.metrics.orthogonality(adata))
    ['weights', 'singular_values', 'correlation']
    """
    network = read_model(adata, key).network
    units = get.representation(adata, key=key).to_numpy(dtype=np.float64)
    varying = units[:, units.std(axis=0) > 0]
    correlation = np.corrcoef(varying, rowvar=False) if varying.shape[1] > 1 else np.zeros((1, 1))
    pairs = np.abs(correlation[np.triu_indices_from(correlation, k=1)])
    return {
        "weights": network.orthogonality_gap,
        "singular_values": float(np.linalg.norm(np.linalg.svd(units, compute_uv=False))),
        "correlation": float(pairs.mean()) if pairs.size else 0.0,
    }
