"""Memory of the compiled loops, and what of it belongs to the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.compiled.aligned import zeros
from modulae.core.compiled.simd import FEW, WIDTH

from . import arguments
from .decoder import CHUNK

if TYPE_CHECKING:
    from numpy.typing import NDArray


def weights_for(n_units: int, n_genes: int) -> tuple[arguments.Parts, arguments.Moments]:
    """Zeros for the weights, and for what Adam remembers of them."""
    padded_units, padded_genes = -(-n_units // FEW) * FEW, -(-n_genes // WIDTH) * WIDTH
    shapes = (n_genes, padded_units), (1, padded_units), (n_units, padded_genes), (1, padded_genes)
    scales = (padded_units,), (padded_units,), (padded_genes,), (padded_genes,)
    weights = arguments.Parts(*(zeros(shape, np.float32) for shape in (*shapes, *scales)))
    return weights, arguments.Moments(*(zeros(shape, np.float32) for shape in shapes for _ in range(2)))


def views_of(
    weights: arguments.Parts, moments: arguments.Moments, n_units: int, n_genes: int
) -> dict[str, NDArray[Any]]:
    """What belongs to the network, under the names of :meth:`.PartsEngine.state`."""
    names = {"": weights, ".exp_avg": "mean", ".exp_avg_sq": "square"}
    views: dict[str, NDArray[Any]] = {}
    for ending, kind in names.items():
        encoder, bias, loadings, baseline = (
            getattr(moments, f"{name}_{kind}") if isinstance(kind, str) else getattr(weights, name)
            for name in ("encoder", "bias", "loadings", "baseline")
        )
        views |= {
            f"encoder{ending}": encoder[:, :n_units].T,
            f"bias{ending}": bias[0, :n_units],
            f"loadings{ending}": loadings[:, :n_genes],
            f"baseline{ending}": baseline[0, :n_genes],
        }
    return views


def memory_for(n_units: int, n_genes: int, n_cells: int, *, penalised: bool) -> arguments.PartsMemory:
    """Memory for steps of at most so many cells."""
    n_chunks, n_cells, n_padded = -(-n_genes // CHUNK), -(-n_cells // 4) * 4, -(-n_units // FEW) * FEW
    shapes = {
        "linear": (n_cells, n_padded),
        "units": (n_cells, n_padded),
        "slope": (n_cells, n_padded),
        "rates": (n_chunks, 2, WIDTH),
        "delta": (n_chunks, n_cells, WIDTH),
        "seen": (n_chunks, 2, n_cells * WIDTH),
        "turned": (n_chunks, WIDTH, n_padded),
        "gradient": (n_chunks, 2, max(WIDTH, n_padded)),
        "back": (n_chunks, n_cells, n_padded),
        "encoder": (n_genes, n_padded),
        "penalty": (n_genes if penalised else 0, n_padded),
    }
    return arguments.PartsMemory(
        **{name: zeros(shape, np.float32) for name, shape in shapes.items()},
        places=np.zeros((n_chunks, n_cells), dtype=np.int64),
        loss=np.zeros(n_chunks),
    )
