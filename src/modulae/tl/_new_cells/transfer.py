"""Read new cells with a model that was trained on others."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.counts import read_cells
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.write_model import new_model_name, store_model
from modulae._model_io.foreign_model import read_source, read_with, transfer_entry
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.checks import check_number

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData

    from modulae._model_io.foreign_model import ForeignReading
    from modulae._model_io.model_file import TrainedModel
    from modulae.core.inference.missing_genes import Missing
    from modulae.core.model.fitted import Fitted


@public
def transfer(
    adata: AnnData,
    model: TrainedModel | Fitted | AnnData | str | os.PathLike[str],
    *,
    model_key: str = DEFAULT_KEY,
    layer: str | None = None,
    gene_ids: str | None = None,
    orthologues: Mapping[str, str] | pd.DataFrame | None = None,
    upper_case: bool = False,
    missing: Missing = "model",
    min_reliability: float = 0.7,
    batch_size: int = 512,
    device: str = "auto",
    key_added: str = DEFAULT_KEY,
    copy: bool = False,
) -> AnnData | None:
    """Encode new cells with a model that never saw them, without training.

    The model is fitted to the genes at hand and stored in `adata` like one trained there, so that
    :func:`modulae.tl.saliency`, :func:`modulae.tl.pathway_impact` and the others work on the new cells. Size factors
    come from the genes that model and data share: their total in a cell, over what they have in a training cell of size
    factor 1. Nothing else of the new cells is looked at: no cell's result depends on another's.

    Genes of the model that `adata` lacks have the value expected of them given the genes it has, under a linear model
    of the inputs on the model's own units (`missing="model"`). As the first layer is linear, this goes into its
    weights: saliencies of the genes at hand include what they say of the absent ones. How well each unit can be read
    this way follows from the same linear model, before a cell is looked at: its *reliability*, the expected correlation
    with the unit as read from all its genes. :doc:`/guide/transfer` shows how it, and `missing`, were chosen.

    Parameters
    ----------
    {adata}
    model
        The path of a file that :func:`modulae.save_model` wrote, what :func:`modulae.load_model` returned, or the
        `AnnData` that the model is in.
    model_key
        Name of the model there, if `model` is an `AnnData`.
    {layer}
    gene_ids
        Column of `adata.var` with other names of the genes, such as Ensembl ids, to match as well. `None`: the column
        `"gene_ids"` where there is one. Versions of Ensembl ids are ignored.
    orthologues
        For data of another species: a dict of gene in `adata` → gene of the model, or a table with these two columns
        first. Only one-to-one orthologues are used.
    upper_case
        Match genes of `adata` in capitals: takes mouse `Cd3d` for human `CD3D`. Right for most genes, not all.
    missing
        What is assumed of genes that `adata` lacks: `"model"`, as above; `"mean"`, their mean over the training cells;
        `"zero"`, no counts.
    min_reliability
        Units below are flagged: :func:`modulae.tl.classify` and pictures leave them out unless asked.
    {batch_size_inference}
    {device}
    key_added
        Name of the model in `adata`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the fields of :func:`modulae.tl.autoencoder` under `key_added`
    (`"model"` is for the genes at hand; `"history"` is that of the training), removes the results of an earlier model
    of the same name, and

    `adata.uns[key_added]["transfer"]` : `dict`
        `"coverage"` (units, `float32`): share of the absolute saliency that the genes at hand carry; `"reliability"`
        (units, `float32`); `"trusted"` (units, `bool`): reliability of at least `min_reliability`;
        `"share_of_genes"`; `"model_genes"`: the genes under their first names; and the settings. Read it with
        :func:`modulae.get.transfer`.

    Raises
    ------
    KeyError
        No such model, layer or column; or `adata` has none of the model's genes.
    ValueError
        A file that is broken or of another kind; counts that can't be; gene names that are not unique.
    """
    new_model_name(adata, key_added)
    check_number("min_reliability", min_reliability, minimum=0, maximum=1, give="a number from 0 to 1")
    from modulae.core.inference.encode import encode

    source = read_source(model, model_key)
    reading = read_with(
        source, adata, gene_ids=gene_ids, orthologues=orthologues, upper_case=upper_case, missing=missing
    )
    cells = read_cells(adata, reading.fitted, layer=layer, spread=True)
    representation = encode(reading.fitted.network, cells, batch_size=batch_size, device=device)

    entry = transfer_entry(reading, source, missing=missing, min_reliability=min_reliability)
    _warn(reading, entry["trusted"], min_reliability)
    adata = changeable(adata, copy=copy)
    store_model(adata, reading.fitted, representation, key=key_added, layer=layer, also={"transfer": entry})
    return adata if copy else None


def _warn(reading: ForeignReading, trusted: np.ndarray, minimum: float) -> None:
    if reading.ambiguous:
        warnings.warn(
            f"{len(reading.ambiguous)} genes of the model have several rows in adata and are taken as missing "
            f"({listed(reading.ambiguous)}). Keep one row each to have them read.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    if not trusted.all():
        doubtful = np.flatnonzero(~trusted)
        warnings.warn(
            f"adata has {reading.share_of_genes:.0%} of the model's genes, which is too few for {len(doubtful)} of "
            f"{len(trusted)} units (reliability below {minimum:g}: {listed(doubtful, 8)}). They are flagged; see "
            f"`modulae.get.transfer(adata)`. {reading.why_few}".rstrip(),
            UserWarning,
            stacklevel=user_stacklevel(),
        )
