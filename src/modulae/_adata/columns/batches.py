"""Batches of cells: read for a training, and found again when a model decodes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.steps import step
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed

from .labels import read_labels

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted

OWN, AVERAGE = "own", "average"
"""What a decoded cell can be asked to be of, besides a batch by its name."""

MIN_CELLS = 20
"""In a batch; with fewer its factors are mostly those of the prior."""


def read_batches(adata: AnnData, batch_key: str) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Names of the batches, in the order in which the cells first have them, and the number of each cell's.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        A column with missing values, with numbers, with one value, or with about as many values as cells.
    """
    import pandas as pd

    labels = read_labels(adata, batch_key, "batch_key", what="batches")
    if labels.n_missing:
        msg = (
            f"{counted(labels.n_missing, 'cell has', 'cells have')} no batch in adata.obs[{batch_key!r}]. Give them "
            f"one, or leave these cells out: `adata = adata[adata.obs[{batch_key!r}].notna()].copy()`."
        )
        raise ValueError(msg)
    codes, first = pd.factorize(labels.codes)
    names = np.array([labels.names[code] for code in first], dtype=str)
    _check(names, np.bincount(codes), batch_key)
    return names, codes.astype(np.int64)


def _check(names: NDArray[np.str_], sizes: NDArray[np.intp], batch_key: str) -> None:
    if len(names) == 1:
        msg = f"all cells have the same batch in adata.obs[{batch_key!r}] ({str(names[0])!r}). Leave out batch_key=."
        raise ValueError(msg)
    if len(names) > sizes.sum() / 2:
        msg = (
            f"adata.obs[{batch_key!r}] has {len(names)} values for {sizes.sum()} cells: these are no batches. Name the "
            "column that says which sample a cell is of."
        )
        raise ValueError(msg)
    reserved = [name for name in (OWN, AVERAGE) if name in names]
    if reserved:
        msg = f"a batch can't be called {reserved[0]!r}, which stands for something else. Rename it."
        raise ValueError(msg)


def warn_of_small(names: NDArray[np.str_], codes: NDArray[np.int64]) -> None:
    """Say which batches have too few cells to be corrected."""
    small = names[np.bincount(codes) < MIN_CELLS]
    if len(small):
        warnings.warn(
            f"{counted(len(small), 'batch has', 'batches have')} fewer than {MIN_CELLS} cells ({listed(small)}), "
            "too few to estimate a correction. Such cells are hardly corrected; leave them out, or merge the batch "
            "with another of the same kind.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def batch_names(adata: AnnData, batch_key: str | None) -> NDArray[np.str_]:
    """Names of the batches of a training; none without them."""
    return np.array([], dtype=str) if batch_key is None else read_batches(adata, batch_key)[0]


def in_batch(
    adata: AnnData,
    cells: Source,
    fitted: Fitted,
    *,
    batch: str = OWN,
    key: str | None = None,
    known: bool = False,
) -> Source:
    """The cells, to be decoded as of a batch.

    Parameters
    ----------
    adata
        Has the column of the batches.
    cells
        The cells as the model reads them.
    fitted
        The model.
    batch
        `"own"`: each its own, the average where the model does not know it; `"average"`; or the name of one.
    key
        Name of the model in `adata`; `None` for a foreign one. A foreign cell has a batch of another data set, so that
        its own is the average.
    known
        Whether the model has to know every batch, because it is trained again.

    Raises
    ------
    KeyError
        There is no such column.
    ValueError
        The model does not know the batch.
    """
    names, column = fitted.batches, fitted.config.batch_key
    if batch not in {OWN, AVERAGE, *names}:
        own = listed(map(repr, names.tolist()), 20)
        available = f"{OWN!r}, {AVERAGE!r}" + (f" or one of {own}" if own else "")
        msg = f"batch is {batch!r}; {'it has to be' if len(names) else 'the model has no batches: choose'} {available}."
        raise ValueError(msg)
    foreign = key is None or "transfer" in model_entry(adata, key)
    if not len(names) or batch == AVERAGE or (batch == OWN and foreign):
        return cells
    if batch != OWN:
        return cells.with_batch(np.full(len(cells), names.tolist().index(batch)))
    if column not in adata.obs:
        msg = (
            f"the model was trained with batch_key={column!r}, which is not a column of adata.obs. Put it back; "
            f"{step('tl.denoise', key=key or DEFAULT_KEY, batch=AVERAGE)} needs none."
        )
        raise KeyError(msg)
    number: dict[Any, int] = {str(name): index for index, name in enumerate(names)}
    result = read_labels(adata, str(column), "batch_key", what="batches", most_numbers=None)
    codes = np.array([*(number.get(name, -1) for name in result.names), -1], dtype=np.int64)[result.codes]
    if known and (codes < 0).any():
        available = listed(names, 20)
        cells_have = counted(int((codes < 0).sum()), "cell has", "cells have")
        msg = f"{cells_have} a batch that the model does not know ({available}). Put {column!r} back."
        raise ValueError(msg)
    return cells.with_batch(codes)
