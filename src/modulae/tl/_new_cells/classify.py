"""Labels of reference cells, carried over to new ones."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.changeable import changeable
from modulae._adata.columns.labels import read_labels
from modulae._adata.columns.reference_labels import UNKNOWN, reference_colours, reference_labels
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.write_model import result_name
from modulae._model_io.common_genes import read_both
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.checks import check_choice, check_integer, check_number, check_seed
from modulae.core.inference.label_transfer import LabelMethod, transfer_labels
from modulae.tl._unit_summary.names import MIN_CELLS

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

UNKNOWN_COLOUR = "#b8b8b8"


@public
def classify(
    adata: AnnData,
    reference: AnnData,
    *,
    labels: str,
    min_cells: int = MIN_CELLS,
    method: LabelMethod = "discriminant",
    align: bool | str = True,
    unknown_rate: float = 0.05,
    all_units: bool = False,
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
    """Label new cells with the labels of a reference, by one model that reads both; nothing is trained.

    Both data sets are encoded from the genes that both have. A linear discriminant analysis [1]_ of the square roots of
    the activities gives each cell a label, or calls it unknown. The new cells may differ from the reference by a shift
    of all cells, since protocols differ; the shift is estimated together with the labels. All labels are taken to be
    equally common, so that a frequent label does not absorb similar ones. :doc:`/guide/transfer` compares the methods.

    Parameters
    ----------
    adata
        Cells to label, read by :func:`modulae.tl.transfer` with the model of the reference.
    reference
        Labelled cells: those the model was trained on, or others that it has read.
    labels
        Column of `reference.obs`. Cells without a label are left out.
    min_cells
        Reference cells that a label needs. Rarer ones are not learnt and no cell gets them; a warning names them.
    method
        What decides: `"discriminant"`, linear discriminant analysis; `"knn"`, 15 nearest neighbours; `"logistic"`,
        multinomial logistic regression; all on the same whitened, shifted square roots of the activities.
    align
        Whether to take away the shift. With a column of `adata.obs`, of samples or conditions, each group of 50 cells
        or more has a shift of its own, and the others that of all cells. `False` labels each cell by itself.
    unknown_rate
        Share of false alarms. A cell is `"unknown"` if it lies so far from every label (Mahalanobis distance) that only
        this share of held-out reference cells lies farther from the nearest one. 0 calls no cell unknown.
    {all_units}
    {key}
    {reference_key}
    {model_layer}
    {reference_layer}
    {batch_size_inference}
    {device}
    {seed}
    {key_added=label}
    {copy}

    Returns
    -------
    {returns}

    `adata.obs[f'{key}_label']` : `category`
        Label of the reference, or `"unknown"`.
    `adata.obs[f'{key}_label_confidence']` : `float32`
        How often held-out reference cells of this probability had the right label (5 folds, isotonic regression [2]_):
        for cells like the reference's, 0.9 means 9 of 10 are right. Also given where the label is `"unknown"`.
    `adata.obs[f'{key}_label_distance']` : `float32`
        Distance to the nearest label, 1 where cells begin to be unknown (0 for all if `unknown_rate=0`).
    `adata.uns[f'{key}_label']` : `dict`
        `of_model` and the settings.
    `adata.uns[f'{key}_label_colors']`
        The labels' colours, where the reference has them.

    Raises
    ------
    KeyError
        No such model, layer or column of labels.
    ValueError
        `adata` and `reference` are read by different models; fewer than two labels of enough cells, or a label called
        `"unknown"`.

    Warns
    -----
    UserWarning
        Labels of too few cells are left out.

    See Also
    --------
    modulae.tl.transfer : Encode the new cells first.
    modulae.get.confusion : Compare the labels with known ones.
    modulae.pl.confusion : The same as a picture.
    modulae.tl.joint_embedding : Both data sets in one UMAP.

    References
    ----------
    .. [1] Hastie, Tibshirani & Friedman (2009), *The Elements of Statistical Learning*, §4.3.
    .. [2] Zadrozny & Elkan (2002), *KDD*, 694–699.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.classify(cells, blood, labels="louvain")
    >>> [name for name in cells.obs if name.startswith("ae_")]
    ['ae_label', 'ae_label_confidence', 'ae_label_distance']
    """
    name = result_name(adata, key_added, Fields(key).label, "classify")
    check_seed(seed)
    check_integer("min_cells", min_cells, minimum=1)
    check_choice("method", method, LabelMethod)
    give = "a share from 0 up to, not including, 1, such as 0.05"
    check_number("unknown_rate", unknown_rate, minimum=0, below=1, give=give)
    samples = _samples(adata, align)
    names, codes = _large_enough(*reference_labels(reference, labels), labels, min_cells)
    labelled = codes >= 0
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
    result = transfer_labels(
        known[labelled],
        codes[labelled],
        units,
        n_labels=len(names),
        method=method,
        samples=samples,
        unknown_rate=unknown_rate,
        seed=seed,
    )
    adata = changeable(adata, copy=copy)
    codes = np.where(result.distance > 1, len(names), result.code)
    adata.obs[name] = pd.Categorical.from_codes(codes.tolist(), pd.Index([*names, UNKNOWN]))
    adata.obs[Fields.confidence(name)] = result.confidence.astype(np.float32)
    adata.obs[Fields.distance(name)] = result.distance.astype(np.float32)
    adata.uns[name] = {
        "of_model": key,
        "labels": labels,
        "min_cells": int(min_cells),
        "method": method,
        "align": align,
        "unknown_rate": float(unknown_rate),
        "n_units": units.shape[1],
    }
    _carry_colours(adata, reference, labels, names, name)
    return adata if copy else None


def _samples(adata: AnnData, align: bool | str) -> NDArray[np.intp] | None:  # noqa: FBT001
    if isinstance(align, bool):
        return np.zeros(adata.n_obs, dtype=np.intp) if align else None
    return read_labels(adata, align, "align", what="samples").codes


def _large_enough(
    names: list[str], codes: NDArray[np.intp], labels: str, min_cells: int
) -> tuple[list[str], NDArray[np.intp]]:
    """The labels of enough cells, with a warning that names the others.

    Raises
    ------
    ValueError
        Fewer than two labels are left.
    """
    n = np.bincount(codes[codes >= 0], minlength=len(names))
    kept = np.flatnonzero(n >= min_cells)
    if len(kept) == len(names):
        return names, codes
    rare = listed([f"{name!r} ({many})" for name, many in zip(names, n, strict=True) if many < min_cells], 8)
    if len(kept) < 2:
        msg = (
            f"two labels of min_cells={min_cells} cells are needed, and reference.obs[{labels!r}] has {len(kept)}. "
            f"Too few cells have {rare}. Lower min_cells=, or name another column."
        )
        raise ValueError(msg)
    warnings.warn(
        f"labels of fewer than min_cells={min_cells} cells are not learnt, and no cell gets them: {rare}. To have them "
        f"learnt nevertheless, lower min_cells=; or join them with others in reference.obs[{labels!r}].",
        UserWarning,
        stacklevel=user_stacklevel(),
    )
    places = np.full(len(names) + 1, -1, dtype=np.intp)  # the last is for cells without a label
    places[kept] = np.arange(len(kept))
    return [names[at] for at in kept], places[codes]


def _carry_colours(adata: AnnData, reference: AnnData, labels: str, names: list[str], name: str) -> None:
    """Draw a label in the colour that it has in the reference."""
    colours = reference_colours(reference, labels, names)
    if colours is None:
        adata.uns.pop(f"{name}_colors", None)
        return
    adata.uns[f"{name}_colors"] = np.array([*colours, UNKNOWN_COLOUR], dtype=object)
