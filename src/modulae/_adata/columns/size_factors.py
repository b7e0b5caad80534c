"""Size factors: from the totals of the cells, or a column of obs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .columns import obs_column

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def library_sizes(adata: AnnData, totals: NDArray[np.float64], source: str | None) -> NDArray[np.float64]:
    """What size factors are proportional to: the totals, or the `obs` column that `source` names."""
    if source is None or source == "total":
        return totals
    column = obs_column(adata, source, "size_factors", others="Choose 'total', None or one of")
    try:
        values = column.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = (
            f"adata.obs[{source!r}] holds no numbers, so it cannot be size factors. Choose a numeric column or 'total'."
        )
        raise ValueError(msg) from error
    if not np.isfinite(values).all() or (values < 0).any():
        msg = (
            f"adata.obs[{source!r}] has missing, infinite or negative values. Repair them: size factors are 0 or more."
        )
        raise ValueError(msg)
    if (values[totals > 0] == 0).any():
        msg = f"adata.obs[{source!r}] is 0 for cells that have counts. Give every such cell a size factor above 0."
        raise ValueError(msg)
    return np.asarray(values)


def size_factors(
    adata: AnnData, totals: NDArray[np.float64], source: str | None, unit: float
) -> NDArray[np.float32] | None:
    """Size factors relative to `unit`, the library size of a cell with factor 1; `None` where the model uses none."""
    if source is None:
        return None
    factors = library_sizes(adata, totals, source) / unit
    factors[totals == 0] = 0  # nothing was counted: read as zeros, never divided by
    return factors.astype(np.float32)
