"""Which units and comparisons are drawn, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modulae._adata.stored.unit_labels import unit_numbers
from modulae.pl._draw.labels import programmes_label, shortened, unit_labels
from modulae.pl._draw.selection import unflagged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from modulae.pl._draw.selection import Flagged

WIDTH = 34
"""Characters of a comparison that are drawn."""


@dataclass(frozen=True, slots=True)
class Dots:
    """Units × comparisons, in the order in which they are drawn."""

    effect: NDArray[np.float64]
    q: NDArray[np.float64]
    rows: list[str]
    columns: list[str]
    row_label: str
    title: str
    column_label: str


def choose_dots(
    table: pd.DataFrame,
    *,
    order: Sequence[tuple[str, str]],
    units: Sequence[int | str] | None,
    n_units: int | None,
    max_q: float,
    flagged: Flagged,
    key: str,
    groupby: str,
    within: str | None,
) -> Dots:
    """Units by their smallest p, unless they are named, and comparisons (category and group) in the order given.

    Raises
    ------
    KeyError
        No such unit.
    ValueError
        No unit has a q as low.
    """
    every = sorted(table["unit"].unique(), key=int)
    named = table.drop_duplicates("unit").dropna(subset="name")
    names = {str(unit): str(name) for unit, name in zip(named["unit"], named["name"], strict=True)}
    shown = table[table["unit"].isin([every[at] for at in unflagged(every, flagged, key)])] if units is None else table
    if units is None:
        called = shown[shown["q"] <= max_q].sort_values("p", kind="stable")
        chosen = list(called["unit"].unique()[:n_units])
        if not chosen:
            msg = (
                f"no unit has q <= {max_q:g} to draw (the lowest is {shown['q'].min():.2g}). Raise max_q, or name "
                "units in units=."
            )
            raise ValueError(msg)
    else:
        chosen = [every[at] for at in unit_numbers(units, len(every), names)]
    several = table["group"].nunique() > 1
    place = ["within", "group"]
    there = set(table[place].itertuples(index=False, name=None))
    order = [one for one in order if one in there]
    wide = {name: table.pivot(index="unit", columns=place, values=name) for name in ("effect", "q")}
    by_category = within is not None
    labels = [" · ".join([where] * by_category + [group] * (several or not by_category)) for where, group in order]
    reference = str(table["reference"].iloc[0])
    against = "the rest" if reference == "rest" else reference
    return Dots(
        wide["effect"].loc[chosen, order].to_numpy(),
        wide["q"].loc[chosen, order].to_numpy(),
        unit_labels(chosen, names),
        shortened(labels, WIDTH),
        programmes_label(len(chosen), len(every), flagged.words if units is None else ""),
        f"{'groups' if several else table['group'].iloc[0]} against {against}",
        groupby if within is None else within,
    )
