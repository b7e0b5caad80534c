"""Values that are no raw counts: what they are, and where the counts lie instead."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._counts.blocks import NAME_THE_LAYER, counts_of, few_rows
from modulae._counts.layers import layer_names
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.data.count_summary import are_integers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

N_ROWS_TRIED = 64
"""Cells that tell what a matrix holds."""

SAME = 1e-3
"""Relative difference that rounding leaves between two ratios which are one."""

LOGARITHMS_BELOW = 25
"""No logarithm of a count is above it, to whatever base; of corrected counts of 64 cells some are."""

LARGEST_MULTIPLE = 50
"""Multiples up to which rounding cannot hide that they are whole."""

SMALLEST_COUNTS = range(1, 9)
"""What the smallest count of a cell may be."""

FEWEST_MULTIPLES, MOST_CELLS = 50, 0.9
"""So many multiples that are all whole in so many cells are no chance."""

NORMALISED = "normalised counts"

UNDO: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    NORMALISED: lambda x: x,
    "logarithms of normalised counts": np.expm1,
    "logarithms (to base 2) of normalised counts": lambda x: np.exp2(x) - 1,
    "logarithms (to base 10) of normalised counts": lambda x: 10.0**x - 1,
}
"""What is made of counts, with what takes the logarithm back."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whole numbers, and how to have them read."""

    name: str
    step: str
    rows: NDArray[np.float64]  # the first cells × genes
    genes: pd.Index
    layer: str | None = None
    readable: bool = True  # as a layer, or `.X`


