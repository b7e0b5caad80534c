"""What a unit is called: its first genes, and the group that it marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.scores.activity import chance_higher
from modulae.core.statistics.group_pairs import GroupActivity, pairs

from .caveats import caveats_of_units

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast

MIN_CELLS = 10
"""Cells of a group that may name a unit: of so many, chance alone passes the rule below once in 20 000 trials."""

CLEARLY_HIGHER = 0.85
"""A unit marks a group if a cell of it is more active than another cell in this share of all pairs."""

GENES_IN_NAME = 3

KEPT = ("effect", "effect_share", "reproducibility", "below_level", "dead", "stability")
"""Columns that units without a name have too."""


def groups_of_units(
    units: NDArray[np.float32], plan: Contrast | None, *, min_cells: int = MIN_CELLS
) -> dict[str, NDArray[Any]]:
    """The group that each unit marks: of those in which it is clearly higher, the one with the largest difference."""
    n_units = units.shape[1]
    found: dict[str, NDArray[Any]] = {"group": np.full(n_units, "", dtype=object)}
    found |= {name: np.full(n_units, np.nan) for name in ("group_difference", "group_auc")}
    if plan is None:
        return found
    large = np.flatnonzero(plan.members.sum(axis=1) >= min_cells)
    if not len(large):
        return found
    activity, against_rest = GroupActivity.of(units, plan.members), pairs(len(plan.groups))
    difference = np.stack([activity.difference(*against_rest[at]) for at in large])  # groups × units
    higher = chance_higher(units, plan.members)[large]
    fits = np.where((higher >= CLEARLY_HIGHER) & (difference > 0), difference, -np.inf)
    best = fits.argmax(axis=0)
    for unit in np.flatnonzero(np.isfinite(fits.max(axis=0))):
        at = best[unit]
        found["group"][unit] = plan.groups[large[at]]
        found["group_difference"][unit], found["group_auc"][unit] = difference[at, unit], higher[at, unit]
    return found


def with_names(
    columns: dict[str, NDArray[Any]],
    units: NDArray[np.float32],
    states: pd.DataFrame,
    members: NDArray[np.bool_] | None,
    *,
    caveat_above: float,
) -> dict[str, NDArray[Any]]:
    """The columns with names and caveats; of units that are dead or may be chance only those of :data:`KEPT`.

    Names by the user are not among them: they are the model's, and looked up where a name is read. The other arguments
    are those of :func:`modulae.tl._unit_summary.caveats.caveats_of_units`.
    """
    named = ~(columns["dead"] | columns["below_level"])
    said = {
        "name": names_of_units(columns["top_genes_up"], columns["group"]),
        **columns,
        **caveats_of_units(units, states, members, caveat_above=caveat_above, counted=named),
    }
    for name, values in said.items():
        if name not in KEPT:
            values[~named] = "" if values.dtype == object else np.nan
    return said


def names_of_units(genes: NDArray[np.object_], groups: NDArray[np.object_]) -> NDArray[np.object_]:
    """Units: "LYZ, S100A8, S100A9 · CD14 Mono"; without the group where none fits, empty where there are no genes."""
    names = [", ".join(text.split(";")[:GENES_IN_NAME]) for text in genes]
    named = [f"{name} · {group}" if name and group else name for name, group in zip(names, groups, strict=True)]
    return np.array(named, dtype=object)
