"""Call every unit on or off in every cell, and say where the counts do not allow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from modulae.core.data.map_reduce import map_cells
from modulae.core.fallback import Fallback
from modulae.core.scores.expression_bins import expression_bins, expression_of, shuffled_within

from .evidence import ControlEvidence, Evidence, probes, rates_to_counts
from .likeness import likeness
from .threshold import threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.network import Network

POWER = 0.9
"""How often a unit that is as active as usual has to be called in a cell for "off" to mean something there."""


@dataclass(frozen=True, slots=True)
class UnitCalls:
    """Where each unit is on."""

    on: NDArray[np.bool_]  # cells × units
    callable: NDArray[np.bool_]  # cells × units: whether the cell has counts enough to tell
    threshold: NDArray[np.float64]  # units
    fdr: NDArray[np.float64]  # units: expected at the threshold
    level_off: NDArray[np.float64]  # units: activity where it is off
    level_on: NDArray[np.float64]  # units: activity where it is on
    n_genes: NDArray[np.int64]  # units: genes that were looked at
    likeness: NDArray[np.float64]  # units: how alike what cells with it on have more of, and its genes, are
    visible: NDArray[np.float64]  # units: share of the cells in which it would be seen where chance sets the threshold


def decide(
    network: Network,
    cells: Source,
    units: NDArray[np.float32],
    *,
    least_on: NDArray[np.floating],
    fdr: float,
    n_controls: int,
    n_cells: int,
    seed: int,
    batch_size: int,
    device: str,
    rescaled: bool = False,
    sought: NDArray[np.bool_] | None = None,
) -> UnitCalls:
    """See :class:`.Evidence` for what is measured, and :func:`.threshold` for what is enough.

    Parameters
    ----------
    network
        The trained network.
    cells
        The cells.
    units
        Cells × units: their representation.
    least_on
        Units: the least activity where a unit is on, such as its standard deviation over the training cells, which
        Σz³ / Σz² over the same cells never falls below.
    fdr
        Share of the calls of each unit that may be false.
    n_controls
        Control units for each unit.
    n_cells
        In how many cells, drawn at random, the controls are read.
    seed
        Seed of the controls and of the draw.
    batch_size
        Cells per block: so many cells × genes are held at once.
    device
        Where to decode.
    rescaled
        Whether to multiply the rates of each gene so that over all cells they sum to about its counts, as for a model
        of other cells, whose platform counts some genes more often.
    sought
        Units that may be called; all of them if `None`. Of a unit that is on nowhere every call is wrong, whatever the
        threshold.
    """
    rng = np.random.default_rng([seed, 3])
    asked, place = probes(network, units, least_on), Fallback(device)
    stand_ins = shuffled_within(expression_bins(*expression_of(cells)), n_controls, rng)
    factors = rates_to_counts(network, cells, units.T, batch_size, device) if rescaled else None
    evidence = np.empty((3, *units.shape), dtype=np.float32)
    for rows, part in map_cells(cells, Evidence(asked, batch_size, place, factors), units.T):
        evidence[:, rows] = part
    some = np.sort(rng.permutation(len(cells))[:n_cells])
    job = ControlEvidence(asked, network, stand_ins, batch_size, place, factors)
    controls = np.concatenate([part for _, part in map_cells(cells.take(some), job, units[some].T)], axis=1)
    value, mean, deviation = evidence
    limits = [threshold(value[:, unit], controls[:, :, unit], fdr) for unit in range(network.n_units)]
    sought = np.ones(len(limits), dtype=bool) if sought is None else sought
    least = np.where(sought, [limit.value for limit in limits], np.inf)
    spread = np.array([limit.spread for limit in limits])
    surely = mean - stats.norm.ppf(POWER) * spread * deviation  # what 9 of 10 such cells with the unit on have
    on = value >= least
    return UnitCalls(
        on=on,
        callable=on | (surely >= least),
        threshold=least,
        fdr=np.where(sought, [limit.fdr for limit in limits], np.nan),
        level_off=np.array([probe.off for probe in asked]),
        level_on=np.array([probe.on for probe in asked]),
        n_genes=np.array([len(probe.genes) for probe in asked]),
        likeness=likeness(cells, on, asked),
        visible=(surely >= np.array([limit.chance for limit in limits])).mean(axis=0),
    )
