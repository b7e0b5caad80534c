"""Labels that were carried over, against those that were known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modulae._docs import shared
from modulae._fields import DEFAULT_KEY, Fields
from modulae._reference_labels import UNKNOWN

if TYPE_CHECKING:
    from anndata import AnnData


@shared
def confusion(
    adata: AnnData,
    *,
    truth: str,
    key: str = DEFAULT_KEY,
    label: str | None = None,
    normalise: Literal["truth"] | None = None,
) -> pd.DataFrame:
    """How many cells of each known label got which one from :func:`modulae.tl.classify`.

    Cells without a known label are left out; so are categories without cells, but no label of the reference.

    Parameters
    ----------
    adata
        Labelled cells.
    truth
        Column of `adata.obs` with the known labels.
    {key}
    label
        Column of `adata.obs` with the labels to judge; `f"{{key}}_label"` if `None`.
    normalise
        `"truth"`: shares of the cells of each known label. `None`: numbers of cells.

    Returns
    -------
    known labels (index, named `truth`) × labels (columns, named `label`), `int64` or `float64`. Columns are in the
    order of their categories, `"unknown"` last. Rows that share a name with a column come first, in the order of the
    columns; then the others in the order of theirs.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        A column of numbers, no cell with a known label, or no such normalisation.
    """
    if normalise not in ("truth", None):
        msg = f"normalise is {normalise!r}; choose 'truth' or None."
        raise ValueError(msg)
    label = Fields(key).label if label is None else label
    if label not in adata.obs:
        made = "Run `modulae.tl.classify(adata, reference, labels=...)` first, or name a column"
        msg = f"adata.obs has no {label!r}. {made}: label= one of {list(adata.obs)}."
        raise KeyError(msg)
    given, known = _labels(adata, label), _labels(adata, truth)
    known = known.cat.remove_unused_categories()
    if not len(known.cat.categories):
        msg = f"no cell has a label in adata.obs[{truth!r}]. Name another column."
        raise ValueError(msg)
    columns = [name for name in given.cat.categories if name != UNKNOWN]
    columns += [UNKNOWN] * (UNKNOWN in given.cat.categories)
    rows = [name for name in columns if name in known.cat.categories]
    rows += [name for name in known.cat.categories if name not in columns]
    counts = pd.crosstab(known.to_numpy(), given.to_numpy()).reindex(index=rows, columns=columns, fill_value=0)
    counts = counts.astype(np.int64).rename_axis(index=truth, columns=label)
    if normalise is None:
        return counts
    return counts.div(known.value_counts().loc[rows].to_numpy(), axis=0)


def _labels(adata: AnnData, name: str) -> pd.Series:
    """A column as categories, which are texts."""
    if name not in adata.obs:
        msg = f"truth={name!r} is no column of adata.obs. Choose one of {list(adata.obs)}."
        raise KeyError(msg)
    column = adata.obs[name]
    if pd.api.types.is_float_dtype(column):
        msg = f"adata.obs[{name!r}] holds numbers, not labels. Name a column of labels."
        raise ValueError(msg)
    labels = column.astype("category")
    named: pd.Series = labels.cat.rename_categories([str(category) for category in labels.cat.categories])
    return named
