"""What modulae has written: which fields are its own to replace, and whether they still belong together.

Objects that are joined keep the representations of two models under one name, and of `uns` nothing, what is the same,
or a mixture. A model therefore leaves a stamp of itself and of each cell's row with what it writes.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.text import listed

from .fields import Fields
from .lazy_results import loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

ROW_STAMPS, COUNT_STAMPS, ENTRY_STAMP = "rows", "counts", "whole"
"""Stamps in an entry of `uns`: of each cell's row of numbers, of its counts, and of the entry itself."""

ROWS_PER_STAMP = 2**16
"""Rows that are stamped at a time."""

MOST = 50_000
"""Rows that are looked at: of joined objects some are among them."""

NEEDED_PARTS = {
    "model": ("genes", "size_factor_unit"),
    "history": ("epoch", "train_loss", "test_loss", "orthogonality", "best_epoch"),
    "params": ("seed",),
}
"""What every model has; joining leaves out what differs."""

TELLING = {
    "all_unscaled": "pathway_impact",
    "model_cells": "pathway_activity",
    "nes": "enrich_units",
    "caveat_above": "unit_summary",
    "verdict": "sanity",
    "cells": "joint_embedding",
    "level_on": "call_units",
    "unknown_rate": "classify",
    "rescaled": "denoise",
    "categories": "rank_units",
    "signed": "saliency",  # the last: others have it too
}
"""A field of a result that tells which function has written it."""

STORES = ("uns", "obsm", "varm", "layers", "obs", "var")

WRITES: dict[str, tuple[tuple[str, Callable[[str], str]], ...]] = {
    "saliency": (("varm", str),),
    "denoise": (("layers", str),),
    "embeddings": (("obsm", str),),
    "joint_embedding": (("obsm", str),),
    "pathway_activity": (("obsm", str), ("obsm", Fields.percentile)),
    "call_units": (("obsm", str), ("obsm", Fields.callable)),
    "novelty": (("obs", str), ("obs", Fields.percentile)),
    "classify": (("obs", str), ("obs", Fields.confidence), ("obs", Fields.distance)),
}
"""Where functions write beside `uns`, and what a field there is called, given the name of the result."""


def is_model(entry: object) -> bool:
    """Whether an entry of `uns` is a trained model."""
    return isinstance(entry, dict) and {"params", "history", "model"} <= set(entry)


def is_result(entry: object) -> bool:
    """Whether an entry of `uns` is what a function has made with a model."""
    return isinstance(entry, dict) and "of_model" in entry


def made_by(entry: Mapping[str, Any]) -> str | None:
    """The function that wrote a result; `None` where nothing in it tells."""
    return next((function for field, function in TELLING.items() if field in entry), None)


def refuse_model_over_others(adata: AnnData, key: str) -> None:
    """Refuse to write a model where something lies that is none.

    Raises
    ------
    ValueError
        With the names of what would be lost.
    """
    if is_model(adata.uns.get(key)):
        return
    fields = Fields(key)
    wanted = [("uns", fields.model), ("obsm", fields.representation), ("varm", fields.loadings), ("var", fields.genes)]
    _refuse(adata, key, [(store, name) for store, name in wanted if name in getattr(adata, store)])


def fields_beside(function: str | None, name: str) -> list[tuple[str, str]]:
    """What a function writes beside the `uns` entry of this name; all that any does, where it is not known which."""
    written = [pair for pairs in WRITES.values() for pair in pairs] if function is None else WRITES.get(function, ())
    return [(store, called(name)) for store, called in written]


def refuse_result_over_others(adata: AnnData, name: str, function: str) -> None:
    """The same of a result, and of what the function writes beside it."""
    if is_result(adata.uns.get(name)):
        return
    wanted = [("uns", name), *fields_beside(function, name)]
    _refuse(adata, name, [(store, field) for store, field in wanted if field in getattr(adata, store)])


