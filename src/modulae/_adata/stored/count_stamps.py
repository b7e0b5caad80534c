"""Which counts a model has read of its cells, kept so that other counts are noticed later.

A stamp for the counts of each cell, and one for these together with the cell's row of the representation, which goes
where the cell goes: so counts that have changed rows are noticed, and cells may be left out, joined with others, or
come in another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from .fields import Fields
from .lazy_results import loaded
from .ownership import COUNT_STAMPS, ROW_STAMPS, among, is_model, mixed, stamp_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def stored_stamps(counts: NDArray[np.uint64], representation: Any) -> NDArray[np.uint32]:  # noqa: ANN401
    """2 × cells, each ascending: of the counts alone, and of the counts with the representation."""
    return np.sort(np.stack([_short(counts), _with_row(counts, stamp_rows(representation))]), axis=1)


def _short(counts: NDArray[np.uint64]) -> NDArray[np.uint32]:
    return (mixed(counts) >> np.uint64(32)).astype(np.uint32)


def _with_row(counts: NDArray[np.uint64], rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _short(mixed(counts) ^ mixed(rows.astype(np.uint64) + np.uint64(1)))


@dataclass(frozen=True, slots=True)
class KnownCounts:
    """What a model says of the counts of an `AnnData`."""

    genes: pd.Index[str]  # of the model
    alone: NDArray[np.uint32]  # ascending
    with_row: NDArray[np.uint32]  # ascending
    rows: NDArray[np.uint32]  # ascending: of the representation
    representation: NDArray[Any] | None  # cells × units; `None`: not there

    @classmethod
    def of(cls, adata: AnnData, key: str) -> Self | None:
        """`None` where there is no such model, or one that was written before these stamps were."""
        entry = adata.uns.get(key)
        if not is_model(entry) or not {ROW_STAMPS, COUNT_STAMPS} <= set(entry) or "genes" not in entry["model"]:
            return None
        alone, with_row = np.asarray(loaded(entry[COUNT_STAMPS]))
        genes = pd.Index([str(gene) for gene in loaded(entry["model"]["genes"])])  # zarr brings back another text
        values = np.asarray(adata.obsm.get(Fields(key).representation))
        numbers = values.ndim == 2 and values.dtype.kind in "biuf"
        return cls(genes, alone, with_row, np.asarray(loaded(entry[ROW_STAMPS])), values if numbers else None)

    def foreign(self, counts: NDArray[np.uint64], cells: NDArray[np.intp]) -> int:
        """How many of these cells have other counts than the model has read.

        Only cells with their own row of the representation are held to it: others may have joined since. Where there
        are none, the counts of one cell at least must be known.
        """
        if self.representation is not None:
            rows = stamp_rows(self.representation[cells])
            own = among(rows, self.rows)
            if own.any():
                return int((~among(_with_row(counts[own], rows[own]), self.with_row)).sum())
        telling = counts[counts > 0]  # a cell without counts is like any other
        return len(telling) if not among(_short(telling), self.alone).any() else 0
