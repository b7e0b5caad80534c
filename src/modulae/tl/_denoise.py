"""The decoded rates: what a model expects of every gene in every cell."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.counts import read_cells
from modulae._adata.gene_names import place_by_name
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import model_entry, read_model
from modulae._adata.stored.write_model import result_name
from modulae._model_io.foreign_model import read_source, read_with
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.data.cells import Cells

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData

    from modulae._model_io.foreign_model import ForeignReading
    from modulae._model_io.model_file import TrainedModel
    from modulae.core.data.source import Source
    from modulae.core.inference.missing_genes import Missing
    from modulae.core.model.fitted import Fitted

MAX_BYTES_OF_RATES = 4 * 10**9
"""Bytes of rates that are held in memory for counts that are on disk."""

MIN_RELIABILITY = 0.7
"""Below, :func:`modulae.tl.transfer` flags a unit."""


@public
def denoise(
    adata: AnnData,
    *,
    model: TrainedModel | Fitted | AnnData | str | os.PathLike[str] | None = None,
    model_key: str = DEFAULT_KEY,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    gene_ids: str | None = None,
    orthologues: Mapping[str, str] | pd.DataFrame | None = None,
    upper_case: bool = False,
    missing: Missing = "model",
    batch: str = "own",
    rescale: bool | None = None,
    batch_size: int = 512,
    device: str = "auto",
    store: str | os.PathLike[str] | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Decode every cell: the Poisson rate of each gene, without counting noise.

    The rates are those of the model of these cells or, if `model` is given, of a model of other cells, which is not
    stored in `adata`. Another platform counts some genes several times as often; with `rescale` the rates of each gene
    are therefore scaled to the counts of `adata`. This factor depends on all the cells together
    (:doc:`/guide/transfer`). :doc:`/benchmarks/denoising` has the measurements.

    Parameters
    ----------
    {adata}
    model
        A model of other cells, in any form that :func:`modulae.tl.transfer` takes. `None`: the model that `adata` has
        under `key`.
    {model_key}
    key
        Name of the model in `adata`. With `model`, it only names the result.
    {model_layer}
        With another `model`, `.X` if `None`.
    gene_ids, orthologues, upper_case, missing
        How genes of `model` are found in `adata`, and what is assumed of the others; see :func:`modulae.tl.transfer`.
        Rates are given for the genes that `adata` has.
    batch
        For a model with batches (`batch_key` of :func:`modulae.tl.autoencoder`): the batch each cell is decoded for.
        `"own"`: its own, as the column of that name says; the average where the model does not know it, and for all
        cells if the model is one of other cells. `"average"`: the average of all batches, weighted by their training
        cells, so that rates do not depend on the batch. The name of a batch: that one for all cells.
    rescale
        Whether each gene's rates are scaled to its counts. `None`: only for a model of other cells (`model`, or
        :func:`modulae.tl.transfer`).
    {batch_size_inference}
    {device}
    store
        Folder to write the rates to as a zarr array, one block of cells after the other, so that they are never in
        memory all at once; the layer then only refers to it (as a dask array where dask is installed).
    {key_added=denoised}
    {copy}

    Returns
    -------
    {returns}

    `adata.layers[f'{key}_denoised']` : :class:`numpy.ndarray` (`float32`, cells × genes)
        Expected counts, at each cell's own sequencing depth; `nan` for genes outside the model. Dense: 4 bytes per cell
        and gene of `adata`, and as much again for the model's genes while it is computed.
    `adata.uns[f'{key}_denoised']` : `dict`
        `of_model`, `rescaled` (`bool`); if the model has batches, `batch`; given `model`, also `model` (which it was),
        `share_of_genes` (how much of it was found) and `missing`.

    Raises
    ------
    KeyError
        No such model, layer or column, or the model's genes are missing; `adata` has none of the genes of `model`.
    FileExistsError
        There is something in `store` already.
    ValueError
        Rates that do not fit into memory (name `store`); an unknown batch; options for `model` without `model`; a
        broken file; values that are no counts; gene names that are not unique.

    See Also
    --------
    modulae.tl.transfer : Read these cells with a model of other cells, and keep it.
    modulae.tl.pathway_activity : Gene sets in single cells, from the same rates.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.denoise(adata)
    >>> adata.layers["ae_denoised"].shape
    (700, 765)
    """
    name = result_name(adata, key_added, Fields(key).denoised, "denoise")
    options: dict[str, Any] = {
        "gene_ids": gene_ids,
        "orthologues": orthologues,
        "upper_case": upper_case,
        "missing": missing,
    }
    if model is None:
        _no_options(options)
        fitted, foreign, about = read_model(adata, key), "transfer" in model_entry(adata, key), {}
        layer = counts_layer(adata, key, layer)
    else:
        source = read_source(model, model_key)
        reading = read_with(source, adata, **options)
        reading.check_readable(MIN_RELIABILITY)
        _warn(reading)
        fitted, foreign = reading.fitted, True
        about = {"model": source.fingerprint, "share_of_genes": reading.share_of_genes, "missing": missing}
    cells = in_batch(
        adata, read_cells(adata, fitted, layer=layer), fitted, batch=batch, key=key if model is None else None
    )
    rescaled = foreign if rescale is None else bool(rescale)
    rates = _rates(adata, fitted, cells, store, rescaled=rescaled, batch_size=batch_size, device=device)

    adata = changeable(adata, copy=copy)
    adata.layers[name] = rates
    about |= {"batch": batch} if len(fitted.batches) else {}
    adata.uns[name] = {"of_model": key, "rescaled": rescaled, **about}
    return adata if copy else None


