"""What the counts of a cell say of each unit: the deviance that the unit saves, beside what chance would save."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.array_backend import pick_device, to_numpy
from modulae.core.data.cells import as_backend
from modulae.core.fallback import in_parts
from modulae.core.inference.encode import PLATFORM_PRIOR, gene_factors
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.fallback import Fallback
    from modulae.core.model.network import Network

SHARE = 0.9
"""Of the deviance that a unit saves in a usual cell, so much is saved in the genes that are looked at."""

LOW = 0.5
"""Below this share of its activity where it is on, a unit counts as silent for :func:`levels`."""

FLOOR = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Probe:
    """A unit, and what the question is put to."""

    unit: int
    off: float  # its activity where it is off
    on: float  # and where it is on
    genes: NDArray[np.intp]  # ascending: those that carry it
    network: Network  # decodes these genes only
    rates: NDArray[np.float64]  # 2 × all genes: of a usual cell with the unit off, and on


def levels(
    units: NDArray[np.floating], least_on: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The activity of each unit where it is off, and where it is on, from cells × units.

    On: Σz³ / Σz², which is that of the active cells however few they are, and at least `least_on`: there may be no
    active cells here. Off: the mean of the cells with less than half of that; where there are none, the lowest.
    """
    off, on = np.zeros(units.shape[1]), np.zeros(units.shape[1])
    for unit, column in enumerate(units.T):
        z = column.astype(np.float64)
        on[unit] = max(_where_on(z), float(least_on[unit]))
        low = z[z < LOW * on[unit]]
        off[unit] = low.mean() if len(low) else z.min(initial=on[unit])
    return off, on


