"""The object that results are written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData


def changeable(adata: AnnData, *, copy: bool) -> AnnData:
    """The object to write to: `adata` itself, or a copy (in memory, if `adata` is backed)."""
    if not copy:
        return adata
    return adata.to_memory() if adata.isbacked else adata.copy()
