"""Read new cells with a model that was trained on others."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.counts import open_cells
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.steps import step
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

    The model is adapted to the genes of `adata` and stored there like one that was trained on these cells, so that
    :func:`modulae.tl.saliency`, :func:`modulae.tl.pathway_impact` and the others work on the new cells. Units keep the
    names, gene sets and reproducibility that they have where they were found. The result of a cell does not depend on
    other cells: size factors come from the genes that model and data share.

    Genes of the model that `adata` lacks take the value expected from the genes it has (`missing="model"`). The same
    linear model gives the *reliability* of each unit: the expected correlation with the unit as read from all its
    genes. :doc:`/guide/transfer` has the formulas, and shows how both were chosen.

    Parameters
    ----------
    {adata}
    model
        The path of a file that :func:`modulae.save_model` wrote, what :func:`modulae.load_model` returned, or the
        `AnnData` that the model is in.
    {model_key}
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
        What is assumed of genes that `adata` lacks: `"model"`, the value expected from the genes it has; `"mean"`,
        their mean over the training cells; `"zero"`, no counts.
    min_reliability
        Units with a lower reliability are flagged: :func:`modulae.tl.classify` and pictures leave them out unless you
        ask for them.
    {batch_size_inference}
    {device}
    key_added
        Name of the model in `adata`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the fields of :func:`modulae.tl.autoencoder` under `key_added`
    (`"model"` is for the genes of `adata`; `"history"` is that of the training), removes the results of an earlier
    model of the same name, and sets in `adata.uns[key_added]["transfer"]`, read with :func:`modulae.get.transfer`:

    `"coverage"` : `float32`, units
        Share of the absolute saliency that the genes of `adata` carry.
    `"reliability"` : `float32`, units
        Expected correlation with the unit as read from all its genes.
    `"trusted"` : `bool`, units
        Whether the reliability is at least `min_reliability`.
    `"share_of_genes"` : `float`
        Share of the model's genes that `adata` has.
    `"model_genes"` : `object`
        The genes of the model that `adata` has, under the names they had in training.
    `"sets"` : `dict`, where gene sets were tested
        The columns `set`, `set_q` and `sets` of the summary of the units where they were found.

    and the settings. `adata.uns[key_added]["replication"]` is that of the training, where there is one.

    Raises
    ------
    KeyError
        No such model, layer or column; or `adata` has none of the model's genes.
    ValueError
        A file that is broken or of another kind; values that are no counts; gene names that are not unique; fewer of
        the model's genes than any of its units needs.

    See Also
    --------
    modulae.get.transfer : How well each unit can be read.
    modulae.pl.transfer : The same as a picture.
    modulae.tl.classify : Labels from the reference.
    modulae.tl.novelty : How badly the model explains each cell.
    modulae.save_model : Write a model to a file.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[:, ::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> cells.obsm["X_ae"].shape
    (700, 32)
    >>> mo.get.transfer(cells).columns.tolist()
    ['name', 'coverage', 'reliability', 'trusted']
    """
    new_model_name(adata, key_added)
    check_number("min_reliability", min_reliability, minimum=0, maximum=1, give="a number from 0 to 1")
    from modulae.core.inference.encode import encode

    source = read_source(model, model_key)
    reading = read_with(
        source, adata, gene_ids=gene_ids, orthologues=orthologues, upper_case=upper_case, missing=missing
    )
    cells, counts = open_cells(adata, reading.fitted, layer=layer, spread=True)
    representation = encode(reading.fitted.network, cells, batch_size=batch_size, device=device)

    also = transfer_entry(reading, source, missing=missing, min_reliability=min_reliability)
    reading.check_readable(min_reliability, "To read them all the same: min_reliability=0.")
    _warn(reading, also["transfer"]["trusted"], min_reliability, key_added)
    adata = changeable(adata, copy=copy)
    store_model(adata, reading.fitted, representation, counts, key=key_added, layer=layer, also=also)
    return adata if copy else None


def _warn(reading: ForeignReading, trusted: np.ndarray, minimum: float, key: str) -> None:
    reading.warn_of_ambiguous()
    if not trusted.all():
        doubtful = np.flatnonzero(~trusted)
        warnings.warn(
            f"adata has {reading.share_of_genes:.0%} of the model's genes, which is too few for {len(doubtful)} of "
            f"{len(trusted)} units (reliability below {minimum:g}: {listed(doubtful, 8)}). They are flagged; see "
            f"{step('get.transfer', key=key)}. {reading.why_few}".rstrip(),
            UserWarning,
            stacklevel=user_stacklevel(),
        )
