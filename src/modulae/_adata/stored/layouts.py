"""Layouts of cells: made, the same for all embeddings, and read, without the cells that have no place in them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import verb

from .fields import DEFAULT_KEY
from .ownership import check_rows
from .steps import step

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

MOST_PLACED = 50_000
"""Cells that get a place in a UMAP by default."""

MOST_EXACT = 50_000
"""Cells whose neighbours are found by all distances, in seconds.

PyNNDescent, scanpy's choice from 8192 cells on, would find nearly all of them, and compile itself for twenty seconds in
every new process.
"""


def read_layout(adata: AnnData, name: str) -> NDArray[np.floating[Any]]:
    """Cells × 2 of `obsm`; which cells have a place says :func:`placed`.

    Raises
    ------
    ValueError
        Less than two columns, no numbers, no cell with a place, or a layout that was made of other cells.
    """
    said = f"adata.obsm[{name!r}]"
    field = adata.obsm[name]
    if np.ndim(field) < 2 or field.shape[1] < 2:
        msg = f"{said} has one column, and a map needs two. Choose another: basis=."
        raise ValueError(msg)
    try:
        points = np.array(field)[:, :2]
        points = points if points.dtype.kind == "f" else points.astype(np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{said} holds no numbers, and a map needs two per cell. Choose another: basis=."
        raise ValueError(msg) from error
    available = placed(points)
    if not available.any():
        msg = f"no cell has a place in {said}: all are missing or infinite. Choose another: basis=."
        raise ValueError(msg)
    entry = adata.uns.get(name)
    if isinstance(entry, dict):
        run = step("tl.embeddings", key=str(entry.get("of_model", DEFAULT_KEY)))
        check_rows(np.asarray(field)[available], entry, name, step=f"Run {run} on all cells.")
    return points


def placed(points: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which cells have a place."""
    return np.asarray(np.isfinite(points).all(axis=1))


def warn_of_unplaced(points: NDArray[np.floating[Any]], where: str) -> NDArray[np.bool_]:
    """Which cells can be drawn; how many can't is said in a warning."""
    shown = placed(points)
    if n := int((~shown).sum()):
        warnings.warn(
            f"{n} of {len(shown)} cells {verb(n, 'has', 'have')} no place in {where} (missing or infinite) and "
            f"{verb(n)} not drawn. To see them, make the layout of all cells anew.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return shown


def cells_to_place(n_cells: int, most: int, seed: int) -> NDArray[np.intp]:
    """All cells, or random ones where there are more than `most`: a UMAP of a million takes hours."""
    if n_cells <= most:
        return np.arange(n_cells)
    return np.sort(np.random.default_rng([seed, 10]).choice(n_cells, most, replace=False))


def among_all(points: NDArray[Any], rows: NDArray[np.intp], n_cells: int) -> NDArray[Any]:
    """Points of some cells as those of all, NaN for the others."""
    if len(rows) == n_cells:
        return points
    whole = np.full((n_cells, points.shape[1]), np.nan, dtype=points.dtype)
    whole[rows] = points
    return whole


def umap_layout(values: Any, n_neighbors: int, seed: int) -> NDArray[Any]:  # noqa: ANN401
    """Cells × 2, `float32`, by scanpy's `neighbors` and `umap`."""
    import scanpy as sc
    from anndata import AnnData

    layout, exact = AnnData(values), isinstance(values, np.ndarray) and len(values) <= MOST_EXACT
    how = {"transformer": "sklearn"} if exact else {}
    sc.pp.neighbors(layout, n_neighbors=n_neighbors, use_rep="X", random_state=seed, **how)
    sc.tl.umap(layout, random_state=seed)
    return layout.obsm["X_umap"].astype("float32")  # type: ignore[no-any-return]
