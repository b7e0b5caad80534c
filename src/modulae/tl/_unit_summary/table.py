"""What is said of every unit: its effect, its genes, its group, its gene sets, and what it may only reflect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.results import unit_names
from modulae.core.inference.encode import read_inputs
from modulae.core.scores.activity import activity_differences
from modulae.core.scores.correlation import correlation, rank_correlation

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast
    from modulae.core.data.source import Source

DEAD = 1e-3
"""A unit is dead if its effect, of either sign, is at most this share of the largest, or its standard deviation of its
mean."""

CLEAR = 0.1
"""Smallest absolute correlation that gives a unit a direction."""

SIGNIFICANT = 0.05
"""Largest q of a gene set that is listed."""

MAX_SETS = 3
"""Gene sets that are listed for a unit."""

CELL_CYCLE = ("s_phase", "g2m_phase")
FLAGS = ("library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation")


def use_of_units(
    units: NDArray[np.float32], effect: NDArray[np.float64], *, redundant_above: float
) -> dict[str, NDArray[Any]]:
    """Share of the effect, dead units, and units that say what one of larger effect says already."""
    exact = units.astype(np.float64)
    gains = np.maximum(effect, 0)
    still = exact.std(axis=0) <= DEAD * np.abs(exact).mean(axis=0)
    r = correlation(exact, exact)
    larger = _rank(effect)[:, None] > _rank(effect)[None, :]  # unit × those of larger effect
    among = np.where(larger, np.abs(r), -1.0)
    best = among.argmax(axis=1)
    result = among.max(axis=1) > redundant_above
    names = np.array(unit_names(len(effect)), dtype=object)
    return {
        "effect": effect,
        "effect_share": gains / max(gains.sum(), np.finfo(float).tiny),
        "dead": still | (np.abs(effect) <= DEAD * np.abs(effect).max()),
        "redundant_with": np.where(result, names[best], ""),
        "redundant_r": np.where(result, r[np.arange(len(r)), best], np.nan),
    }


def genes_of_units(
    saliency: NDArray[np.float32], genes: NDArray[np.str_], cells: Source, units: NDArray[np.float32], *, n_genes: int
) -> dict[str, NDArray[Any]]:
    """Top genes at either end, and whether the unit is high where the strongest of them are expressed."""
    n_genes = min(n_genes, len(genes))
    ranked = np.argsort(-saliency, axis=0, kind="stable")
    up = [
        ";".join(genes[index[:n_genes]][s[index[:n_genes]] > 0]) for index, s in zip(ranked.T, saliency.T, strict=True)
    ]
    down = [
        ";".join(genes[index[::-1][:n_genes]][s[index[::-1][:n_genes]] < 0])
        for index, s in zip(ranked.T, saliency.T, strict=True)
    ]
    strongest = np.argsort(-np.abs(saliency), axis=0, kind="stable")[:n_genes]  # genes × units
    chosen = np.zeros(saliency.shape, dtype=np.float32)
    np.put_along_axis(chosen, strongest, 1 / n_genes, axis=0)
    r = rank_correlation(units, read_inputs(cells, chosen))
    return {
        "direction": np.select([r > CLEAR, r < -CLEAR], ["up", "down"], "").astype(object),
        "direction_r": r,
        "top_genes_up": np.array(up, dtype=object),
        "top_genes_down": np.array(down, dtype=object),
    }


def groups_of_units(units: NDArray[np.float32], plan: Contrast | None) -> dict[str, NDArray[Any]]:
    """The group in which each unit is most active, against the rest."""
    n_units = units.shape[1]
    if plan is None:
        return {"group": np.full(n_units, "", dtype=object), "group_difference": np.full(n_units, np.nan)}
    difference = activity_differences(units, plan.members, plan.reference_members)  # groups × units
    best = difference.argmax(axis=0)
    return {
        "group": np.array(plan.groups, dtype=object)[best],
        "group_difference": difference[best, np.arange(n_units)],
    }


def sets_of_units(entry: dict[str, Any] | None, n_units: int) -> dict[str, NDArray[Any]]:
    """The gene sets of smallest p in a result of `tl.enrich_units`; empty without one."""
    empty = {name: np.full(n_units, "", dtype=object) for name in ("set", "set_direction", "sets")}
    if entry is None:
        return {**empty, "set_q": np.full(n_units, np.nan)}
    names = np.array([str(name) for name in entry["sets"]], dtype=object)
    p, q, z = (np.asarray(entry[name], dtype=np.float64) for name in ("p", "q", "z"))  # sets × units
    order = np.array([np.lexsort((-np.abs(z[:, unit]), p[:, unit])) for unit in range(n_units)])
    first, index = order[:, 0], np.arange(n_units)
    listed = [[names[s] for s in order[unit, :MAX_SETS] if q[s, unit] <= SIGNIFICANT] for unit in index]
    return {
        "set": names[first],
        "set_q": q[first, index],
        "set_direction": np.where(z[first, index] < 0, "down", "up").astype(object),
        "sets": np.array([";".join(sets) for sets in listed], dtype=object),
    }


def flags_of_units(units: NDArray[np.float32], states: pd.DataFrame, *, flag_above: float) -> dict[str, NDArray[Any]]:
    """Spearman's correlation of each unit with what varies besides the kind of cell, and which are strong."""
    result = {}
    for name in states:
        column = states[name].to_numpy(dtype=np.float64)
        known = bool(np.isfinite(column).all())
        repeated = np.broadcast_to(column[:, None], units.shape)
        result[str(name)] = rank_correlation(units, repeated) if known else np.full(units.shape[1], np.nan)
    phases = np.stack([result.pop(name) for name in CELL_CYCLE])
    strongest = np.where(np.isnan(phases), -1.0, np.abs(phases)).argmax(axis=0)
    result["cell_cycle"] = phases[strongest, np.arange(units.shape[1])]
    strong = {name: np.abs(result[name]) > flag_above for name in FLAGS}  # NaN is not
    words = [";".join(name for name in FLAGS if strong[name][unit]) for unit in range(units.shape[1])]
    return {**{name: result[name] for name in FLAGS}, "flags": np.array(words, dtype=object)}


def _rank(effect: NDArray[np.float64]) -> NDArray[np.intp]:
    """Place of each unit, 0 for the largest effect; of two alike the first is first."""
    place = np.empty(len(effect), dtype=np.intp)
    place[np.argsort(-effect, kind="stable")] = np.arange(len(effect))
    return place
