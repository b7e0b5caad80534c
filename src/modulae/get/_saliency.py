"""Genes × units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.results import group_position, saliency_entry, unit_names

if TYPE_CHECKING:
    from anndata import AnnData


@public
def saliency(adata: AnnData, *, key: str = Fields().saliency(), group: str | None = None) -> pd.DataFrame:
    """The mean saliency of every unit to every gene.

    Parameters
    ----------
    {adata}
    {saliency_key}
    {group}

    Returns
    -------
    genes × units, `float32`
        Genes by name, units by number ("0", "1", …), `nan` for genes outside the model.

    Raises
    ------
    KeyError
        No such result, or no such group in it.
    ValueError
        A result by group, and no group named.

    See Also
    --------
    modulae.tl.saliency : Computes this result.
    modulae.pl.top_genes : Draw the strongest genes of a unit.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.saliency(adata)
    >>> mo.get.saliency(adata).shape
    (765, 32)
    """
    entry = saliency_entry(adata, key)
    values = adata.varm[key]
    if values.ndim == 3:
        if group is None:
            msg = f"{key!r} was made with groupby: name one of its groups, group= one of {list(entry['groups'])}."
            raise ValueError(msg)
        values = values[:, :, group_position(entry, group, key)]
    elif group is not None:
        group_position(entry, group, key)  # raises: there are no groups
    return pd.DataFrame(values, index=adata.var_names, columns=pd.Index(unit_names(values.shape[1]), name="unit"))
