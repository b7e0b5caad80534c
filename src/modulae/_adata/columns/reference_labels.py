"""Labels of reference cells, and the colours they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .labels import read_labels

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray

UNKNOWN = "unknown"
"""What a cell is called that no label fits."""


def reference_labels(reference: AnnData, labels: str) -> tuple[list[str], NDArray[np.intp]]:
    """Names of the labels, and the label of each cell, −1 where it has none."""
    result = read_labels(reference, labels, "labels", of="reference")
    names = result.names
    if len(names) < 2:
        msg = f"reference.obs[{labels!r}] has {len(names)} label; two or more are needed. Name another column."
        raise ValueError(msg)
    if UNKNOWN in names:
        msg = f"reference.obs[{labels!r}] has a label {UNKNOWN!r}. Rename it, or make it missing to leave it out."
        raise ValueError(msg)
    return names, result.codes


def reference_colours(reference: AnnData, labels: str, names: list[str]) -> list[str] | None:
    """The colours that scanpy has stored for these labels, if it has."""
    colours: Any = reference.uns.get(f"{labels}_colors")
    if colours is None:
        return None
    every = read_labels(reference, labels, "labels", of="reference", unused=True).names
    if len(colours) != len(every):
        return None
    of = dict(zip(every, map(str, colours), strict=True))
    return [of[label] for label in names]
