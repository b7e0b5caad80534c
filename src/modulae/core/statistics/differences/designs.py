"""Which donors are compared with which, and how: in pairs, or side against side, with covariates."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    group: NDArray[np.intp]  # donors of the group
    reference: NDArray[np.intp]  # donors of the reference; the same if paired
    columns: NDArray[np.float64]  # rows × coefficients, the first is the effect
    noise: NDArray[np.float64]  # rows: variance of a value that comes from cells, if the variance over cells is 1
    paired: bool

    @property
    def freedom(self) -> int:
        """Residual degrees of freedom."""
        return int(self.columns.shape[0] - self.columns.shape[1])

    @property
    def has_covariates(self) -> bool:
        """Whether there is more than the effect and, without pairs, the mean."""
        return bool(self.columns.shape[1] > (1 if self.paired else 2))

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
        plain = Design(group=pairs, reference=pairs, columns=np.ones((len(pairs), 1)), noise=noise, paired=True)
        return _with_covariates(plain, plain.values(group.mean, reference.mean))
    larger = group.n >= reference.n
    first, second = (np.flatnonzero(mine) for mine in (there[0] & larger, there[1] & ~larger))
    if min(len(first), len(second)) < FEWEST_DONORS:
        return f"{len(first)} and {len(second)} donors; a side needs {FEWEST_DONORS}"
    columns = np.ones((len(first) + len(second), 2))
    columns[len(first) :, 0] = 0
    noise = np.concatenate([1 / group.n[first], 1 / reference.n[second]])
    plain = Design(group=first, reference=second, columns=columns, noise=noise, paired=False)
    return _with_covariates(plain, plain.values(group.mean, reference.mean))


def _with_covariates(plain: Design, covariates: NDArray[np.float64]) -> Design | str:
    """Add the covariates that say something new, unless they leave nothing of the effect or of the donors."""
    rank = np.linalg.matrix_rank
    columns = plain.columns
    if covariates.shape[1]:
        scale = np.abs(covariates).max(axis=0)
        others = columns[:, 1:]
        for column in (covariates / np.where(scale > 0, scale, 1.0)).T:
            more = np.column_stack([others, column])
            others = more if rank(more) == more.shape[1] else others
        columns = np.column_stack([columns[:, :1], others])
        if rank(columns) < columns.shape[1]:
            return "the covariates tell the sides apart, so that nothing is left to compare"
    if len(columns) <= columns.shape[1]:
        return f"{len(columns)} donors for {columns.shape[1]} coefficients"
    return replace(plain, columns=columns)
