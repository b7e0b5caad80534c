"""The decoded rates: what the model expects of every gene in every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modulae._anndata import changeable, place_by_name, read_cells, read_model
from modulae._docs import shared
from modulae._fields import DEFAULT_KEY, Fields

if TYPE_CHECKING:
    from anndata import AnnData


@shared
def denoise(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    batch_size: int = 512,
    device: str = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Decode every cell: the Poisson rate of each gene, free of counting noise.

    Parameters
    ----------
    {adata}
    {key}
    {layer}
    {batch_size_inference}
    {device}
    key_added
        Name of the layer; `f"{key}_denoised"` if `None`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the following fields:

    `adata.layers[f'{key}_denoised']` : :class:`numpy.ndarray` (`float32`, cells × genes)
        Expected counts, at each cell's own sequencing depth; `nan` for genes outside the model. Dense: 4 bytes a cell
        and gene.
    `adata.uns[f'{key}_denoised']` : `dict`
        Which model made it: `of_model`.

    Raises
    ------
    KeyError
        No such model or layer, or the model's genes are missing.
    """
    from modulae.core.encode import denoise as decode_cells

    fitted = read_model(adata, key)
    cells = read_cells(adata, fitted, layer=layer)
    rates = decode_cells(fitted.network, cells, batch_size=batch_size, device=device)

    adata = changeable(adata, copy=copy)
    name = Fields(key).denoised if key_added is None else key_added
    adata.layers[name] = place_by_name(adata, fitted.genes, rates.T).T
    adata.uns[name] = {"of_model": key}
    return adata if copy else None
