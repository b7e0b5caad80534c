"""How differences in impact between groups are to be tested: what was asked for, checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._adata.columns.labels import read_labels
from modulae._utils.reach import warn_out_of_reach
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.checks import check_choice, check_integer, check_seed
from modulae.core.statistics.differences.donors import donor_design
from modulae.core.statistics.permutation import share_of_ways
from modulae.core.statistics.tails import smallest_tail_p

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast

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
        An unknown null, too few permutations, strata and donors together, or either where nothing is tested.
    """
    check_choice("null", null, Null, none="for no p-values")
    check_seed(seed)
    check_integer("n_permutations", n_permutations, minimum=1, give="a whole number, 1000 or more for small p-values")
    untested = "donor_key" if donor_key is not None else "stratify_by" if stratify_by is not None else None
    if null is None and untested is not None:
        msg = (
            f"{untested}= says how groups are tested, and nothing is: that needs groupby=, a null and "
            f"the mean over genes (explanation=). Name the groups, or leave out {untested}=."
        )
        raise ValueError(msg)
    if stratify_by is not None and null == "matched":
        msg = "stratify_by= permutes cells, null='matched' exchanges genes only. Leave out one of them."
        raise ValueError(msg)
    if stratify_by is not None and donor_key is not None:
        msg = "stratify_by= permutes cells, donor_key= permutes donors. Give one of them."
        raise ValueError(msg)
    strata = None if stratify_by is None else codes(adata, stratify_by, "stratify_by")
    donors = None if donor_key is None else codes(adata, donor_key, "donor_key")
    return Test(null, n_permutations, strata, donors, seed)


def codes(adata: AnnData, column: str, argument: str) -> NDArray[np.intp]:
    """The categories of an `obs` column as numbers from 0; −1 where there is none."""
    what = {"donor_key": "donors"}.get(argument, "strata")
    labels = read_labels(adata, column, argument, what=what, most_numbers=None)
    n_values, n_cells = len(labels.names), len(labels.codes)
    if n_values > n_cells / 2:
        msg = (
            f"adata.obs[{column!r}] has {n_values} values for {n_cells} cells, so {argument}= would group hardly any. "
            "Name a column that many cells share."
        )
        raise ValueError(msg)
    return labels.codes


def check_sides(test: Test, plan: Contrast | None) -> None:
    """Refuse comparisons without two donors on each side, and say where nothing can be found whatever the data.

    Raises
    ------
    ValueError
        Too few donors.
    """
    if plan is None or test.null is None:
        return
    if test.null != "cells" or test.donors is None:
        n = test.n_permutations
        why = f"n_permutations={n} is too few"
        warn_out_of_reach(smallest_tail_p(n), why=why, instead="Take 1000 or more, or leave it out.")
    ways, fixed = [], []
    for group, inside, others in zip(plan.groups, plan.members, plan.reference_members, strict=True):
        if test.donors is not None:
            try:
                donor_design(inside, others, test.donors)
            except ValueError as error:
                msg = f"group {group!r}: {error}"
                raise ValueError(msg) from error
        elif test.strata is not None and not np.intersect1d(test.strata[inside], test.strata[others]).size:
            fixed.append(group)
        elif test.null != "matched":
            ways.append(share_of_ways(inside, others, test.strata))
    if ways:
        warn_out_of_reach(
            min(ways), why="so few cells can be permuted in few ways only", instead="Compare groups of more cells."
        )
    if fixed:
        warnings.warn(
            f"no category of stratify_by= has cells of both sides for {listed(fixed)}: no label can be permuted, so "
            "that p is 1. Stratify by what both sides share, or not at all.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
