"""Models as files that can be handed on: weights in safetensors, all else as JSON in its header; no pickle."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.gene_names import identifiers
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import read_model
from modulae._utils.by_name import by_name
from modulae._utils.files import check_writable, write_whole
from modulae._utils.text import counted, listed
from modulae.core.model.fitted import Fitted

from .known_units import KnownUnits
from .plain_values import filled, plain

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

MODEL_FORMAT = "modulae model"
FORMAT_VERSION = 2
"""Raised when a reader of the version before could not, or not rightly, read the file. A file is of the oldest version
that can: 2 knows batches, and without them 1 is written."""


@dataclass(frozen=True, slots=True, repr=False)
class TrainedModel:
    """A model apart from the cells it was trained on, for :func:`modulae.tl.transfer`.

    Made by :func:`modulae.load_model`.
    """

    fitted: Fitted
    gene_ids: NDArray[np.str_] | None = None  # of the genes of the model, and of the others it knows
    species: str | None = None
    made_with: str = ""
    known: KnownUnits = field(default_factory=KnownUnits)

    def __repr__(self) -> str:
        """What one wants to know of it before using it."""
        fitted = self.fitted
        return (
            f"TrainedModel: architecture {fitted.network.architecture!r}, {counted(fitted.network.n_units, 'unit')}, "
            f"{counted(len(fitted.genes), 'gene')} ({listed(fitted.genes, 3)}), trained on "
            f"{fitted.training.n_cells} cells{f' of {self.species}' if self.species else ''}"
            f"{f' in {len(fitted.batches)} batches' if len(fitted.batches) else ''}"
            f"{f', modulae {self.made_with}' if self.made_with else ''}"
        )


@public
def save_model(
    adata: AnnData,
    path: str | os.PathLike[str],
    *,
    key: str = DEFAULT_KEY,
    gene_ids: str | None = None,
    species: str | None = None,
) -> None:
    """Write a trained model to a file, without any cell.

    The file holds the weights, the names of the genes, the settings, the history of the training, means and second
    moments over the training cells, and what is known of the units: their names, gene sets, reproducibility and
    :func:`modulae.get.edits`. It is a safetensors file (:doc:`/guide/transfer`). An existing file is replaced once the
    new one is complete.

    Parameters
    ----------
    {adata}
    path
        Where to write, such as `"blood.safetensors"`.
    {key}
    gene_ids
        Column of `adata.var` with identifiers, such as Ensembl's, to be kept beside the names. `None`: the column
        `"gene_ids"` (as :func:`scanpy.read_10x_h5` calls it) where there is one.
    species
        Whose genes, such as `"human"`; said to whoever opens the file, and used for nothing else.

    Raises
    ------
    KeyError
        No such model or column.

    See Also
    --------
    modulae.load_model : Reads the file.
    modulae.tl.transfer : Encode other cells with it.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.save_model(adata, "blood.safetensors", species="human")
    """
    known = KnownUnits.of(adata, key)
    fitted = known.named(read_model(adata, key))
    ids = identifiers(adata, fitted.known_genes, gene_ids)
    model = fitted.as_dict()
    tensors: dict[str, NDArray[Any]] = {}
    header = {
        "format_version": FORMAT_VERSION if len(fitted.batches) else 1,
        "modulae": version("modulae"),
        "species": species,
        "gene_ids": None if ids is None else [str(gene) for gene in ids],
        "params": plain(fitted.config.as_dict(), "params", tensors),
        "history": plain(fitted.history.as_dict(), "history", tensors),
        "model": plain(model, "model", tensors),
        "units": plain(known.as_dict(), "units", tensors),
    }
    _write(Path(path), header, tensors)


@by_name
def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model that :func:`modulae.save_model` wrote.

    Nothing in the file is run; reading and using it needs NumPy alone.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    The model, to be given to :func:`modulae.tl.transfer`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is truncated, changed, of another kind, or of a format newer than this version knows.

    See Also
    --------
    modulae.tl.transfer : Encode cells with it.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.save_model(adata, "blood.safetensors")
    >>> mo.load_model("blood.safetensors").species is None
    True
    """
    header, tensors = _read(Path(path))
    history = filled(header["history"], "history", tensors)
    model = filled(header["model"], "model", tensors)
    ids = header["gene_ids"]
    return TrainedModel(
        Fitted.from_dict(model, header["params"], history),
        gene_ids=None if ids is None else np.array(ids, dtype=str),
        species=header["species"],
        made_with=header["modulae"],
        known=KnownUnits.from_dict(filled(header.get("units", {}), "units", tensors)),
    )


def model_fingerprint(fitted: Fitted) -> str:
    """Name of a model by what it does: equal for equal weights and genes, wherever they are kept."""
    arrays = {name: np.asarray(value) for name, value in fitted.network.as_dict().items() if name != "architecture"}
    return _checksum(json.dumps([fitted.network.architecture, fitted.genes.tolist()]), arrays)[:16]


def _write(path: Path, header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> None:
    from safetensors.numpy import save

    text = json.dumps(header, allow_nan=True)
    about = {"format": MODEL_FORMAT, "modulae": text, "sha256": _checksum(text, tensors)}
    content = save(tensors, metadata=about)
    check_writable(path, "such as 'model.safetensors'")
    write_whole(path, content)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        msg = f"there is no file {str(path)!r}. Write one with `mo.save_model(adata, path)`."
        raise FileNotFoundError(msg)
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        msg = (
            f"{str(path)!r} is truncated, or no safetensors file ({error}). Copy it again from where it came; if it is "
            "an AnnData file, read it: `sc.read_h5ad(path)`."
        )
        raise ValueError(msg) from error
    if about.get("format") != MODEL_FORMAT or "modulae" not in about:
        msg = f"{str(path)!r} is a safetensors file, but no model of modulae. Give one that `mo.save_model` wrote."
        raise ValueError(msg)
    header = _parsed(about["modulae"])
    newer = header.get("format_version", 0)
    if isinstance(newer, int) and newer > FORMAT_VERSION:
        msg = (
            f"{str(path)!r} has format {newer}; this version reads up to {FORMAT_VERSION}. Update: "
            "`pip install --upgrade modulae`."
        )
        raise ValueError(msg)
    if about.get("sha256") != _checksum(about["modulae"], tensors):
        msg = f"{str(path)!r} was changed after it was written: its checksum is wrong. Copy it again from its source."
        raise ValueError(msg)
    return header, tensors


def _parsed(text: str) -> dict[str, Any]:
    """The header; an empty one where the text is broken, which the checksum then says."""
    try:
        header = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return header if isinstance(header, dict) else {}


def _checksum(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
