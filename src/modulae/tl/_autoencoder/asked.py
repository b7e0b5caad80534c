"""What the user wants of the replication, checked before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._adata.columns.labels import read_labels
from modulae._utils.text import counted
from modulae.core.checks import check_integer
from modulae.core.training.replication.halves import check_donors

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

N_SPLITS = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants of the replication."""

    n_splits: int
    n_latent: int | None  # the most that is looked for; None: as many as explain more
    max_cells: int
    donors: NDArray[np.int64] | None  # cells
    replicate_over: str | None


def asked_replication(
    adata: AnnData,
    architecture: str,
    n_latent: int | Literal["auto"],
    *,
    n_splits: int | None,
    max_cells: int,
    replicate_over: str | None,
) -> Asked | None:
    """What was asked for; `None` where the model is trained once.

    Raises
    ------
    ValueError
        Settings that make no sense together.
    KeyError
        No such `obs` column.
    """
    if n_splits is not None:
        check_integer("n_splits", n_splits, minimum=0)
    if n_latent != "auto":
        check_integer("n_latent", n_latent, minimum=1)
    check_integer("max_cells", max_cells, minimum=100)
    if architecture == "orthogonal" and (n_splits or replicate_over is not None):
        given = "n_splits" if replicate_over is None else "replicate_over"
        msg = (
            "units of architecture='orthogonal' do not come back in another half of the cells. "
            f"Leave out {given}=, or take architecture='parts'."
        )
        raise ValueError(msg)
    splits = (N_SPLITS if n_splits is None else n_splits) if architecture == "parts" else 0
    if replicate_over is not None and not splits:
        msg = "replicate_over needs halves of the cells, and n_splits=0 makes none. Leave one of them out."
        raise ValueError(msg)
    if not splits:
        return None
    donors = None if replicate_over is None else _donors(adata, replicate_over)
    return Asked(splits, None if n_latent == "auto" else int(n_latent), max_cells, donors, replicate_over)


def _donors(adata: AnnData, replicate_over: str) -> NDArray[np.int64]:
    labels = read_labels(adata, replicate_over, "replicate_over", what="donors")
    if labels.n_missing:
        column = f"adata.obs[{replicate_over!r}]"
        msg = (
            f"{counted(labels.n_missing, 'cell has', 'cells have')} no donor in {column}, and cannot be in "
            "either half. Give them one, or leave these cells out: `adata = "
            f"adata[{column}.notna()].copy()`."
        )
        raise ValueError(msg)
    check_donors(len(labels.names), "")
    return np.asarray(labels.codes, dtype=np.int64)
