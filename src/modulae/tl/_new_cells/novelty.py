"""How unlike the cells a model was trained on a cell is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.write_model import result_name

if TYPE_CHECKING:
    from anndata import AnnData


@public
def novelty(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    batch_size: int = 512,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Measure how badly the model explains the counts of each cell.

    The Poisson deviance of a cell's counts from their decoded rates, divided by the deviance expected of a held-out
    training cell with these rates (:doc:`/guide/transfer` has the formula). The ratio is about 1 for cells like those
    of the training, whatever their depth. Another protocol raises it for all cells: across data sets, compare cells
    with each other rather than with 1. A model that was trained with batches decodes each cell for its own batch, and
    cells of another data set for the average batch.

    Parameters
    ----------
    {adata}
    {key}
    {model_layer}
    {batch_size_inference}
    key_added
        Name of the column; `f"{key}_novelty"` if `None`.
    {copy}

    Returns
    -------
    {returns}

    `adata.obs[f'{key}_novelty']` : `float32`
        The ratio; 1 for a cell without counts.
    `adata.obs[f'{key}_novelty_percentile']` : `float32`
        Percentage of the held-out training cells with a lower ratio, 0 to 100.

    Raises
    ------
    KeyError
        No such model, layer or column of batches, or the model's genes are missing (read the cells with
        :func:`modulae.tl.transfer`).

    See Also
    --------
    modulae.tl.classify : Labels, or "unknown", from a reference.
    modulae.tl.transfer : Encode cells with a model that never saw them.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.novelty(adata)
    >>> [name for name in adata.obs if name.startswith("ae_")]
    ['ae_novelty', 'ae_novelty_percentile']
    """
    from modulae.core.inference.novelty import novelty as judge
    from modulae.core.inference.training_summary import QUANTILES

    name = result_name(adata, key_added, Fields(key).novelty, "novelty")
    fitted = read_model(adata, key)
    layer = counts_layer(adata, key, layer)
    cells = in_batch(adata, read_cells(adata, fitted, layer=layer, spread=True), fitted, key=key)
    ratio = judge(fitted.network, cells, fitted.training.dispersion, batch_size=batch_size)
    percentile = np.interp(ratio, fitted.training.novelty, QUANTILES * 100, left=0, right=100)
    adata = changeable(adata, copy=copy)
    adata.obs[name] = ratio.astype(np.float32)
    adata.obs[Fields.percentile(name)] = percentile.astype(np.float32)
    adata.uns[name] = {"of_model": key}
    return adata if copy else None
