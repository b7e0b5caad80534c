"""What the page says of every unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.statistics.group_pairs import pairs
from modulae.pl._draw.labels import COLLECTIONS
from modulae.tl._unit_summary.caveats import CAVEATS
from modulae.tl._unit_summary.names import MIN_CELLS
from modulae.tl._unit_summary.table import CLEAR, SIGNIFICANT

from .numbers import percent, signed, six_digits

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from numpy.typing import NDArray

    from .material import Material

ON_CARD = 3
"""Sets, and groups, on a card."""
IN_TABLE = 25
"""Genes at either end, and sets, of the large view."""
N_LEADING_GENES = 8
"""Genes of the leading edge of a set that are named."""
CAVEAT_WORDS = {
    "library_size": "library size",
    "mitochondrial": "mitochondrial genes",
    "ribosomal": "ribosomal genes",
    "cell_cycle": "cell cycle",
    "dissociation": "dissociation",
}


def readable(name: str) -> str:
    """A set name with spaces, without the collection that MSigDB puts before it."""
    collection = next((c for c in COLLECTIONS if name.startswith(f"{c}_") and len(name) > len(c) + 1), "")
    return name[len(collection) + 1 if collection else 0 :].replace("_", " ").strip() or name


def describe_units(material: Material) -> list[dict[str, Any]]:
    """One mapping per unit, the most important first; what a card, the table and the large view show."""
    sets, above = _sets_by_unit(material), _above_the_rest(material)
    return [
        _describe(material, str(unit), row)
        | _named(material, str(unit), row, sets.get(str(unit), []))
        | {"groups": [] if _nameless(row) else _most_active(above, int(str(unit)))}
        for unit, row in material.units.iterrows()
    ]


def _nameless(row: pd.Series) -> bool:
    """Whether a unit is dead or below the level: then nothing is said of what it stands for."""
    return bool(row["dead"] or row["below_level"])


def _describe(material: Material, unit: str, row: pd.Series) -> dict[str, Any]:
    """What is shown of every unit."""
    return {
        "unit": unit,
        "name": _text(row["name"]),
        "nameless": _nameless(row),
        "dead": bool(row["dead"]),
        "technical": bool(row["technical"]),
        "effect": float(row["effect"]),
        "share": float(row["effect_share"]),
        "share_text": percent(row["effect_share"]),
        "caveats": _caveats(row, material.caveat_above),
        "reproducibility": _reproducibility(material, unit),
        "stability": _stability(material, unit, row),
    }


def _named(material: Material, unit: str, row: pd.Series, sets: list[dict[str, Any]]) -> dict[str, Any]:
    """What is shown of units that may have a name."""
    nothing = _nameless(row)
    return {
        "subtitle": readable(_text(row["set"])),
        "genes_up": _split(row["top_genes_up"]),
        "genes_down": _split(row["top_genes_down"]),
        "direction_r": six_digits(row["direction_r"]),
        "sets": [] if nothing else sets,
        "states": {} if nothing else {CAVEAT_WORDS[name]: six_digits(row[name]) for name in CAVEATS},
        "genes": [] if nothing else _genes(material, unit),
    }


def _genes(material: Material, unit: str) -> list[dict[str, Any]]:
    """The genes that stand for it, the first first, and those that it is read from."""
    at = int(unit)
    scores, saliency = material.scores[:, at], material.saliency[unit].to_numpy(dtype=np.float64)
    place = np.empty(len(scores), dtype=np.intp)
    place[np.argsort(-np.abs(saliency), kind="stable")] = np.arange(1, len(scores) + 1)
    order = np.argsort(-np.abs(scores), kind="stable")
    made = [gene for gene in order[:IN_TABLE] if scores[gene] != 0]
    chosen = [*made, *(gene for gene in order if place[gene] <= IN_TABLE and gene not in set(made))]
    loadings = material.loadings[unit].to_numpy(dtype=np.float64)
    return [
        {
            "gene": str(material.saliency.index[gene]),
            "loading": six_digits(loadings[gene]),
            "share": six_digits(scores[gene] / loadings[gene] if loadings[gene] else 0.0),
            "saliency": six_digits(saliency[gene]),
            "place": int(place[gene]),
        }
        for gene in chosen
    ]


def _sets_by_unit(material: Material) -> dict[str, list[dict[str, Any]]]:
    if material.enrichment is None:
        return {}
    result = {}
    for unit, rows in material.enrichment.groupby("unit", sort=False):
        result[str(unit)] = [_describe_set(row) for row in rows.head(IN_TABLE).to_dict("records")]
    return result


def _describe_set(row: dict[Hashable, Any]) -> dict[str, Any]:
    return {
        "set": str(row["set"]),
        "label": readable(str(row["set"])),
        "n_genes": int(row["n_genes"]),
        "share_found": six_digits(row["share_found"]),
        "effect": six_digits(row["effect"]),
        "z": six_digits(row["z"]),
        "q": six_digits(row["q"]),
        "found": bool(row["q"] <= SIGNIFICANT and row["z"] > 0),
        "leading": _split(row["leading_edge"])[:N_LEADING_GENES],
    }


def _above_the_rest(material: Material) -> tuple[list[str], NDArray[np.float64]] | None:
    """Groups of enough cells of the first column; groups × units: activity above that of the other cells, in SD."""
    column = next((column for column in material.columns if len(column.groups) > 1), None)
    if column is None:
        return None
    against_rest = pairs(len(column.groups))[: len(column.groups)]
    large = [at for at, n in enumerate(column.activity.n_cells) if n >= MIN_CELLS]
    if not large:
        return None
    differences = [column.activity.difference(*against_rest[at]) for at in large]
    return [column.groups[at] for at in large], np.stack(differences)


def _most_active(above: tuple[list[str], NDArray[np.float64]] | None, unit: int) -> list[dict[str, Any]]:
    """Groups in which it is more active than in the others, the strongest first."""
    if above is None:
        return []
    groups, values = above[0], above[1][:, unit]
    order = [index for index in np.argsort(-values, kind="stable")[:ON_CARD] if values[index] > 0]
    return [
        {"group": groups[index], "difference": six_digits(values[index]), "text": signed(values[index])}
        for index in order
    ]


def _caveats(row: pd.Series, above: float) -> list[dict[str, str]]:
    caveats = []
    if other := _text(row["redundant_with"]):
        words = f"varies with programme {other}, which has a larger effect: r = {signed(row['redundant_r'])}"
        caveats.append({"text": f"like programme {other}", "words": words})
    for name in _split(row["caveats"]):
        words = (
            f"rank correlation over the cells with {CAVEAT_WORDS[name]}: {signed(row[name])}; listed from ±{above:g}"
        )
        caveats.append({"text": f"{CAVEAT_WORDS[name]} {signed(row[name])}", "words": words})
    if not _text(row["direction"]) and np.isfinite(row["direction_r"]):
        words = f"its activity hardly follows the counts of its genes: correlation below ±{CLEAR:g}"
        caveats.append({"text": f"does not follow its genes {signed(row['direction_r'])}", "words": words})
    return caveats


def _reproducibility(material: Material, unit: str) -> dict[str, Any] | None:
    if material.replication is None:
        return None
    row = material.replication.loc[unit]
    value = float(row["reproducibility"])
    if np.isnan(value):  # units that were merged
        return None
    return {"value": six_digits(value), "text": f"reproducibility {value:.2f}", "sure": bool(row["replicates"])}


def _stability(material: Material, unit: str, row: pd.Series) -> dict[str, Any] | None:
    if np.isfinite(row["stability"]):
        return {"value": float(row["stability"]), "text": f"|r| {row['stability']:.2f} in other runs"}
    if material.sanity_units is not None:
        value = float(material.sanity_units["activity"].loc[unit])
        return {"value": value, "text": f"|r| {value:.2f} with other seeds"}
    return None


def _text(value: Any) -> str:  # noqa: ANN401
    """A text of a table, "" where it is NaN."""
    return value if isinstance(value, str) else ""


def _split(text: Any) -> list[str]:  # noqa: ANN401
    return [part for part in _text(text).split(";") if part]
