"""Where a trained model's raw counts lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modulae._adata.stored.ownership import is_model
from modulae._counts.layers import layer_names

if TYPE_CHECKING:
    from anndata import AnnData


def counts_layer(adata: AnnData, key: str, layer: str | None) -> str | None:
    """The layer that is asked for; else the one that the model was trained on, where it is still there; else `.X`.

    scanpy's users put the log-normalised values in `.X` and keep the counts in a layer: who trains on that means it
    from then on.
    """
    if layer is not None:
        return layer
    entry = adata.uns.get(key)
    used = entry.get("layer") if is_model(entry) else None
    return str(used) if used is not None and str(used) in layer_names(adata) else None
