"""Standard errors and p-values of the differences in impact between groups."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from modulae.core.donors import compare_donors
from modulae.core.nulls import compare_cells, expression_bins, matched_sets
from modulae.core.set_values import set_indicator, set_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae._groups import Contrast
    from modulae.core.batches import Cells
    from modulae.core.fitted import Fitted
    from modulae.core.network import Method

Null = Literal["matched+cells", "matched", "cells"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the saliency is read, see :func:`modulae.core.saliency.mean_saliency`."""

    method: Method
    signed: bool
    batch_size: int
    device: str


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
    if isinstance(n_permutations, bool) or not isinstance(n_permutations, int) or n_permutations < 1:
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
    return np.asarray(adata.obs[column].astype("category").cat.codes, dtype=np.intp)


def compare_groups(
    fitted: Fitted,
    cells: Cells,
    plan: Contrast,
    *,
    saliency: NDArray[np.float32],
    sets: list[NDArray[np.intp]],
    test: Test,
    reading: Reading,
) -> dict[str, NDArray[np.float32]]:
    """Statistics of every group against its reference.

    Parameters
    ----------
    fitted, cells
        The model and the cells as it reads them.
    plan
        Which groups.
    saliency
        2 · groups × genes × units: the mean saliency of the groups, then of their references.
    sets
        Positions of the genes of each set.
    test
        How to test.
    reading
        How to read the saliency.

    Returns
    -------
    groups × sets × (units + 1), the last for the sum over units: `effect`, `se`, `p`, `q`, and, as far as they were
    asked for, `p_cells`, `p_matched`, `null_mean`; with donors `effect_lowest` and `effect_highest`.
    """
    indicator = set_indicator(sets, len(fitted.genes))
    n_groups, shape = len(plan.groups), (len(sets), fitted.network.n_units + 1)
    # how strongly a gene is read depends on all the cells the model saw, not only on those compared
    bins = expression_bins(*_expression(cells.counts))
    found: dict[str, list[NDArray[np.float64]]] = {}
    for at in range(n_groups):
        rng = np.random.default_rng([test.seed, at])
        used = np.flatnonzero(plan.members[at] | plan.reference_members[at])
        compared = cells.take(used)
        sides = plan.members[at][used], plan.reference_members[at][used]
        result = _over_cells(_flat(fitted, compared, indicator, reading), *sides, test.among(used), rng)
        if test.null != "cells":
            difference = (saliency[at] - saliency[n_groups + at]).astype(np.float64)
            difference = np.column_stack([difference, difference.sum(axis=1)])
            p, centre = matched_sets(difference, indicator, bins, n_permutations=test.n_permutations, rng=rng)
            result |= {"p_matched": p.ravel(), "null_mean": centre.ravel()}
        result["p"] = _together(result, test.null)
        for name, values in result.items():
            found.setdefault(name, []).append(values.reshape(shape))
    stacked = {name: np.stack(values) for name, values in found.items()}
    stacked["q"] = _false_discovery_rates(stacked["p"])
    return {name: values.astype(np.float32) for name, values in stacked.items()}


def _flat(
    fitted: Fitted, cells: Cells, indicator: NDArray[np.float32], reading: Reading
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    for rows, block in set_values(fitted.network, cells, indicator, **asdict(reading)):
        yield rows, block.reshape(len(block), -1)


def _over_cells(
    values: Iterator[tuple[slice, NDArray[np.float32]]],
    group: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    test: Test,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    if test.donors is not None:
        over = compare_donors(values, group, reference, test.donors, n_permutations=test.n_permutations, rng=rng)
        return {
            "effect": over.effect,
            "se": over.standard_error,
            "p_cells": over.p,
            "effect_lowest": over.lowest,
            "effect_highest": over.highest,
        }
    n_permutations = 1 if test.null == "matched" else test.n_permutations
    cells = compare_cells(values, group, reference, n_permutations=n_permutations, rng=rng, strata=test.strata)
    result = {"effect": cells.effect, "se": cells.standard_error}
    return result if test.null == "matched" else {**result, "p_cells": cells.p}


def _together(result: dict[str, NDArray[np.float64]], null: Null | None) -> NDArray[np.float64]:
    """The larger p; 1 where the two nulls disagree about the direction."""
    if null == "cells":
        return result["p_cells"]
    if null == "matched":
        return result["p_matched"]
    larger = np.maximum(result["p_cells"], result["p_matched"])
    agree = np.sign(result["effect"]) == np.sign(result["effect"] - result["null_mean"])
    return np.where(agree, larger, 1.0)


def _false_discovery_rates(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Benjamini–Hochberg over all groups and sets: for the sums over units, and for all units together."""
    from scipy.stats import false_discovery_control

    q = np.empty_like(p)
    for part in (slice(None, -1), slice(-1, None)):
        q[..., part] = false_discovery_control(p[..., part], axis=None).reshape(p[..., part].shape)
    return q


def _expression(counts: sparse.csr_matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean count of each gene, and the share of the cells that have it."""
    seen = np.bincount(counts.indices[counts.data > 0], minlength=counts.shape[1])
    mean = np.asarray(counts.sum(axis=0, dtype=np.float64)).ravel() / counts.shape[0]
    return mean, seen / counts.shape[0]