def _no_options(options: dict[str, Any]) -> None:
    usual = {"gene_ids": None, "orthologues": None, "upper_case": False, "missing": "model"}
    given = [name for name, value in usual.items() if not (options[name] is value or isinstance(value, str))]
    if options["missing"] != usual["missing"]:
        given.append("missing")
    if given:
        msg = f"{listed(given)} say how a model of other cells finds its genes, and none is given. Give it: model=."
        raise ValueError(msg)


def _warn(reading: ForeignReading) -> None:
    reading.warn_of_ambiguous()
    doubtful = np.flatnonzero(reading.reliability < MIN_RELIABILITY)
    if len(doubtful):
        warnings.warn(
            f"adata has {reading.share_of_genes:.0%} of the model's genes, which is too few for {len(doubtful)} of "
            f"{len(reading.reliability)} units, and for the rates that hang on them. `mo.tl.transfer` and "
            f"`mo.get.transfer` say which. {reading.why_few}".rstrip(),
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def _rates(
    adata: AnnData,
    fitted: Fitted,
    cells: Source,
    store: str | os.PathLike[str] | None,
    *,
    rescaled: bool,
    batch_size: int,
    device: str,
) -> Any:  # noqa: ANN401
    """Cells × genes, NaN for genes outside the model; an array in memory, or what refers to one on disk."""
    from modulae.core.inference.encode import PLATFORM_PRIOR, denoised_blocks, gene_factors
    from modulae.core.inference.encode import denoise as decode_cells
    from modulae.core.inference.encode import rescale as scale_genes

    n_bytes = 4 * adata.n_obs * adata.n_vars
    if store is None and not isinstance(cells, Cells) and n_bytes > MAX_BYTES_OF_RATES:
        msg = (
            f"the rates of {adata.n_obs} cells × {adata.n_vars} genes would take {n_bytes / 1e9:.0f} GB of memory. "
            "Name a folder to write them to: store=."
        )
        raise ValueError(msg)
    how: dict[str, Any] = {"batch_size": batch_size, "device": device}
    if store is None and isinstance(cells, Cells):
        result = decode_cells(fitted.network, cells, **how)
        if rescaled:
            scale_genes(result, cells.counts, PLATFORM_PRIOR)
        return place_by_name(adata, fitted.genes, result.T).T
    factors = np.ones(len(fitted.genes), dtype=np.float32)
    if rescaled:
        sums = (block.sum(axis=0, dtype=np.float64) for _, block in denoised_blocks(fitted.network, cells, **how))
        expected = sum(sums, start=np.zeros(len(factors)))
        factors = gene_factors(cells.gene_totals(), expected, PLATFORM_PRIOR).astype(np.float32)
    columns = adata.var_names.get_indexer(fitted.genes)
    rates = np.empty(adata.shape, dtype=np.float32) if store is None else _on_disk(Path(store), adata.shape)
    for rows, block in denoised_blocks(fitted.network, cells, **how):
        placed = np.full((len(block), adata.n_vars), np.nan, dtype=np.float32)
        placed[:, columns] = block * factors
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
