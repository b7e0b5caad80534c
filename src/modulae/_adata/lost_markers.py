"""A warning where the genes to train on lack those that mark groups of cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._counts.blocks import counts_of, some_rows
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.scores.markers import strongest_markers

from .features import gene_features

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray
    from scipy import sparse

CELLS = 5000
"""Cells that are looked at."""

MARKERS, HIGHER, MIN_CELLS = 5, np.log(2), 20
"""Genes that mark a group: at most so many, so much higher in the mean of log1p, in groups of so many cells or more."""

LOST = 2
"""Of these, the model lacks so many at least before it is said."""

MOST_GROUPS = 50
"""A column with more of them says something else."""


def warn_of_lost_markers(
    adata: AnnData, mask: NDArray[np.bool_], *, layer: str | None, advice: str, but: Sequence[str | None] = ()
) -> None:
    """Say which groups, of any categorical column, lose genes that mark them most.

    Parameters
    ----------
    adata
        Its counts have been checked.
    mask
        The genes to train on.
    layer
        Where the counts are.
    advice
        What to do about it.
    but
        Columns not to look at, such as that of batches.
    """
    columns = {name: column for name, column in _groupings(adata) if name not in but}
    if not columns or mask.all():
        return
    counts, rows = some_rows(counts_of(adata, layer)[0], CELLS, on_disk=CELLS)
    genes = gene_features(adata)
    lost = {name: _lost(adata, counts[:, genes], mask[genes], genes, column[rows]) for name, column in columns.items()}
    name = max(lost, key=lambda column: len(lost[column]))
    if not lost[name]:
        return
    said = listed((f"{group} ({', '.join(missing)})" for group, missing in lost[name].items()), 4)
    warnings.warn(
        f"the mask leaves out genes that mark {len(lost[name])} of {len(columns[name].categories)} groups of "
        f"adata.obs[{name!r}]: {said}. A model of the others never sees these genes. {advice}",
        UserWarning,
        stacklevel=user_stacklevel(),
    )


def _groupings(adata: AnnData) -> Iterator[tuple[str, pd.Categorical]]:
    """Categorical columns in memory with a few groups."""
    if not isinstance(adata.obs, pd.DataFrame):  # on disk
        return
    for name, column in adata.obs.items():
        if isinstance(column.dtype, pd.CategoricalDtype) and 1 < len(column.cat.categories) <= MOST_GROUPS:
            yield str(name), column.array


def _lost(
    adata: AnnData, counts: sparse.csr_matrix, mask: NDArray[np.bool_], genes: NDArray[np.bool_], column: pd.Categorical
) -> dict[str, list[str]]:
    """Group → its markers that the mask leaves out, where these are many."""
    names = np.asarray(adata.var_names)[genes]
    found = strongest_markers(counts, np.asarray(column.codes), n=MARKERS, least=HIGHER, min_cells=MIN_CELLS)
    missing = {
        str(column.categories[group]): [str(names[gene]) for gene in of if not mask[gene]]
        for group, of in found.items()
    }
    return {group: these for group, these in missing.items() if len(these) >= LOST}
