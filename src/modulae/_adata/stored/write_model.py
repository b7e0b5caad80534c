"""Where a trained model and what it reads are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modulae._adata.gene_names import place_by_name

from .count_stamps import stored_stamps
from .fields import Fields
from .ownership import (
    COUNT_STAMPS,
    ENTRY_STAMP,
    ROW_STAMPS,
    fields_beside,
    is_model,
    is_result,
    made_by,
    refuse_model_over_others,
    refuse_result_over_others,
    rows_stamp,
    stamp_model,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import LayerTotals
    from modulae.core.model.fitted import Fitted


def model_name(given: str) -> str:
    """The name of a model; refused where a file would lose it.

    Raises
    ------
    ValueError
        No text, an empty one, or one with a slash: in a file what follows would be inside of what stands before.
    """
    if not isinstance(given, str) or not given or "/" in given:
        msg = f"key_added is {given!r}; give a name without a slash, which files take for a folder."
        raise ValueError(msg)
    return given


def new_model_name(adata: AnnData, given: str) -> str:
    """The name of a model that is going to be written.

    Raises
    ------
    ValueError
        As :func:`model_name`; or something else has that name.
    """
    refuse_model_over_others(adata, model_name(given))
    return given


def result_name(adata: AnnData, given: str | None, usual: str, function: str) -> str:
    """The name of a result of a function, `usual` if none is given.

    Raises
    ------
    ValueError
        As :func:`model_name`; or a model, the result of another function, or something that is no result, has that
        name.
    """
    if given is None and "/" in usual:
        msg = f"the result would be called {usual!r}, and files take a slash for a folder. Name it: key_added=."
        raise ValueError(msg)
    name = model_name(usual if given is None else given)
    if is_model(adata.uns.get(name)):
        msg = f"key_added={name!r} is the name of a trained model, which would be lost. Choose another name."
        raise ValueError(msg)
    refuse_result_over_others(adata, name, function)
    other = made_by(adata.uns[name]) if is_result(adata.uns.get(name)) else None
    if other not in {None, function}:
        msg = (
            f"adata.uns[{name!r}] has the result of `mo.tl.{other}`, which would be lost. Choose another name, "
            f"such as key_added={f'{name}_{function}'!r}."
        )
        raise ValueError(msg)
    return name


def store_model(
    adata: AnnData,
    fitted: Fitted,
    representation: NDArray[np.float32],
    counts: LayerTotals,
    *,
    key: str,
    layer: str | None,
    snapshots: Mapping[int, NDArray[np.float32]] | None = None,
    also: Mapping[str, Any] | None = None,
) -> None:
    """Write a model under `key`, with its representation and loadings; what an older one of this name left is dropped.

    Parameters
    ----------
    adata
        Where to write.
    fitted
        The model.
    representation
        Cells × units.
    counts
        What it was read from, which has a stamp for the counts of each cell.
    key
        Name of the model.
    layer
        Where the counts lie that it has read; `None` for `.X`.
    snapshots
        The representation after so many epochs.
    also
        More to keep beside the model.
    """
    fields = Fields(key)
    loadings = place_by_name(adata, fitted.genes, fitted.network.gene_loadings(representation))
    entry = {
        "params": fitted.config.as_dict(),
        "history": fitted.history.as_dict(),
        "model": fitted.as_dict(),
        **({} if layer is None else {"layer": layer}),
        **(also or {}),
    }
    stamps = {
        ROW_STAMPS: rows_stamp(representation),
        COUNT_STAMPS: stored_stamps(counts.stamps, representation),
        ENTRY_STAMP: stamp_model(entry),
    }
    # all that takes time is done: whoever stops it now and then finds either nothing or everything
    forget_results(adata, key)
    adata.uns[fields.model] = {**entry, **stamps}
    adata.uns[fields.loadings] = {"of_model": key}
    adata.obsm[fields.representation] = representation
    for epoch, units in (snapshots or {}).items():
        adata.obsm[fields.snapshot(epoch)] = units
    adata.var[fields.genes] = adata.var_names.isin(fitted.genes)
    adata.varm[fields.loadings] = loadings


def forget_results(adata: AnnData, key: str) -> None:
    """Drop what an earlier model of this name left behind: read with the new one it would be silently wrong."""
    stale = [name for name, value in adata.uns.items() if isinstance(value, dict) and value.get("of_model") == key]
    for name in stale:
        for store, field in fields_beside(made_by(adata.uns[name]), name):
            if field in getattr(adata, store):
                del getattr(adata, store)[field]
        del adata.uns[name]
    if is_model(adata.uns.get(key)):
        for epoch in adata.uns[key]["params"].get("snapshot_epochs", ()):
            adata.obsm.pop(Fields(key).snapshot(int(epoch)), None)
