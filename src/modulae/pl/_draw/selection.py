"""Which gene sets and units a heat map shows, and in which order."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from modulae import get
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import technical_units, unit_numbers
from modulae.core.checks import check_integer, given_list

from .labels import unit_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

OPTIMAL_UP_TO = 400
"""Rows whose leaves are put in the best order; for more it takes too long."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """Units that are drawn only where they are named."""

    technical: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    """Of a model of other cells: those that too few genes of these cells carry."""

    def __contains__(self, unit: object) -> bool:
        """Whether it is one of them."""
        return unit in self.technical or unit in self.unread

    @property
    def words(self) -> str:
        """What a picture says of them, "" where there are none."""
        kinds = {"technical": len(self.technical), "with too few genes": len(self.unread - self.technical)}
        words = " and ".join(f"{n} {kind}" for kind, n in kinds.items() if n)
        return f"{words} left out" if words else ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asked to see."""

    sets: Sequence[str] | None
    units: Sequence[int | str] | None
    n_sets: int | None
    n_units: int | None
    min_impact: float
    min_unit_impact: float
    cluster: bool
    flagged: Flagged
    """Units that are left out unless named."""
    key: str = DEFAULT_KEY
    """The model that they are of."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What its units are called."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows and columns of the picture, in their order, and how many there were to choose from."""

    sets: list[str]
    units: list[str]
    of_sets: int
    of_units: int
    names: Mapping[str, str] = field(default_factory=dict)
    """What the units are called, by number."""
    left_out: str = ""
    """Which units were not to be chosen, in words."""

    @property
    def unit_labels(self) -> list[str]:
        """What stands below the columns."""
        return unit_labels(self.units, self.names)


def choose(tables: Sequence[pd.DataFrame], ties: Sequence[pd.DataFrame], wanted: Wanted) -> Shown:
    """Choose rows and columns by their largest absolute value in any table; equal rows by that in `ties`."""
    check_n(wanted.n_sets, "n_sets")
    check_n(wanted.n_units, "n_units")
    strength = np.abs(np.stack([table.to_numpy(dtype=np.float64) for table in tables]))  # tables × sets × units
    every_set, every_unit = [str(name) for name in tables[0].index], list(tables[0].columns)
    free = unflagged(every_unit, wanted.flagged, wanted.key) if wanted.units is None else np.arange(len(every_unit))
    if wanted.sets is None:
        tie = np.abs(np.stack([table.to_numpy(dtype=np.float64) for table in ties]))[:, :, free].max(axis=(0, 2))
        rows = _strongest(strength[:, :, free].max(axis=(0, 2)), tie, wanted)
    else:
        rows = np.array([set_position(name, every_set) for name in map(str, given_list(wanted.sets, "sets"))])
    if wanted.units is None:
        columns = free[_live(strength[:, rows][:, :, free].max(axis=(0, 1)), wanted)]
    else:
        columns = np.array(unit_numbers(wanted.units, len(every_unit), wanted.names))
    drawn = np.stack([table.to_numpy(dtype=np.float64) for table in tables])[:, rows][:, :, columns]
    if wanted.cluster and wanted.sets is None:
        rows = rows[leaf_order(np.concatenate(list(drawn), axis=1))]
    if wanted.cluster and wanted.units is None:
        columns = columns[leaf_order(np.concatenate(list(drawn), axis=0).T)]
    sets, units = [every_set[i] for i in rows], [every_unit[i] for i in columns]
    left_out = wanted.flagged.words if wanted.units is None else ""
    return Shown(sets, units, len(every_set), len(every_unit), wanted.names, left_out)


def flagged_units(adata: AnnData, key: str) -> Flagged:
    """Units that are drawn only where they are named: technical ones, and of a foreign model those of too few genes."""
    technical = technical_units(adata, key)
    if "transfer" not in adata.uns.get(key, {}):
        return Flagged(technical)
    trusted = get.transfer(adata, key=key)["trusted"]
    return Flagged(technical, frozenset(trusted.index[~trusted]))


def unflagged(units: Sequence[str], flagged: Flagged, key: str) -> NDArray[np.intp]:
    """Where the units stand that may be drawn without being named."""
    result = np.array([index for index, unit in enumerate(units) if unit not in flagged], dtype=np.intp)
    if len(result) == 0:
        msg = (
            "every unit is flagged: marked as technical, or adata has too few of the model's genes to "
            f"read it. See {step('get.transfer', key=key)}; name units to draw them nevertheless."
        )
        raise ValueError(msg)
    return result


def leaf_order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order of the rows that puts similar ones side by side (average linkage of Euclidean distances)."""
    if len(values) < 3:
        return np.arange(len(values))
    tree = linkage(values, method="average", optimal_ordering=len(values) <= OPTIMAL_UP_TO)
    return np.asarray(leaves_list(tree), dtype=np.intp)


def set_position(name: str, sets: Sequence[str]) -> int:
    """Where a gene set stands, or which names are like it."""
    if name not in sets:
        like = difflib.get_close_matches(name, sets, cutoff=0.4) or list(sets[:5])
        msg = f"there is no gene set {name!r} in the result. Names like it: {like}; `mo.get` has all."
        raise KeyError(msg)
    return list(sets).index(name)


def check_n(value: int | None, parameter: str) -> None:
    """Refuse a number of things that is none: -1 would leave out the last; `None` is all of them."""
    if value is not None:
        check_integer(parameter, value, minimum=1)


def _strongest(largest: NDArray[np.float64], tie: NDArray[np.float64], wanted: Wanted) -> NDArray[np.intp]:
    """Find the strongest sets, in the order of the table."""
    order = np.lexsort((-tie, -largest))
    order = order[largest[order] >= wanted.min_impact][: wanted.n_sets]
    if len(order) == 0:
        msg = (
            f"no gene set reaches min_impact={wanted.min_impact:g} (the largest value is {largest.max():.2g}). "
            "Lower min_impact."
        )
        raise ValueError(msg)
    return np.sort(order)


def _live(largest: NDArray[np.float64], wanted: Wanted) -> NDArray[np.intp]:
    """Find the strongest units, in the order of the table."""
    order = np.argsort(-largest, kind="stable")
    live = np.sort(order[largest[order] >= wanted.min_unit_impact][: wanted.n_units])
    if len(live) == 0:
        msg = (
            f"no unit reaches min_unit_impact={wanted.min_unit_impact:g} on these sets (the largest value is "
            f"{largest.max():.2g}). Lower min_unit_impact."
        )
        raise ValueError(msg)
    return live
