"""Which donors are compared with which, and how: in pairs, or side against side, with covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .moments import Moments

FEWEST_DONORS = 2
"""On each side, or in pairs."""


@dataclass(frozen=True, slots=True)
class Design:
    """A linear model of donors' means (side against side) or of their own differences (pairs)."""

    paired: bool
    group: NDArray[np.intp]  # donors of the group
    reference: NDArray[np.intp]  # donors of the reference; the same if paired
    columns: NDArray[np.float64]  # rows × coefficients, the first is the effect
    noise: NDArray[np.float64]  # rows: variance of a value that comes from cells, if the variance over cells is 1

    @property
    def freedom(self) -> int:
        """Residual degrees of freedom."""
        return self.columns.shape[0] - self.columns.shape[1]

    @property
    def has_covariates(self) -> bool:
        """Whether there is more than the effect and, without pairs, the mean."""
        return self.columns.shape[1] > (1 if self.paired else 2)

    def values(self, group: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows × values of the model, from what each donor has on either side (donors × values)."""
        if self.paired:
            return np.asarray(group[self.group] - reference[self.reference])
        return np.concatenate([group[self.group], reference[self.reference]])


def design_of(group: Moments, reference: Moments) -> Design | str:
    """The model of two sides, from what is known of each donor there; or why there is none.

    Donors with cells on both sides are pairs, and where these are at least half of the donors, the others are left out.
    Where they are fewer, there are no pairs, and such a donor belongs to the side on which it has more cells.

    Parameters
    ----------
    group, reference
        Donors × covariates on either side; a donor may have no cell there.
    """
    there = group.n > 0, reference.n > 0
    both, any_side = there[0] & there[1], there[0] | there[1]
    if both.sum() >= FEWEST_DONORS and 2 * both.sum() >= any_side.sum():
        pairs = np.flatnonzero(both)
        noise = 1 / group.n[pairs] + 1 / reference.n[pairs]
        covariates = group.mean[pairs] - reference.mean[pairs]
        return _with_covariates(True, pairs, pairs, np.ones((len(pairs), 1)), covariates, noise)
    larger = group.n >= reference.n
    first, second = (np.flatnonzero(mine) for mine in (there[0] & larger, there[1] & ~larger))
    if min(len(first), len(second)) < FEWEST_DONORS:
        return f"{len(first)} and {len(second)} donors; a side needs {FEWEST_DONORS}"
    columns = np.ones((len(first) + len(second), 2))
    columns[len(first) :, 0] = 0
    noise = np.concatenate([1 / group.n[first], 1 / reference.n[second]])
    covariates = np.concatenate([group.mean[first], reference.mean[second]])
    return _with_covariates(False, first, second, columns, covariates, noise)


def _with_covariates(  # noqa: PLR0913, PLR0917
    paired: bool,  # noqa: FBT001
    group: NDArray[np.intp],
    reference: NDArray[np.intp],
    columns: NDArray[np.float64],
    covariates: NDArray[np.float64],
    noise: NDArray[np.float64],
) -> Design | str:
    """Add the covariates that say something new, unless they leave nothing of the effect or of the donors."""
    rank = np.linalg.matrix_rank
    if covariates.shape[1]:
        scale = np.abs(covariates).max(axis=0)
        others = columns[:, 1:]
        kept: list[NDArray[np.float64]] = []
        for column in (covariates / np.where(scale > 0, scale, 1.0)).T:
            with_it = np.column_stack([others, *kept, column])
            if rank(with_it) > others.shape[1] + len(kept):
                kept.append(column)
        adjusted = np.column_stack([others, *kept]) if kept else others
        if rank(np.column_stack([columns[:, 0], adjusted])) == adjusted.shape[1]:
            return "the covariates tell the sides apart, so that nothing is left to compare"
        columns = np.column_stack([columns[:, 0], adjusted])
    if len(columns) <= columns.shape[1]:
        return f"{len(columns)} donors for {columns.shape[1]} coefficients"
    return Design(paired, group, reference, columns, noise)
