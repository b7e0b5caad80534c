"""Where a trained model's raw counts lie, and whether they still do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from modulae._counts.blocks import check_values, counts_of, some_rows
from modulae._counts.layers import layer_names, matrix_of
from modulae.core.data.count_summary import are_integers, count_stamps, gene_weights

from .counts_elsewhere import pointing_at_counts, say_no_counts, whole_numbers
from .stored.count_stamps import KnownCounts
from .stored.ownership import is_model

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from .counts_elsewhere import Place

MOST = 2048
"""Cells whose counts are held to be those that the model has read; of a file, fewer."""


def counts_layer(adata: AnnData, key: str, layer: str | None) -> str | None:
    """The layer that holds the counts which the model `key` has read of these cells.

    The one that is asked for; else the one that was named in training, where it is still there; else `.X`. scanpy's
    users normalise `.X` and keep the counts in a layer, before the training or after it: where other values are in that
    place now, and none was asked for, the counts are looked for in all layers. Of cells that have joined since, or are
    read by a model without stamps of its counts, nothing is known.

    Raises
    ------
    ValueError
        Other values than the model has read.
    """
    wanted = _layer_of_training(adata, key) if layer is None else layer
    known = KnownCounts.of(adata, key)
    if known is None or not adata.n_obs or not _has_genes(adata.var_names, known):
        return wanted
    looked_at, foreign = _compare(adata, wanted, known)
    if not foreign:
        return wanted
    places = [place for place in whole_numbers(adata, wanted) if _same_counts(adata, place, known)]
    readable = [place.layer for place in places if place.readable]
    if layer is None and readable:
        return readable[0]
    if matrix_of(adata, wanted) is not None:
        _refuse(adata, wanted, key, places, f"{foreign} of {looked_at} cells")
    return wanted


def _layer_of_training(adata: AnnData, key: str) -> str | None:
    entry = adata.uns.get(key)
    used = entry.get("layer") if is_model(entry) else None
    return str(used) if used is not None and str(used) in layer_names(adata) else None


def _compare(adata: AnnData, layer: str | None, known: KnownCounts) -> tuple[int, int]:
    """How many cells were looked at, and how many have other counts."""
    if matrix_of(adata, layer) is None:
        return 0, 1
    counts, cells = some_rows(counts_of(adata, layer)[0], MOST)
    return len(cells), known.foreign(count_stamps(counts, _weights(adata.var_names, known)), cells)


def _same_counts(adata: AnnData, place: Place, known: KnownCounts) -> bool:
    """Whether the counts of the model are there; of `.raw`, the first cells are looked at."""
    if place.readable:
        return not _compare(adata, place.layer, known)[1]
    if not _has_genes(place.genes, known):
        return False
    stamps = count_stamps(sparse.csr_matrix(place.rows), _weights(place.genes, known))
    return not known.foreign(stamps, np.arange(len(place.rows)))


def _has_genes(names: pd.Index, known: KnownCounts) -> bool:
    return names.is_unique and bool((names.get_indexer(known.genes) >= 0).all())


def _weights(names: pd.Index, known: KnownCounts) -> NDArray[np.uint64]:
    return gene_weights(np.asarray(names, dtype=str), names.get_indexer(known.genes))


def _refuse(adata: AnnData, layer: str | None, key: str, places: list[Place], how_many: str) -> None:
    matrix, where = counts_of(adata, layer)
    msg = f"{where} holds other values than the model {key!r} has read, in {how_many} looked at"
    if places:
        msg = f"{msg}. What it has read is in {places[0].name}. {places[0].step}"
        raise ValueError(msg)
    rows = some_rows(matrix, MOST)[0]
    with pointing_at_counts(adata, layer):
        check_values(rows, where)
    if not are_integers(rows.data):
        say_no_counts(adata, layer, warn=False, judge=False)
        msg = (
            f"{msg}: they were normalised since, and no layer has the counts. Read these again from where they came "
            "from, put them into a layer, and name it: layer=. Next time keep them before you normalise: "
            "`adata.layers['counts'] = adata.X.copy()`."
        )
        raise ValueError(msg)
    named = "" if layer is None else f", layer={layer!r}"
    msg = (
        f"{msg}. Name the layer that holds what it has read: layer=. Or read these values as those of new cells: "
        f"`mo.tl.transfer(adata, adata, model_key={key!r}, key_added={key + '2'!r}{named})`, and go on with "
        f"key={key + '2'!r}."
    )
    raise ValueError(msg)
