"""The programmes of a start that is large enough, from starts of more parts.

More parts hardly find more programmes, but they keep those apart that often run together, which a start of few parts
makes one unit of. They also cut what all cells share into other pieces in each half, and so lose it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae.core.factorisation.read import read_parts
from modulae.core.scores.correlation import correlation

from .agree import MIN_SIMILARITY
from .explained import within_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from .agree import Agreed
    from .explained import HeldOut
    from .tried import Tried

SURE = 3.0
"""By how many standard errors a larger start must explain held-out cells better."""


def from_larger(
    taken: Tried, larger: Sequence[Tried], inputs: sparse.csr_matrix, held_out: HeldOut
) -> tuple[Tried, list[Tried]]:
    """The units of a larger start, if these and those of the taken one that it lacks explain held-out cells better.

    It must explain more for sure, and if it has more units, more than a hundredth more. Also returns all the larger
    starts with what they lacked.
    """
    whole = []
    for each in larger:
        whole.append(_completed(each, taken.agreed, inputs, held_out))
        better = not within_noise(taken.errors, whole[-1].errors, SURE)
        if better and (whole[-1].counted.sum() <= taken.counted.sum() or taken.worth_it(whole[-1])):
            taken = whole[-1]
    return taken, whole


def _completed(tried: Tried, others: Agreed, inputs: sparse.csr_matrix, held_out: HeldOut) -> Tried:
    """With those of other units that are like none of its own, one by one, as long as they explain more."""
    missing = np.flatnonzero(_alike(tried.agreed, others, inputs).max(axis=0, initial=0) < MIN_SIMILARITY).tolist()
    while missing:
        each = [tried.with_unit(others.take(np.array([unit])), held_out) for unit in missing]
        best = int(np.argmin([one.errors.mean() for one in each]))
        if not tried.worth_it(each[best]):
            break
        tried = each[best]
        del missing[best]
    return tried


def _alike(own: Agreed, others: Agreed, inputs: sparse.csr_matrix) -> NDArray[np.float64]:
    """Own units × others: how alike their loadings are, or their activities if these are less alike."""
    from sklearn.metrics.pairwise import cosine_similarity

    first, second = (read_parts(inputs, units.loadings.astype(np.float32)) for units in (own, others))
    return np.asarray(np.minimum(cosine_similarity(own.loadings, others.loadings), correlation(first, second)))