def say_no_counts(adata: AnnData, layer: str | None, *, warn: bool = True, judge: bool = True) -> None:
    """Refuse values that were made of counts; warn of others, which may be corrected counts.

    Parameters
    ----------
    adata, layer
        Whose values are not all whole numbers.
    warn
        Whether to warn: of several processes one does.
    judge
        Whether to refuse values that look normalised where the counts themselves are nowhere in `adata`.

    Raises
    ------
    ValueError
        The values are counts, normalised by cell, with or without a logarithm. Or they are in `.X`, and look like
        logarithms: a layer that is named is what its user says it is.
    """
    matrix, where = counts_of(adata, layer)
    values, places = _first_rows(matrix), whole_numbers(adata, layer)
    for place in places:
        made = _made_of(values, adata.var_names, place)
        if made:
            msg = f"{where} holds {made}, and the model needs the counts, which are in {place.name}. {place.step}"
            raise ValueError(msg)
    if judge:
        _refuse_normalised(values, where, places, named=layer is not None)
    if warn:
        warnings.warn(
            f"{where} holds values that are not whole numbers, so they are no raw counts, which the Poisson loss "
            f"expects. Counts that were corrected (SoupX, DecontX) can be used so. Otherwise: {_steps(places)}",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def _refuse_normalised(values: NDArray[np.float64], where: str, places: list[Place], *, named: bool) -> None:
    """Refuse values that tell by themselves that they were normalised."""
    made = _multiples(values)
    if made:
        msg = f"{where} holds {made}, and the model needs the counts themselves. {_steps(places)}"
        raise ValueError(msg)
    positive = values[values > 0]
    if named or len(positive) < FEWEST_MULTIPLES or positive.max() >= LOGARITHMS_BELOW:
        return
    if (positive != np.round(positive)).mean() > 0.5:  # of counts shared out among genes most are whole
        msg = (
            f"{where} holds no counts: its values are not whole numbers, and the largest in the first cells is "
            f"{values.max():.3g}, as of logarithms. {_steps(places)} If they are corrected counts (SoupX, DecontX), "
            "say so by naming them: `adata.layers[\"corrected\"] = adata.X.copy()`, and layer='corrected'."
        )
        raise ValueError(msg)


@contextmanager
def pointing_at_counts(adata: AnnData, layer: str | None) -> Iterator[None]:
    """Let the error about values that no count can have say where there are counts."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        places = whole_numbers(adata, layer) if text.endswith(NAME_THE_LAYER) else []
        if not places:
            raise
        msg = text.removesuffix(NAME_THE_LAYER) + _steps(places)
        raise ValueError(msg) from error


def _steps(places: list[Place]) -> str:
    if not places:
        return (
            "No other layer has whole numbers, nor has adata.raw. Read the raw counts from the file they came in, put "
            "them into a layer, and name it: layer=."
        )
    return " ".join(f"Whole numbers are in {place.name}. {place.step}" for place in places)


def whole_numbers(adata: AnnData, layer: str | None) -> list[Place]:
    """Where else whole numbers are."""
    matrices = {name: adata.layers[name] for name in layer_names(adata) if name != layer}
    result = [
        Place(f"adata.layers[{name!r}]", f"Name it: layer={name!r}.", rows, adata.var_names, name)
        for name, values in matrices.items()
        if (rows := _counts_in(values)) is not None
    ]
    if layer is not None and adata.X is not None and (rows := _counts_in(adata.X)) is not None:
        result.append(Place("adata.X", "Leave out layer=.", rows, adata.var_names))
    raw = adata.raw
    if raw is not None and (rows := _counts_in(raw.X)) is not None:
        every = adata.var_names.isin(raw.var_names).all() and raw.var_names.is_unique
        step = (
            'Copy them to a layer, `adata.layers["counts"] = adata.raw[:, adata.var_names].X`, and name it: '
            "layer='counts'."
            if every
            else "Go on with them: `adata = adata.raw.to_adata()`."
        )
        result.append(Place("adata.raw", step, rows, raw.var_names, readable=False))
    return result


def _counts_in(matrix: Any) -> NDArray[np.float64] | None:  # noqa: ANN401
    """The first cells, if they hold whole numbers of 0 and above, and not only 0."""
    if getattr(matrix, "dtype", np.dtype(object)).kind not in "biuf" or not hasattr(matrix, "shape"):
        return None
    rows = _first_rows(matrix)
    counts = np.isfinite(rows).all() and (rows >= 0).all() and rows.any() and are_integers(rows)
    return rows if counts else None


def _first_rows(matrix: Any) -> NDArray[np.float64]:  # noqa: ANN401
    rows = few_rows(matrix, 0, min(N_ROWS_TRIED, int(matrix.shape[0])))
    return np.asarray(rows.toarray(), dtype=np.float64)


def _made_of(values: NDArray[np.float64], names: pd.Index, place: Place) -> str:
    """What the values are, if every cell's are its counts times a number of its own; empty if they are not."""
    index = place.genes.get_indexer(names) if place.genes.is_unique else np.arange(0)
    if len(index) != values.shape[1] or len(place.rows) != len(values) or not (index >= 0).any():
        return ""
    values, counts = values[:, index >= 0], place.rows[:, index[index >= 0]]
    if not np.array_equal(values != 0, counts != 0):
        return ""
    for what, undo in UNDO.items():
        ratio = np.divide(undo(values), counts, out=np.full_like(counts, np.nan), where=counts > 0)
        known = np.isfinite(ratio).any(axis=1)
        low, high = np.nanmin(ratio[known], axis=1), np.nanmax(ratio[known], axis=1)
        telling = counts[known].max(axis=1) > np.where(counts[known] > 0, counts[known], np.inf).min(axis=1)
        same = np.abs(high - 1).max() <= SAME  # the counts themselves
        if telling.any() and (high - low <= SAME * high).all() and not (same and what == NORMALISED):
            return what.replace("normalised ", "") if same else what
    return ""


def _multiples(values: NDArray[np.float64]) -> str:
    """What the values are, if those of each cell are whole multiples of one number; empty if they are not."""
    for what, undo in UNDO.items() if values.max(initial=0) < LOGARITHMS_BELOW else [(NORMALISED, UNDO[NORMALISED])]:
        taken = undo(values)
        smallest = np.where(taken > 0, taken, np.inf).min(axis=1, keepdims=True, initial=np.inf)
        ratio = taken / smallest
        seen = (ratio > 1 + SAME) & (ratio <= LARGEST_MULTIPLE)
        telling, ratio = seen.any(axis=1), np.where(seen, ratio, 1.0)
        far = [np.abs(n * ratio - np.round(n * ratio)) / (n * ratio) for n in SMALLEST_COUNTS]
        whole = np.any([(one <= SAME / 10).all(axis=1) for one in far], axis=0)
        if seen.sum() >= FEWEST_MULTIPLES and whole[telling].mean() >= MOST_CELLS:
            return what
    return ""
