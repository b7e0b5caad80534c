"""What starts of one size gave, and which of them is large enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .explained import explained, within_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .agree import Agreed
    from .explained import HeldOut

ENOUGH = 0.99
"""Share of the best explained variance that is as good as the best: where there is little noise, less still counts."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What starts of one size gave."""

    size: int  # parts that were looked for in each half
    agreed: Agreed  # the units that replicate
    counted: NDArray[np.bool_]  # units: those that the size is judged by
    errors: NDArray[np.float64]  # held-out cells: squared errors with these alone
    n_single: int  # units left out because they are hardly more than one gene

    def with_unit(self, one: Agreed, held_out: HeldOut) -> Tried:
        """These and one unit more, which counts."""
        agreed, counted = self.agreed.joined(one), np.append(self.counted, True)
        return Tried(self.size, agreed, counted, held_out.errors(agreed.loadings[counted]), self.n_single)

    def worth_it(self, more: Tried) -> bool:
        """Whether more units explain more: beyond noise, and by more than a hundredth."""
        enough = explained(self.errors) >= ENOUGH * explained(more.errors)
        return not enough and not within_noise(self.errors, more.errors)


def fewest_enough(tried: Sequence[Tried]) -> Tried:
    """The fewest units that explain held-out cells as well as the best: within noise, or within a hundredth of it.

    Of sizes with as many units that count, the smallest.
    """
    best = min(tried, key=lambda each: each.errors.mean())
    enough = 1 - ENOUGH * (1 - best.errors.mean())
    good = [each for each in tried if each.errors.mean() <= enough or within_noise(each.errors, best.errors)]
    return min(good, key=lambda each: (each.counted.sum(), each.size))
