"""Writes a model whose units have changed, and drops what was made with those of before."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from modulae._adata.stored.edits import EDITS, as_stored, results_of
from modulae._adata.stored.ownership import COUNT_STAMPS, ENTRY_STAMP, ROW_STAMPS, made_by
from modulae._adata.stored.steps import step
from modulae._adata.stored.write_model import store_model
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts, StoredCounts
    from modulae.core.model.fitted import Fitted

OF_MODEL = ("params", "history", "model", "layer", "replication", EDITS, ROW_STAMPS, COUNT_STAMPS, ENTRY_STAMP)
"""Parts of an entry that are written anew."""


def write_units(
    adata: AnnData,
    fitted: Fitted,
    representation: NDArray[np.float32],
    counts: Counts | StoredCounts,
    *,
    key: str,
    entry: Mapping[str, Any],
    edits: list[dict[str, Any]],
    replication: dict[str, Any] | None,
) -> None:
    """Write the model under its name, in the place of `entry`, with its history."""
    _warn_of_results(adata, key)
    also = {name: value for name, value in entry.items() if name not in OF_MODEL} | as_stored(edits)
    also |= {} if replication is None else {"replication": replication}
    layer = str(entry["layer"]) if "layer" in entry else None
    store_model(adata, fitted, representation, counts, key=key, layer=layer, also=also)


NEEDED = {
    "enrich_units": ("gene_sets",),
    "pathway_impact": ("gene_sets",),
    "pathway_activity": ("gene_sets",),
    "rank_units": ("groupby=...",),
}
"""Arguments without which a function can't be called again."""


def _warn_of_results(adata: AnnData, key: str) -> None:
    """Say which results go with the units they were of, and how to make them again."""
    names = results_of(adata, key)
    steps = dict.fromkeys(function for name in names if (function := made_by(adata.uns[name])) is not None)
    if steps:
        again = ", ".join(step(f"tl.{function}", *NEEDED.get(function, ()), key=key) for function in steps)
        warnings.warn(
            f"the units have changed, so that what was made with those of before is removed: {listed(names, 20)}. Run "
            f"again what you need, with the arguments it had: {again}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
