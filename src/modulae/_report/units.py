"""What the page says of every unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.statistics.group_pairs import pairs
from modulae.pl._draw.labels import COLLECTIONS
from modulae.tl._unit_summary.table import CLEAR, FLAGS, SIGNIFICANT

from .numbers import percent, signed, six_digits

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from numpy.typing import NDArray

    from .material import Material

IN_NAME = 4
"""Genes that name a unit without a set."""
ON_CARD = 3
"""Sets, and groups, on a card."""
IN_TABLE = 25
"""Genes at either end, and sets, of the large view."""
N_LEADING_GENES = 8
"""Genes of the leading edge of a set that are named."""
FLAG_WORDS = {
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
    """One mapping a unit, the most important first; what a card, the table and the large view show."""
    sets, above = _sets_by_unit(material), _above_the_rest(material)
    return [
        _describe(material, str(unit), row, sets.get(str(unit), [])) | {"groups": _most_active(above, int(str(unit)))}
        for unit, row in material.units.iterrows()
    ]


def _describe(material: Material, unit: str, row: pd.Series, sets: list[dict[str, Any]]) -> dict[str, Any]:
    by_set = bool(row["set"]) and row["set_q"] <= SIGNIFICANT
    low = (row["set_direction"] if by_set else row["direction"]) == "down"
    ends = {"up": _split(row["top_genes_up"]), "down": _split(row["top_genes_down"])}
    genes = ends["down" if low else "up"] or ends["up"] or ends["down"]
    name = readable(str(row["set"])) if by_set else ", ".join(genes[:IN_NAME]) or "no genes"
    return {
        "unit": unit,
        "name": name,
        "low": low,
        "named_by": str(row["set"]) if by_set else "",
        "dead": bool(row["dead"]),
        "effect": float(row["effect"]),
        "share": float(row["effect_share"]),
        "share_text": percent(row["effect_share"]),
        "genes_up": ends["up"],
        "genes_down": ends["down"],
        "direction": str(row["direction"]),
        "direction_r": six_digits(row["direction_r"]),
        "sets": sets,
        "flags": _flags(row, material.flag_above),
        "states": {FLAG_WORDS[name]: six_digits(row[name]) for name in FLAGS},
        "reproducibility": _reproducibility(material, unit),
        "stability": _stability(material, unit, row),
        "genes": _genes(material, unit),
    }


def _genes(material: Material, unit: str) -> list[dict[str, Any]]:
    """The genes that raise it most and those that lower it most, the strongest first."""
    values = material.saliency[unit].to_numpy(dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    ends = [at for at in order[:IN_TABLE] if values[at] > 0] + [at for at in order[::-1][:IN_TABLE] if values[at] < 0]
    place = np.empty(len(values), dtype=np.intp)
    place[np.argsort(-np.abs(values), kind="stable")] = np.arange(1, len(values) + 1)
    rows = []
    for at in sorted(set(ends), key=lambda at: place[at]):
        gene = str(material.saliency.index[at])
        row = {"gene": gene, "saliency": six_digits(values[at]), "place": int(place[at])}
        if material.loadings is not None:
            row["loading"] = six_digits(material.loadings[unit].iloc[at])
        rows.append(row)
    return rows


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
        "found": bool(row["q"] <= SIGNIFICANT),
        "leading": _split(row["leading_edge"])[:N_LEADING_GENES],
    }


def _above_the_rest(material: Material) -> tuple[list[str], NDArray[np.float64]] | None:
    """Groups of the first column, and groups × units: the activity above that of all other labelled cells, in SD."""
    column = next((column for column in material.columns if len(column.groups) > 1), None)
    if column is None:
        return None
    against_rest = pairs(len(column.groups))[: len(column.groups)]
    return column.groups, np.stack([column.activity.difference(*sides) for sides in against_rest])


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


def _flags(row: pd.Series, above: float) -> list[dict[str, str]]:
    flags = []
    if row["redundant_with"]:
        words = f"varies with unit {row['redundant_with']}, which has a larger effect: r = {signed(row['redundant_r'])}"
        flags.append({"text": f"like unit {row['redundant_with']}", "words": words})
    for name in _split(row["flags"]):
        words = f"rank correlation over the cells with {FLAG_WORDS[name]}: {signed(row[name])}; flagged from ±{above:g}"
        flags.append({"text": f"{FLAG_WORDS[name]} {signed(row[name])}", "words": words})
    if row["direction"] == "" and np.isfinite(row["direction_r"]):
        words = f"its activity hardly goes with the counts of its strongest genes: below ±{CLEAR:g}"
        flags.append({"text": f"does not follow its genes {signed(row['direction_r'])}", "words": words})
    return flags


def _reproducibility(material: Material, unit: str) -> dict[str, Any] | None:
    if material.replication is None:
        return None
    row = material.replication.loc[unit]
    known = bool(np.isfinite(row["reproducibility"]))
    value = float(row["reproducibility"] if known else row["share"])
    text = f"reproducibility {value:.2f}" if known else f"both halves of the donors: {percent(value)} of the splits"
    return {"value": six_digits(value), "text": text, "sure": bool(row["replicates"])}


def _stability(material: Material, unit: str, row: pd.Series) -> dict[str, Any] | None:
    if np.isfinite(row["stability"]):
        return {"value": float(row["stability"]), "text": f"|r| {row['stability']:.2f} in other runs"}
    if material.sanity_units is not None:
        value = float(material.sanity_units["activity"].loc[unit])
        return {"value": value, "text": f"|r| {value:.2f} with other seeds"}
    return None


def _split(text: str) -> list[str]:
    return [part for part in str(text).split(";") if part]
