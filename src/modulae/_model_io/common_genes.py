"""Two data sets, read by one model on the genes that both have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.stored.models import model_entry
from modulae.core.inference.encode import encode
from modulae.core.inference.missing_genes import restrict

from .foreign_model import read_source

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def read_both(
    adata: AnnData,
    reference: AnnData,
    *,
    key: str,
    reference_key: str,
    layer: str | None,
    reference_layer: str | None,
    batch_size: int,
    device: str,
    all_units: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The representations of both, as if neither had a gene that the other lacks.

    Otherwise what is assumed of absent genes would look like a difference between the cells. Units that were flagged
    when `adata` was read are left out, unless `all_units`.

    Raises
    ------
    ValueError
        Two different models, no gene that both have, or no unit that was not flagged.
    """
    ours = read_source(adata, key)
    try:
        theirs = read_source(reference, reference_key)
    except KeyError as error:
        msg = f"of the reference: {error.args[0]} Name its model in reference_key=."
        raise KeyError(msg) from error
    if ours.fingerprint != theirs.fingerprint:
        msg = (
            f"the model {key!r} of adata is not the model {reference_key!r} of the reference. "
            f"Run `mo.tl.transfer(adata, reference, model_key={reference_key!r}, key_added={key!r})` first."
        )
        raise ValueError(msg)
    common = np.intersect1d(ours.original_genes, theirs.original_genes)
    if not np.isin(ours.original_genes[: len(ours.fitted.genes)], common).any():
        msg = "adata and the reference share no gene of the model. Read both with `mo.tl.transfer` again."
        raise ValueError(msg)
    missing = model_entry(adata, key).get("transfer", {}).get("missing", "model")
    units = []
    layers = counts_layer(adata, key, layer), counts_layer(reference, reference_key, reference_layer)
    for cells, source, its_layer in zip((adata, reference), (ours, theirs), layers, strict=True):
        n_genes, both = len(source.fitted.genes), np.isin(source.original_genes, common)
        fitted = restrict(source.fitted, both[:n_genes], both[n_genes:], missing=str(missing)).fitted  # type: ignore[arg-type]
        read = read_cells(cells, fitted, layer=its_layer)
        units.append(encode(fitted.network, read, batch_size=batch_size, device=device))
    used = np.ones(units[0].shape[1], dtype=bool) if all_units else _trusted_units(adata, key, units[0].shape[1])
    if not used.any():
        msg = "no unit can be read well enough from the genes of adata. Use all of them with all_units=True."
        raise ValueError(msg)
    return units[0][:, used], units[1][:, used]


def _trusted_units(adata: AnnData, key: str, n_units: int) -> NDArray[np.bool_]:
    """Which units can be read well enough from the genes at hand; all of a model that was trained on these cells."""
    entry = model_entry(adata, key).get("transfer")
    return np.ones(n_units, dtype=bool) if entry is None else np.asarray(entry["trusted"], dtype=bool)
