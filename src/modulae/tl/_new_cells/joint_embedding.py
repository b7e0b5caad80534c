"""New cells and reference cells in one UMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.reference_labels import reference_colours, reference_labels
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import umap_layout
from modulae._adata.stored.ownership import ROWS, rows_stamp
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
    """Lay out the cells of two data sets that one model reads in one UMAP, to be drawn side by side.

    Both data sets are encoded by the same model from the genes that both have, as by :func:`modulae.tl.classify`, and
    UMAP [1]_ lays out the square roots of the activities of all cells together. A layout of the reference in which new
    cells are placed afterwards would put each on the reference cells it is least unlike, whether like them or not:
    what is new would not be seen.

    Two protocols usually differ by a shift of all cells, which is larger than the differences between kinds of cells.
    With `labels`, it is estimated as by :func:`modulae.tl.classify` and taken away. Labels have no other part in the
    layout. The shift is one for all new cells: where only some of them differ from the reference, as treated cells do,
    these stay apart.

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
    all_units
        Whether to use also units that were flagged when the cells were read.
    n_neighbors
        Neighbours of each cell in the graph that UMAP lays out.
    {key}
    reference_key
        Name of the model in `reference`; `key` if `None`.
    {model_layer}
    reference_layer
        The same of `reference`.
    {batch_size_inference}
    {device}
    {seed}
    key_added
        Name of the result; `f"X_{{key}}_joint"` if `None`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the following fields, to be read with
    :func:`modulae.get.joint_embedding`:

    `adata.obsm[f'X_{key}_joint']` : :class:`numpy.ndarray` (`float32`, cells × 2)
        The new cells.
    `adata.uns[f'X_{key}_joint']` : `dict`
        `"reference"` (`float32`, reference cells × 2) and their names, `"cells"`; with labels `"names"`, `"codes"` (of
        each reference cell, −1 where it has none) and, where the reference has them, `"colors"`; `of_model` and the
        settings.

    Raises
    ------
    KeyError
        No such model, layer or column of labels.
    ValueError
        `adata` and `reference` are read by different models; too few cells for a graph; no unit that can be read; fewer
        than two labels, or a label called `"unknown"`.

    References
    ----------
    .. [1] McInnes, Healy & Melville (2018), arXiv:1802.03426.
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
    adata.obsm[name] = points[reference.n_obs :]
    adata.uns[name] = {
        "of_model": key,
        "reference": points[: reference.n_obs],
        "cells": np.asarray(reference.obs_names.astype(str), dtype=object),
        **_label_entry(reference, labels, names, codes),
        "align": aligned,
        "n_neighbors": n_neighbors,
        "n_units": units.shape[1],
        "seed": seed,
        ROWS: rows_stamp(points[reference.n_obs :]),
    }
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
