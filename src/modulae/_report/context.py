"""What the template is filled with."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.fields import DEFAULT_KEY
from modulae.core.data.downsample import thickest
from modulae.pl._draw.labels import shortened
from modulae.tl._unit_summary.names import MIN_CELLS

from .arrays import arrays_of, pack
from .maps import NO_VALUE_COLOUR, activity_colours, map_document
from .numbers import chance, signed, whole
from .units import describe_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .material import Column, Material

LEVEL_TITLES = {
    "units": "genes of single units",
    "sets": "sets over all cells",
    "set strength": "strength of sets over all cells",
    "groups": "sets between groups",
    "group strength": "strength of sets between groups",
    "deletion": "deletion of the named genes",
}
"""What the levels of `tl.sanity` are called on the page."""

MEANINGS = {
    "reproducibility": (
        "Probability that a model of as many new cells has the programme again (|r| > 0.8). Below 0.7 it may be chance."
    ),
}
"""What is known of how units replicate, by what it is called."""

FINDING, CHANCE, TECHNICAL = range(3)

N_LISTED = 12
"""Programmes that are named on the first screen."""

MAX_LENGTH_ON_MAP = 28
"""Letters of a name on a map; the legend below has it in full."""

LABEL_HEIGHT = 0.042
"""Height of a label on a map, as a share of the map."""


def context_of(material: Material, *, title: str | None, max_cells: int, seed: int) -> dict[str, Any]:
    """Texts for the template, facts for the scripts, and the packed arrays."""
    units = describe_units(material)
    heading = _reproducibility_heading(material)
    alive = _alive(units)
    live, named = ([int(unit["unit"]) for unit in some] for some in (alive, [u for u in alive if not u["nameless"]]))
    arrays = arrays_of(material, live, named, max_cells=max_cells, seed=seed)
    places, packed = pack(arrays)
    n_cells, n_placed, n_drawn = len(material.cells), len(material.placed), len(arrays["cells"])
    facts = {
        "units": alive,
        "places": places,
        "n_drawn": n_drawn,
        "colours": activity_colours(),
        "missing": NO_VALUE_COLOUR,
        "parts": material.parts,
        "reproducibility": heading,
        "genes_fail": material.sanity is not None and not bool(material.sanity.loc["units", "passed"]),
        "columns": [_column_facts(column, material, index) for index, column in enumerate(material.columns)],
        "rankings": [ranking.facts() for ranking in material.rankings],
        "maps": map_document(material.columns),
        **_model_facts(material),
    }
    return {
        "title": title or "The programmes of these cells",
        "key": material.key,
        "named": facts["named"],
        "architecture": "parts" if material.parts else "orthogonal",
        "units": alive,
        "dead": [unit for unit in units if unit["dead"]],
        "all_units": units,
        **_numbers_of_cells(n_cells, n_placed, n_drawn),
        "n_genes": whole(len(material.saliency)),
        "n_sets": whole(len(material.sets)),
        "left_out": material.left_out,
        "columns": material.columns,
        "known": any(unit["stability"] for unit in units),
        "reproducibility": MEANINGS.get(heading),
        **_headings(alive),
        "comparable": any(len(column.groups) > 1 for column in material.columns),
        "ranked": bool(material.rankings),
        "layout_name": material.layout_name,
        "verdict": None if material.sanity is None else _verdict(material),
        "ran": material.ran,
        "version": version("modulae"),
        "largest": max((unit["share"] for unit in alive), default=1.0) or 1.0,
        "facts": facts,
        "packed": packed,
        "signed": signed,
        "chance": chance,
        "colours": activity_colours()[::15],
    }


def _model_facts(material: Material) -> dict[str, str]:
    """Which model it is, and how calls name it."""
    named = "" if material.key == DEFAULT_KEY else f", key={material.key!r}"
    return {"model": material.model, "key": material.key, "named": named}


def _numbers_of_cells(n_cells: int, n_placed: int, n_drawn: int) -> dict[str, Any]:
    return {
        "n_cells": whole(n_cells),
        "n_drawn": whole(n_drawn),
        "min_cells": MIN_CELLS,
        "thinned": n_drawn < n_placed,
        "n_placed": whole(n_placed),
        "unplaced": whole(n_cells - n_placed) if n_placed < n_cells else "",
    }


def _alive(units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Units that have a card, in its place; after the findings those that may be chance, and technical ones last."""
    alive = sorted((unit for unit in units if not unit["dead"]), key=_standing)
    for place, unit in enumerate(alive):
        unit["place"] = place
    return alive


def _reproducibility_heading(material: Material) -> str:
    """What the column is called that says how surely units would be found again; empty where nothing does."""
    return "" if material.replication is None else "reproducibility"


def _may_be_chance(unit: dict[str, Any]) -> bool:
    """Whether it does not replicate surely enough; for a model that was trained once nothing is known of that."""
    return unit["reproducibility"] is not None and not unit["reproducibility"]["sure"]


def _headings(alive: list[dict[str, Any]]) -> dict[str, int]:
    """How many are named on the first screen, and which is the first under each of the later headings."""
    standing = [_standing(unit) for unit in alive]
    return {
        "n_listed": N_LISTED,
        "chance_from": standing.count(FINDING),
        "technical_from": len(alive) - standing.count(TECHNICAL),
    }


def _standing(unit: dict[str, Any]) -> int:
    """Under which of the headings a unit stands."""
    return TECHNICAL if unit["technical"] else CHANCE if _may_be_chance(unit) else FINDING


def _verdict(material: Material) -> list[dict[str, Any]]:
    table = material.sanity
    rows = [] if table is None else table.itertuples()
    return [
        {"passed": bool(row.passed), "words": str(row.words), "level": LEVEL_TITLES.get(str(row.Index), str(row.Index))}
        for row in rows
    ]


def _column_facts(column: Column, material: Material, at: int) -> dict[str, Any]:
    """Names, colours and the places of the labels: where each group's cells lie thickest, moved apart."""
    layout, codes = material.layout[material.placed], column.codes[material.placed]
    low, reach = layout.min(axis=0), float(np.ptp(layout, axis=0).max()) or 1.0
    middle = (layout.max(axis=0) + low) / 2
    points = 0.5 + (layout - middle) / reach
    centres = np.stack([_thick(points[codes == code]) for code in range(len(column.groups))])
    names = shortened(column.groups, MAX_LENGTH_ON_MAP)
    widths = np.array([0.019 * len(name) + 0.02 for name in names])
    named = (centres[:, 0] >= 0) & (np.asarray(column.activity.n_cells) >= MIN_CELLS)
    centres[:, 0] = np.clip(centres[:, 0], widths / 2, np.maximum(1 - widths / 2, widths / 2))
    centres[:, 1] = np.clip(_apart(centres, widths), 0.02, 0.98)
    centres[~named] = -1.0  # beyond the edge of the map
    return {
        "name": column.name,
        "at": at,
        "groups": column.groups,
        "names": names,
        "colours": column.colours,
        "labels": [[round(float(x), 4), round(float(y), 4)] for x, y in centres],
        "n_cells": [int(n) for n in column.activity.n_cells],
    }


def _thick(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a group lies thickest on a map of width 1; a group of which no cell has a place is named nowhere."""
    return points[thickest(points, 1.0)] if len(points) else np.full(2, -1.0)


def _apart(centres: Any, widths: Any) -> Any:  # noqa: ANN401
    from modulae.pl._draw.points import spread_labels

    return spread_labels(centres, widths, LABEL_HEIGHT)
