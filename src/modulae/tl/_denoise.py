"""The decoded rates: what the model expects of every gene in every cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._anndata import changeable, read_cells, read_model
from modulae._docs import shared
from modulae._fields import DEFAULT_KEY, Fields
from modulae.core.batches import Cells

if TYPE_CHECKING:
    from anndata import AnnData

    from modulae.core.fitted import Fitted
    from modulae.core.stored import Source

IN_MEMORY = 4 * 10**9
"""Bytes of rates that are held in memory for counts that are on disk."""


@shared
def denoise(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    batch_size: int = 512,
    device: str = "auto",
    store: str | Path | None = None,
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
    store
        Folder to write the rates to as a zarr array, a block of cells after the other, so that they never are in memory
        all at once; the layer then only refers to it (as a dask array where dask is installed).
    key_added
        Name of the layer; `f"{key}_denoised"` if `None`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the following fields:

    `adata.layers[f'{key}_denoised']` : :class:`numpy.ndarray` (`float32`, cells × genes)
        Expected counts, at each cell's own sequencing depth; `nan` for genes outside the model. Dense: 4 bytes a cell
        and gene, in memory or in `store`.
    `adata.uns[f'{key}_denoised']` : `dict`
        Which model made it: `of_model`.

    Raises
    ------
    KeyError
        No such model or layer, or the model's genes are missing.
    ValueError
        Counts that are on disk would come back as rates that hardly fit into memory.
    FileExistsError
        There is something in `store` already.
    """
    fitted = read_model(adata, key)
    cells = read_cells(adata, fitted, layer=layer)
    layer_of_rates = _rates(adata, fitted, cells, store, batch_size=batch_size, device=device)

    adata = changeable(adata, copy=copy)
    name = Fields(key).denoised if key_added is None else key_added
    adata.layers[name] = layer_of_rates
    adata.uns[name] = {"of_model": key}
    return adata if copy else None


def _rates(
    adata: AnnData, fitted: Fitted, cells: Source, store: str | Path | None, *, batch_size: int, device: str
) -> Any:  # noqa: ANN401
    """Cells × genes, NaN for genes outside the model; an array in memory, or what refers to one on disk."""
    from modulae.core.encode import denoised_blocks

    n_bytes = 4 * adata.n_obs * adata.n_vars
    if store is None and not isinstance(cells, Cells) and n_bytes > IN_MEMORY:
        msg = (
            f"the rates of {adata.n_obs} cells × {adata.n_vars} genes would take {n_bytes / 1e9:.0f} GB of memory. "
            "Name a folder to write them to: store=."
        )
        raise ValueError(msg)
    columns = adata.var_names.get_indexer(fitted.genes)
    rates = np.empty(adata.shape, dtype=np.float32) if store is None else _on_disk(Path(store), adata.shape)
    for rows, block in denoised_blocks(fitted.network, cells, batch_size=batch_size, device=device):
        placed = np.full((len(block), adata.n_vars), np.nan, dtype=np.float32)
        placed[:, columns] = block
        rates[rows] = placed
    if store is None:
        return rates
    try:
        from dask import array
    except ImportError:
        return rates
    return array.from_zarr(rates)  # type: ignore[no-untyped-call]


def _on_disk(path: Path, shape: tuple[int, int]) -> Any:  # noqa: ANN401
    import zarr

    if path.exists():
        msg = f"store={str(path)!r} is there already. Remove it, or name another folder."
        raise FileExistsError(msg)
    return zarr.create_array(path, shape=shape, chunks=(min(1024, shape[0]), shape[1]), dtype="f4", fill_value=np.nan)
