"""UMAP, the same for all embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY = 8192
"""Cells from which scanpy leaves exact neighbours for PyNNDescent, whose newer versions scanpy 1.11 can't read."""


def umap_layout(values: Any, n_neighbors: int, seed: int) -> NDArray[Any]:  # noqa: ANN401
    """Cells × 2, `float32`, by scanpy's `neighbors`, exact ones, and `umap`."""
    import scanpy as sc
    from anndata import AnnData

    layout = AnnData(values)
    exact = "sklearn" if layout.n_obs >= MANY else None
    sc.pp.neighbors(layout, n_neighbors=n_neighbors, use_rep="X", random_state=seed, transformer=exact)
    sc.tl.umap(layout, random_state=seed)
    return layout.obsm["X_umap"].astype("float32")  # type: ignore[no-any-return]
