"""Genes × units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import SALIENCY, unit_names

if TYPE_CHECKING:
    from anndata import AnnData


@public
def saliency(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, group: str | None = None
) -> pd.DataFrame:
    """The mean saliency of every unit to every gene.

    Parameters
    ----------
    {adata}
    {key}
    {saliency_result}
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
    modulae.pl.top_genes : Draw the strongest genes of a unit: `by="saliency"`.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.saliency(adata)
    >>> mo.get.saliency(adata).shape
    (765, 32)
    """
    stored = SALIENCY.find(adata, key=key, result=result)
    values = adata.varm[stored.name]
    if values.ndim == 3:
        if group is None:
            groups = [str(name) for name in stored.entry["groups"]]
            msg = f"{stored.name!r} was made with groupby: name one of its groups, group= one of {groups}."
            raise ValueError(msg)
        values = values[:, :, stored.group_position(group)]
    elif group is not None:
        stored.group_position(group)  # raises: there are no groups
    return pd.DataFrame(values, index=adata.var_names, columns=pd.Index(unit_names(values.shape[1]), name="unit"))
