"""Labels that were carried over, against those that were known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modulae._adata.columns.labels import read_labels
from modulae._adata.columns.reference_labels import UNKNOWN
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.steps import step
from modulae._utils.text import choose
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from anndata import AnnData


@public
def confusion(
    adata: AnnData,
    *,
    truth: str,
    key: str = DEFAULT_KEY,
    label: str | None = None,
    normalise: Literal["truth"] | None = None,
) -> pd.DataFrame:
    """How many cells of each known label got which label from :func:`modulae.tl.classify`.

    Rows that share a name with a column come first, in the order of the columns; then the others. `"unknown"` is the
    last column. Categories without cells are left out of the rows, no label of the reference is left out of the
    columns.

    Parameters
    ----------
    {labelled}
    {truth}
    {key}
    {label}
    normalise
        `"truth"`: shares of the cells of each known label. `None`: numbers of cells.

    Returns
    -------
    known labels (index, named `truth`) × labels (columns, named `label`)
        Numbers of cells, `int64`; with `normalise` shares, `float64`.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        A column of numbers, no cell with a known label, or no such normalisation.

    See Also
    --------
    modulae.pl.confusion : Draws this result.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.classify(cells, blood, labels="louvain")
    >>> int(mo.get.confusion(cells, truth="louvain").to_numpy().sum())
    350
    """
    check_choice("normalise", normalise, Literal["truth"], none="for numbers of cells")
    label = Fields(key).label if label is None else label
    if label not in adata.obs:
        others = choose(adata.obs, f"run {step('tl.classify', 'reference', 'labels=...', key=key)}")
        msg = f"adata.obs has no {label!r}. {others}"
        raise KeyError(msg)
    given = read_labels(adata, label, "label", most_numbers=None, unused=True).as_categories()
    known = read_labels(adata, truth, "truth", most_numbers=None).as_categories()
    if not len(known.categories):
        msg = f"no cell has a label in adata.obs[{truth!r}]. Name another column."
        raise ValueError(msg)
    columns = [name for name in given.categories if name != UNKNOWN]
    columns += [UNKNOWN] * (UNKNOWN in given.categories)
    rows = [name for name in columns if name in known.categories]
    rows += [name for name in known.categories if name not in columns]
    counts = pd.crosstab(np.asarray(known), np.asarray(given)).reindex(index=rows, columns=columns, fill_value=0)
    counts = counts.astype(np.int64).rename_axis(index=truth, columns=label)
    if normalise is None:
        return counts
    return counts.div(pd.Series(known).value_counts().loc[rows].to_numpy(), axis=0)
