"""Genes × units, of the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import model_entry, model_names
from modulae._adata.stored.results import unit_names
from modulae._adata.stored.steps import step

if TYPE_CHECKING:
    from anndata import AnnData


@public
def loadings(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """What every programme adds to every gene.

    A unit at activity z adds z times its loading to log1p of the gene's rate, and cannot lower it. With
    `architecture="orthogonal"` loadings have a sign: they are the mean change of log1p of the rate over the cells for
    one standard deviation more of the unit. Loadings name the genes that a unit *makes*; the saliency
    (:func:`modulae.tl.saliency`) names those that it is *read from* (:doc:`/guide/modules`).

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    genes × units, `float32`
        Genes by name, units by number ("0", "1", …), `nan` for genes outside the model. Units of the default have a
        mean square activity of 1 at the start of training, so loadings can be compared between units.

    Raises
    ------
    KeyError
        No such model, or one of an older version, without loadings.

    See Also
    --------
    modulae.get.top_genes : The genes that stand for each unit.
    modulae.get.saliency : The genes that the units are read from.
    modulae.tl.autoencoder : Trains a model.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.autoencoder(adata, n_splits=0, n_latent=8, max_epochs=2)
    >>> mo.get.loadings(adata).shape
    (300, 8)
    """
    name = Fields(key).loadings
    if name not in adata.varm:
        model_entry(adata, key)  # raises where there is no model
        others = [model for model in model_names(adata) if Fields(model).loadings in adata.varm]
        msg = (
            f"adata.varm has no loadings {name!r}: the model is of an older version. "
            f"{f'These models have some: {others}. ' if others else ''}"
            f"Train again with {step('tl.autoencoder', key=key)}, or see {step('tl.saliency', key=key)}."
        )
        raise KeyError(msg)
    values = adata.varm[name]
    return pd.DataFrame(values, index=adata.var_names, columns=pd.Index(unit_names(values.shape[1]), name="unit"))