def as_active_as_usual(units: NDArray[np.floating], usual: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Units: whether, in some cells, they are at least half as active as `usual`, where they were on in training."""
    on = np.array([_where_on(column.astype(np.float64)) for column in units.T])
    return (usual <= 0) | (on >= LOW * usual)


def _where_on(z: NDArray[np.float64]) -> float:
    square = float((z**2).sum())
    return float((z**3).sum()) / square if square > 0 else 0.0


def probes(network: Network, units: NDArray[np.floating], least_on: NDArray[np.floating]) -> tuple[Probe, ...]:
    """What to ask of each unit; a unit that never changes has no genes."""
    off, on = levels(units, least_on)
    average = units.mean(axis=0, dtype=np.float64).astype(np.float32)
    weights = to_numpy(network.input_weights)
    found = []
    for unit in range(network.n_units):
        pair = np.tile(average, (2, 1))
        pair[:, unit] = off[unit], on[unit]
        without, present = np.maximum(to_numpy(network.decode(pair)).astype(np.float64), FLOOR)
        genes = _carriers(present * np.log(present / without) - (present - without))
        kept = np.zeros(network.n_genes, dtype=bool)
        kept[genes] = True
        alone = network.restricted(kept, weights[:, kept], np.zeros(len(weights), dtype=weights.dtype))
        found.append(Probe(unit, float(off[unit]), float(on[unit]), genes, alone, np.stack([without, present])))
    return tuple(found)


def _carriers(saved: NDArray[np.float64]) -> NDArray[np.intp]:
    """The fewest genes that together save their share of the deviance, ascending."""
    order = np.argsort(-saved, kind="stable")
    reached = np.cumsum(saved[order])
    if not reached[-1] > 0:
        return np.array([], dtype=np.intp)
    return np.sort(order[: np.searchsorted(reached, SHARE * reached[-1]) + 1])


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for every unit in every cell, as a job on a portion of the cells.

    With y₀ and y₁ the rates of a cell with the unit off and on, all others as they are, the deviance that the unit
    saves is 2·Σ(x·log(y₁ / y₀) − y₁ + y₀). Less its mean, and over its standard deviation where the unit is off and
    counts are Poisson, that is Σ w·(x − y₀) / √(Σ w²·y₀), w = log(y₁ / y₀).
    """

    probes: Sequence[Probe]
    batch_size: int
    place: Fallback
    factors: NDArray[np.floating] | None = None  # genes: what all rates are multiplied by

    def __call__(self, cells: Source, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """3 × cells × units: the evidence, its mean where the unit is on, and its standard deviation there.

        `units` is units × cells.
        """
        return self.place.run(partial(self._evidence, cells, units))

    @plain_torch()
    def _evidence(self, cells: Source, units: NDArray[np.float32], *, device: str, parts: int) -> NDArray[np.float32]:
        result = np.zeros((3, len(cells), len(self.probes)), dtype=np.float32)
        for rows, block, here in _blocks(cells, units, in_parts(self.batch_size, parts)):
            counts = block.dense()
            for probe in self.probes:
                without, present, weight = contrast(probe, block, here, device, self.factors)
                variance = (weight**2 * without).sum(axis=1)
                result[0, rows, probe.unit] = _over(weight * (counts[:, probe.genes] - without), variance)
                result[1, rows, probe.unit] = _over(weight * (present - without), variance)
                result[2, rows, probe.unit] = np.sqrt(_over(weight**2 * present, variance**2))
        return result


@dataclass(frozen=True, slots=True)
class ControlEvidence:
    """The same for control units, which nothing in the cells follows.

    A control takes for each gene of a unit another of like expression, with the same weight; what the model expects of
    that gene, with every unit as it is, is its y₀.
    """

    probes: Sequence[Probe]
    network: Network
    stand_ins: NDArray[np.intp]  # controls × genes: what stands in for each gene
    batch_size: int
    place: Fallback
    factors: NDArray[np.floating] | None = None

    def __call__(self, cells: Source, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """Controls × cells × units; `units` is units × cells."""
        return self.place.run(partial(self._evidence, cells, units))

    @plain_torch()
    def _evidence(self, cells: Source, units: NDArray[np.float32], *, device: str, parts: int) -> NDArray[np.float32]:
        network = self.network.on(device)
        result = np.zeros((len(self.stand_ins), len(cells), len(self.probes)), dtype=np.float32)
        for rows, block, here in _blocks(cells, units, in_parts(self.batch_size, parts)):
            expected = block.scale() * to_numpy(network.decode(as_backend(here, device), block.batch))
            expected = expected if self.factors is None else expected * self.factors
            unexplained = block.dense() - expected
            for probe in self.probes:
                _, _, weight = contrast(probe, block, here, device)
                for control, stand_in in enumerate(self.stand_ins):
                    genes = stand_in[probe.genes]
                    variance = (weight**2 * expected[:, genes]).sum(axis=1)
                    result[control, rows, probe.unit] = _over(weight * unexplained[:, genes], variance)
        return result


@plain_torch()
def rates_to_counts(
    network: Network, cells: Source, units: NDArray[np.float32], batch_size: int, device: str
) -> NDArray[np.float64]:
    """Genes: what rates are multiplied by to sum to about the counts, as another platform counts some more often.

    `units` is units × cells.
    """
    device = pick_device(device)
    network, expected = network.on(device), np.zeros(network.n_genes)
    for _, block, here in _blocks(cells, units, batch_size):
        rates = to_numpy(network.decode(as_backend(here, device), block.batch))
        expected += (block.scale() * rates).sum(axis=0, dtype=np.float64)
    return gene_factors(cells.gene_totals(), expected, PLATFORM_PRIOR)


def contrast(
    probe: Probe,
    block: Cells,
    units: NDArray[np.float32],
    device: str,
    factors: NDArray[np.floating] | None = None,
) -> tuple[NDArray[Any], ...]:
    """Expected counts of the unit's genes with the unit off, and with it on, and the logarithm of their ratio.

    Each cells × genes of the unit. `factors` multiply the rates of all genes.
    """
    network, held, rates = probe.network.on(device), units.copy(), []
    for level in (probe.off, probe.on):
        held[:, probe.unit] = level
        decoded = to_numpy(network.decode(as_backend(held, device), block.batch)).astype(np.float64)
        rates.append(np.maximum(decoded, FLOOR))
    without, present = rates
    scale = block.scale().astype(np.float64) * (1.0 if factors is None else factors[probe.genes])
    return scale * without, scale * present, np.log(present / without)


def _blocks(cells: Source, units: NDArray[np.float32], size: int) -> Iterator[tuple[slice, Cells, NDArray[np.float32]]]:
    for rows, block in cells.blocks(size):
        yield rows, block, np.ascontiguousarray(units[:, rows].T, dtype=np.float32)


def _over(parts: NDArray[Any], variance: NDArray[Any]) -> NDArray[Any]:
    """Sums over genes, divided by a standard deviation; 0 for a cell without counts."""
    total = parts.sum(axis=1, dtype=np.float64)
    return np.asarray(np.divide(total, np.sqrt(variance), out=np.zeros_like(total), where=variance > 0))
