"""The programmes of a start that is large enough, from starts of more parts.

More parts hardly find more programmes, but they keep those apart that often run together, which a start of few parts
makes one unit of. They also cut what all cells share into other pieces in each half, and so lose it.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.factorisation.read import read_parts
from modulae.core.scores.correlation import correlation

from .agree import MIN_SIMILARITY
from .explained import explained, within_noise
from .tried import ENOUGH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy import sparse

    from .agree import Agreed
    from .explained import HeldOut
    from .side_by_side import Run
    from .tried import Tried

SURE = 3.0
"""By how many standard errors a larger start must explain held-out cells better."""


def from_larger(
    taken: Tried, larger: Sequence[Tried], inputs: sparse.csr_matrix, held_out: HeldOut, run: Run
) -> tuple[Tried, list[Tried]]:
    """The units of a larger start, if these and those of the taken one that it lacks explain held-out cells better.

    It must explain more for sure, and a hundredth more for each unit that it has more. Also returns all the larger
    starts with what they lacked. `run` carries out several calls at a time.
    """
    whole = []
    for each in larger:
        whole.append(_completed(each, taken.agreed.take(taken.counted), inputs, held_out, run))
        n_more = max(0, int(whole[-1].counted.sum() - taken.counted.sum()))
        enough = explained(taken.errors) >= ENOUGH**n_more * explained(whole[-1].errors)
        if not enough and not within_noise(taken.errors, whole[-1].errors, SURE):
            taken = whole[-1]
    return taken, whole


def _completed(tried: Tried, others: Agreed, inputs: sparse.csr_matrix, held_out: HeldOut, run: Run) -> Tried:
    """With those of other units that none that counts stands for, one by one, as long as they explain more.

    The one that explains most comes first. What a unit explained beside fewer others is taken for the most that it can
    explain beside more, so that only the next best has to be tried again.
    """
    own, rest = tried.agreed.take(tried.counted), tried.agreed.take(~tried.counted)
    start = whole = replace(tried, agreed=own, counted=np.ones(len(own.loadings), dtype=bool))
    missing = [others.take(np.array([unit])) for unit in np.flatnonzero(_new(others, own, inputs))]
    first = run([(start.with_unit, (one, held_out)) for one in missing])
    best = [(with_it.errors.mean() - start.errors.mean(), i, start, with_it) for i, with_it in enumerate(first)]
    heapify(best)
    while best:
        _, i, beside, with_it = heappop(best)
        if beside is not whole:
            with_it = whole.with_unit(missing[i], held_out)
            heappush(best, (with_it.errors.mean() - whole.errors.mean(), i, whole, with_it))
        elif whole.worth_it(with_it):
            whole = with_it
        else:
            break
    more = rest.take(_new(rest, whole.agreed, inputs))
    none = np.zeros(len(more.loadings), dtype=bool)
    return replace(whole, agreed=whole.agreed.joined(more), counted=np.append(whole.counted, none))


def _new(units: Agreed, known: Agreed, inputs: sparse.csr_matrix) -> NDArray[np.bool_]:
    """Which units are like none of the known: by their loadings, or their activities if these are less alike."""
    from sklearn.metrics.pairwise import cosine_similarity

    if not len(units.loadings) or not len(known.loadings):
        return np.ones(len(units.loadings), dtype=bool)
    first, second = (read_parts(inputs, each.loadings.astype(np.float32)) for each in (units, known))
    alike = np.minimum(cosine_similarity(units.loadings, known.loadings), correlation(first, second))
    return np.asarray(alike.max(axis=1) < MIN_SIMILARITY)
