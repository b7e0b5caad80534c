"""Layers of an AnnData, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from modulae._utils.text import choose

if TYPE_CHECKING:
    from anndata import AnnData


class RowMatrix(Protocol):
    """Cells × genes of which consecutive rows can be read: in memory, in a file, or as a dask array."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells, genes."""

    def __getitem__(self, rows: slice, /) -> Any: ...  # noqa: ANN401


def layer_names(adata: AnnData) -> list[str]:
    """Names of the layers; anndata 0.13 and later also lists `.X` there, under the name `None`."""
    return [name for name in adata.layers if name is not None]


def matrix_of(adata: AnnData, layer: str | None) -> Any:  # noqa: ANN401
    """`.X` if `layer` is `None`, else this layer.

    Raises
    ------
    KeyError
        There is no such layer.
    """
    if layer is None:
        return adata.X
    available = layer_names(adata)
    if layer not in available:
        msg = f"there is no layer {layer!r}. {choose(available, 'take None for `.X`')}"
        raise KeyError(msg)
    return adata.layers[layer]
