"""How differences in impact between groups are to be tested: what was asked for, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ._anndata import obs_column
from .core.checks import check_seed, is_whole

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

Null = Literal["matched+cells", "matched", "cells"]


@dataclass(frozen=True, slots=True)
class Test:
    """How the differences between groups are tested."""

    null: Null | None
    n_permutations: int
    strata: NDArray[np.intp] | None  # cells
    donors: NDArray[np.intp] | None  # cells; −1 where not known
    seed: int

    def among(self, cells: NDArray[np.intp]) -> Test:
        """The same for these cells."""
        strata, donors = (None if numbers is None else numbers[cells] for numbers in (self.strata, self.donors))
        return replace(self, strata=strata, donors=donors)


def plan_test(
    adata: AnnData,
    null: Null | None,
    *,
    n_permutations: int,
    stratify_by: str | None,
    donor_key: str | None,
    seed: int,
) -> Test:
    """Check what was asked for, and read the columns.

    Raises
    ------
    KeyError
        An unknown column.
    ValueError
        An unknown null, too few permutations, or strata and donors together.
    """
    if null is not None and null not in get_args(Null):
        msg = f"null is {null!r}; choose one of {list(get_args(Null))}, or None for no p-values."
        raise ValueError(msg)
    check_seed(seed)
    if not is_whole(n_permutations) or n_permutations < 1:
        msg = f"n_permutations is {n_permutations!r}; give a whole number, 1000 or more for small p-values."
        raise ValueError(msg)
    if stratify_by is not None and donor_key is not None:
        msg = "stratify_by= permutes cells, donor_key= permutes donors. Give one of them."
        raise ValueError(msg)
    strata = None if stratify_by is None else codes(adata, stratify_by, "stratify_by")
    donors = None if donor_key is None else codes(adata, donor_key, "donor_key")
    return Test(null, n_permutations, strata, donors, seed)


def codes(adata: AnnData, column: str, argument: str) -> NDArray[np.intp]:
    """The categories of an `obs` column as numbers from 0; −1 where there is none."""
    if column not in adata.obs:
        msg = f"{argument}={column!r} is no column of adata.obs. Choose one of {list(adata.obs)}."
        raise KeyError(msg)
    return np.asarray(obs_column(adata, column).astype("category").cat.codes, dtype=np.intp)
