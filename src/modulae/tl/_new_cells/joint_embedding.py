"""New cells and reference cells in one UMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.reference_labels import reference_colours, reference_labels
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import umap_layout
from modulae._adata.stored.ownership import ROW_STAMPS, rows_stamp
from modulae._adata.stored.write_model import result_name
from modulae._model_io.common_genes import read_both
from modulae.core.checks import check_integer, check_seed
from modulae.core.inference.joint_space import joint_space

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@public
def joint_embedding(
    adata: AnnData,
    reference: AnnData,
    *,
    labels: str | None = None,
    align: bool = True,
    all_units: bool = False,
    n_neighbors: int = 15,
    key: str = DEFAULT_KEY,
    reference_key: str | None = None,
    layer: str | None = None,
    reference_layer: str | None = None,
    batch_size: int = 512,
    device: str = "auto",
    seed: int = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed the cells of two data sets that one model reads in one UMAP, to be drawn side by side.

    Both data sets are encoded from the genes that both have, and UMAP [1]_ embeds the square roots of the activities of
    all cells together. (A finished UMAP of the reference would place each new cell on some reference cell, even on an
    unlike one, and so hide what is new.)

    With `labels`, the shift between the two protocols is estimated as by :func:`modulae.tl.classify` and taken away. It
    is one shift for all new cells: where only some of them differ from the reference, as treated cells do, these stay
    apart.

    Parameters
    ----------
    adata
        Cells read by :func:`modulae.tl.transfer` with the model of the reference.
    reference
        Cells the model was trained on, or others that it has read.
    labels
        Column of `reference.obs`: names and colours of the reference cells in the picture, and what `align` needs.
    align
        Whether to take away the shift; done only where there are `labels`.
    {all_units}
    {n_neighbors}
    {key}
    {reference_key}
    {model_layer}
    {reference_layer}
    {batch_size_inference}
    {device}
    {seed}
    key_added
        Name of the result; `f"X_{key}_joint"` if `None`.
    {copy}

    Returns
    -------
    {returns}

    `adata.obsm[f'X_{key}_joint']` : :class:`numpy.ndarray` (`float32`, cells × 2)
        The new cells.
    `adata.uns[f'X_{key}_joint']` : `dict`, read with :func:`modulae.get.joint_embedding`
        - `"reference"` (`float32`, reference cells × 2): the reference cells.
        - `"cells"` (`object`): their names.
        - `"names"` (`object`), with labels: the labels.
        - `"codes"` (integers), with labels: the label of each reference cell, −1 where it has none.
        - `"colors"`, where the reference has them.
        - `of_model` and the settings.

    Raises
    ------
    KeyError
        No such model, layer or column of labels.
    ValueError
        `adata` and `reference` are read by different models; too few cells for a graph; no unit that can be read; fewer
        than two labels, or a label called `"unknown"`.

    See Also
    --------
    modulae.get.joint_embedding : The result as a table.
    modulae.pl.joint_embedding : The result as a picture.
    modulae.tl.classify : Give the new cells the labels of the reference.

    References
    ----------
    .. [1] McInnes, Healy & Melville (2018), arXiv:1802.03426.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.joint_embedding(cells, blood, labels="bulk_labels")
    >>> cells.obsm["X_ae_joint"].shape
    (350, 2)
    """
    name = result_name(adata, key_added, Fields(key).joint, "joint_embedding")
    check_seed(seed)
    check_integer("n_neighbors", n_neighbors, minimum=2)
    names, codes = ([], None) if labels is None else reference_labels(reference, labels)
    n_cells = adata.n_obs + reference.n_obs
    if n_cells <= n_neighbors:
        msg = f"{n_cells} cells are too few for {n_neighbors} neighbours. Use fewer: n_neighbors=."
        raise ValueError(msg)
    units, known = read_both(
        adata,
        reference,
        key=key,
        reference_key=key if reference_key is None else reference_key,
        layer=layer,
        reference_layer=reference_layer,
        batch_size=batch_size,
        device=device,
        all_units=all_units,
    )
    aligned = align and codes is not None
    both = joint_space(known, units, codes=codes if aligned else None, n_labels=len(names))
    points = umap_layout(np.concatenate(both).astype(np.float32), n_neighbors, seed)

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "reference": points[: reference.n_obs],
        "cells": np.asarray(reference.obs_names.astype(str), dtype=object),
        **_label_entry(reference, labels, names, codes),
        "align": aligned,
        "n_neighbors": n_neighbors,
        "n_units": units.shape[1],
        "seed": seed,
        ROW_STAMPS: rows_stamp(points[reference.n_obs :]),
    }
    adata.obsm[name] = points[reference.n_obs :]
    return adata if copy else None


def _label_entry(
    reference: AnnData, labels: str | None, names: list[str], codes: NDArray[np.intp] | None
) -> dict[str, Any]:
    """What is kept of the reference's labels."""
    if labels is None or codes is None:
        return {}
    colours = reference_colours(reference, labels, names)
    entry = {"labels": labels, "names": np.array(names, dtype=object), "codes": codes.astype(np.int32)}
    return entry if colours is None else {**entry, "colors": np.array(colours, dtype=object)}
