"""Genes × units: what each unit of the representation listens to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.groups import membership
from modulae._adata.counts import read_cells
from modulae._adata.gene_names import place_by_name
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.write_model import result_name
from modulae.core.checks import check_choice
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.network import Method

if TYPE_CHECKING:
    from anndata import AnnData


@public
def saliency(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    method: Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"] = "gradient",
    signed: bool = True,
    groupby: str | None = None,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Average over cells how strongly each unit responds to each gene.

    The saliency of a cell is the gradient of a unit with respect to what the encoder reads (log1p of the size-corrected
    counts; the raw counts where the model has no size factors), or a variant of it. The paper's is
    `method="guided", signed=False` (Kinalis et al. 2019 [1]_). :doc:`/method/method` has the formulas.

    Parameters
    ----------
    {adata}
    {key}
    method
        `"gradient"`: d unit / d input. `"guided"`: guided backpropagation (Springenberg et al. 2014), which sets
        negative gradients to 0 on the way back (no difference for `architecture="parts"`, which has one layer).
        `"input_x_gradient"`: gradient × input. `"integrated_gradients"` (Sundararajan et al. 2017): along the path from
        an input of zeros. The last two multiply by the input, so they follow expression whatever the network has
        learnt: they are no evidence of that.
    signed
        Average the saliency itself; `False` averages its absolute value, where opposite signs don't cancel.
    groupby
        `obs` column; every group of cells gets its own average, all in one pass.
    {model_layer}
    {batch_size_inference}
    {device}
    key_added
        Name of the result; `f"{key}_saliency"`, with `f"_{groupby}"` after it, if `None`.
    {copy}

    Returns
    -------
    {returns}

    `adata.varm[f'{key}_saliency']` : :class:`numpy.ndarray` (`float32`, genes × units)
        Mean saliency; `nan` for genes outside the model.
    `adata.varm[f'{key}_saliency_{groupby}']` : :class:`numpy.ndarray` (`float32`, genes × units × groups)
        Instead, with `groupby`: the same for each group, in the order of the categories.
    `adata.uns[f'{key}_saliency']`, with `groupby` `adata.uns[f'{key}_saliency_{groupby}']` : `dict`
        `of_model`, `method`, `signed`, `groupby`, `groups`.

    Raises
    ------
    KeyError
        No such model, layer or `obs` column, or the model's genes are missing.

    See Also
    --------
    modulae.get.saliency : The result as a table.
    modulae.pl.top_genes : Draw the strongest genes of a unit.
    modulae.tl.pathway_impact : Averages over gene sets.
    modulae.tl.enrich_units : Which gene sets a unit responds to.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.saliency(adata)
    >>> adata.varm["ae_saliency"].shape
    (765, 32)
    >>> mo.tl.saliency(adata, groupby="phase")
    >>> adata.varm["ae_saliency_phase"].shape
    (765, 32, 3)
    """
    name = result_name(adata, key_added, Fields(key).saliency(groupby), "saliency")
    check_choice("method", method, Method)
    fitted = read_model(adata, key)
    groups, members = ([], None) if groupby is None else membership(adata, groupby)
    layer = counts_layer(adata, key, layer)
    cells = read_cells(adata, fitted, layer=layer, spread=True)
    mean = mean_saliency(
        fitted.network, cells, method=method, signed=signed, membership=members, batch_size=batch_size, device=device
    )  # groups × genes × units

    adata = changeable(adata, copy=copy)
    values = mean[0] if groupby is None else np.moveaxis(mean, 0, -1)
    adata.varm[name] = place_by_name(adata, fitted.genes, values)
    adata.uns[name] = {
        "of_model": key,
        "method": method,
        "signed": signed,
        "groupby": groupby,
        "groups": np.array(groups, dtype=object),
    }
    return adata if copy else None