def _refuse(adata: AnnData, name: str, there: Iterable[tuple[str, str]]) -> None:
    places = [f"adata.{store}[{field!r}]" for store, field in there]
    if places:
        free = next(f"{name}{n}" for n in range(2, 1000) if not any(f"{name}{n}" in getattr(adata, s) for s in STORES))
        msg = (
            f"{listed(places)} would be overwritten, and nothing in adata.uns says that it is an earlier result of "
            f"this kind. Choose another name, such as key_added={free!r}; or, "
            f"where you don't need it: `del {', '.join(places)}`."
        )
        raise ValueError(msg)


def stamp_rows(values: Any) -> NDArray[np.uint32]:  # noqa: ANN401
    """A number for each row of numbers, cells × anything."""
    matrix = np.asarray(values)
    result = np.empty(len(matrix), dtype=np.uint32)
    weights = mixed(np.arange(1, matrix.shape[1] + 1, dtype=np.uint64)) | np.uint64(1)
    for start in range(0, len(matrix), ROWS_PER_STAMP):
        rows = np.ascontiguousarray(matrix[start : start + ROWS_PER_STAMP], dtype="<f4")
        exact = rows + np.float32(0)  # one zero, not two
        words = mixed(exact.view("<u4").astype(np.uint64))
        result[start : start + ROWS_PER_STAMP] = (words * weights).sum(axis=1, dtype=np.uint64) >> np.uint64(32)
    return result


def rows_stamp(values: Any) -> NDArray[np.uint32]:  # noqa: ANN401
    """What is kept of the rows, ascending: cells may be left out or come in another order later."""
    return np.sort(stamp_rows(values))


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers that share no bits for being near each other (splitmix64)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def among(stamps: NDArray[np.uint32], known: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which stamps are known; `known` is ascending."""
    if not len(known):
        return np.zeros(len(stamps), dtype=bool)
    return np.asarray(known[np.searchsorted(known, stamps).clip(max=len(known) - 1)] == stamps)


def stamp_model(entry: Mapping[str, Any]) -> str:
    """A text for which parts the entry of a model has, but for the stamps."""
    parts = [sorted(set(entry) - {ROW_STAMPS, COUNT_STAMPS, ENTRY_STAMP}), sorted(entry["model"])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def check_entry(entry: Mapping[str, Any], key: str) -> None:
    """Refuse a model that lost or gained parts when objects with two models were joined.

    `uns_merge="same"`, `"unique"` and `"only"` leave parts out; `"first"` adds what only the others have.

    Raises
    ------
    KeyError
        It is not as it was written.
    """
    if not entry["model"] and not entry["params"]:  # written by hand, to keep a representation under a name
        return
    lost = [f"{part}/{name}" for part, names in NEEDED_PARTS.items() for name in names if name not in entry[part]]
    if not lost and (ENTRY_STAMP not in entry or str(loaded(entry[ENTRY_STAMP])) == stamp_model(entry)):
        return
    what = f"{listed(lost)} is missing" if lost else "parts of it are of another model"
    msg = (
        f"the model {key!r} in adata.uns is not whole, as where objects with different models were joined: {what}. "
        f"Train again with `mo.tl.autoencoder(adata, key_added={key!r})`, or read the cells with the model from "
        f"where it is whole: `mo.tl.transfer(adata, other, model_key={key!r}, key_added={key!r})`."
    )
    raise KeyError(msg)


def check_rows(values: Any, entry: Mapping[str, Any], field: str, *, step: str) -> None:  # noqa: ANN401
    """Refuse numbers of cells that were not written with this entry; older entries don't know theirs.

    Raises
    ------
    ValueError
        With the number of such cells.
    """
    if ROW_STAMPS not in entry:
        return
    known = np.asarray(loaded(entry[ROW_STAMPS]))  # ascending
    looked_at = np.unique(np.linspace(0, len(values) - 1, min(len(values), MOST)).astype(np.intp))
    stamps = stamp_rows(np.asarray(values)[looked_at])
    foreign = int((~among(stamps, known)).sum()) if len(known) else 0
    if foreign:
        msg = (
            f"adata.obsm[{field!r}] holds other values than were written with what adata.uns says of it, for {foreign} "
            f"of {len(stamps)} cells: objects with different models or results were joined, or the values changed. "
            f"{step}"
        )
        raise ValueError(msg)
