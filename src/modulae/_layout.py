"""UMAP, the same for all embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def umap_layout(values: Any, n_neighbors: int, seed: int) -> NDArray[Any]:  # noqa: ANN401
    """Cells × 2, `float32`, by scanpy's `neighbors` and `umap`."""
    import scanpy as sc
    from anndata import AnnData

    layout = AnnData(values)
    sc.pp.neighbors(layout, n_neighbors=n_neighbors, use_rep="X", random_state=seed)
    sc.tl.umap(layout, random_state=seed)
    return layout.obsm["X_umap"].astype("float32")  # type: ignore[no-any-return]
