"""Reference and new cells in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.columns.labels import read_labels
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.results import JOINT

if TYPE_CHECKING:
    from anndata import AnnData


@public
def joint_embedding(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, label: str | None = None
) -> pd.DataFrame:
    """Where :func:`modulae.tl.joint_embedding` put each cell.

    Parameters
    ----------
    adata
        The new cells.
    {key}
    {result=X_{key}_joint}
    label
        Column of `adata.obs` with the labels of the new cells; if `None` those of :func:`modulae.tl.classify`, where
        there are some.

    Returns
    -------
    One row per cell (index `cell`), those of the reference first.

    `x`, `y` : `float32`
        Coordinates.
    `of` : `category`
        `"reference"` or `"new"`.
    `label` : `category`
        The label, missing where there is none; the labels of the reference are the first categories.

    Raises
    ------
    KeyError
        No such result or column.

    See Also
    --------
    modulae.pl.joint_embedding : Draws this result.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.joint_embedding(cells, blood)
    >>> mo.get.joint_embedding(cells)["of"].value_counts().to_dict()
    {'reference': 700, 'new': 350}
    """
    stored = JOINT.find(adata, key=key, result=result)
    entry = stored.entry
    cells = [str(name) for name in entry["cells"]]
    points = np.concatenate([np.asarray(entry["reference"]), np.asarray(adata.obsm[stored.name])])
    names = [str(name) for name in entry.get("names", [])]
    known = pd.Categorical.from_codes(np.asarray(entry.get("codes", np.full(len(cells), -1))).tolist(), pd.Index(names))
    given = _given(adata, stored.key, label)
    every = [*names, *(name for name in given.categories if name not in names)]
    return pd.DataFrame(
        {
            "x": points[:, 0],
            "y": points[:, 1],
            "of": pd.Categorical(
                ["reference"] * len(cells) + ["new"] * adata.n_obs, categories=pd.Index(["reference", "new"])
            ),
            "label": pd.Categorical([*known, *given], categories=pd.Index(every, dtype=object)),
        },
        index=pd.Index([*cells, *adata.obs_names.astype(str)], name="cell"),
    )


def _given(adata: AnnData, key: str, label: str | None) -> pd.Categorical:
    """Labels of the new cells."""
    name = Fields(key).label if label is None else label
    if label is None and name not in adata.obs:
        return pd.Categorical([None] * adata.n_obs)
    return read_labels(adata, name, "label", most_numbers=None, unused=True).as_categories()
