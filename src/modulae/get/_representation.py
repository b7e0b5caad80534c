"""Cells × units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.results import unit_names

if TYPE_CHECKING:
    from anndata import AnnData


@public
def representation(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """The activity of every programme in every cell.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    cells × units, `float32`
        Cells by name, units by number ("0", "1", …).

    Raises
    ------
    KeyError
        No representation, or no model that it is of.
    ValueError
        The values are not those that this model has written, as where objects with different models were joined.

    See Also
    --------
    modulae.tl.autoencoder : Computes this result.
    modulae.pl.units : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.get.representation(adata).shape
    (700, 32)
    """
    values = model_units(adata, key)
    return pd.DataFrame(values, index=adata.obs_names, columns=pd.Index(unit_names(values.shape[1]), name="unit"))
