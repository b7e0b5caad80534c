"""Labels of reference cells, and the colours they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._anndata import MOST_NUMBERS

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

UNKNOWN = "unknown"
"""What a cell is called that no label fits."""


def reference_labels(reference: AnnData, labels: str) -> tuple[list[str], NDArray[np.intp]]:
    """Names of the labels, and the label of each cell, −1 where it has none."""
    if labels not in reference.obs:
        msg = f"labels={labels!r} is no column of reference.obs. Choose one of {list(reference.obs)}."
        raise KeyError(msg)
    column = reference.obs[labels]
    categories = column.astype("category").cat.remove_unused_categories()
    counted = pd.api.types.is_integer_dtype(column) and len(categories.cat.categories) > MOST_NUMBERS
    if pd.api.types.is_float_dtype(column) or counted:
        msg = f"reference.obs[{labels!r}] holds numbers, not labels. Name a column of labels."
        raise ValueError(msg)
    names = [str(name) for name in categories.cat.categories]
    if len(names) < 2:
        msg = f"reference.obs[{labels!r}] has {len(names)} label; two or more are needed. Name another column."
        raise ValueError(msg)
    if UNKNOWN in names:
        msg = f"reference.obs[{labels!r}] has a label {UNKNOWN!r}. Rename it, or make it missing to leave it out."
        raise ValueError(msg)
    return names, categories.cat.codes.to_numpy().astype(np.intp)


def reference_colours(reference: AnnData, labels: str, names: list[str]) -> list[str] | None:
    """The colours that scanpy has stored for these labels, if it has."""
    colours: Any = reference.uns.get(f"{labels}_colors")
    every = reference.obs[labels].astype("category").cat.categories
    if colours is None or len(colours) != len(every):
        return None
    of = dict(zip(map(str, every), map(str, colours), strict=True))
    return [of[label] for label in names]
