"""Cells × units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._anndata import model_names
from modulae._fields import DEFAULT_KEY, Fields
from modulae._public import public
from modulae._read_results import unit_names

if TYPE_CHECKING:
    from anndata import AnnData


@public
def representation(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """The activity of every unit in every cell.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    cells × units, `float32`; cells by name, units by number ("0", "1", …).
    """
    name = Fields(key).representation
    if name not in adata.obsm:
        there = model_names(adata)
        hint = f"Trained models here: {there}." if there else "Run `modulae.tl.autoencoder(adata)` first."
        if key in there:
            hint = f"It was removed since: run `modulae.tl.autoencoder(adata, key_added={key!r})` again."
        msg = f"adata.obsm has no {name!r}. {hint}"
        raise KeyError(msg)
    values = adata.obsm[name]
    return pd.DataFrame(values, index=adata.obs_names, columns=pd.Index(unit_names(values.shape[1]), name="unit"))
