"""What is said of every unit: its effect, its genes and its gene sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.results import unit_names
from modulae.core.inference.encode import read_inputs
from modulae.core.scores.correlation import correlation, rank_correlation

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def use_of_units(
    units: NDArray[np.float32], effect: NDArray[np.float64], *, redundant_above: float
) -> dict[str, NDArray[Any]]:
    """Share of the effect, dead units, and units that say what one of larger effect says already."""
    gains = np.maximum(effect, 0)
    columns = (column.astype(np.float64) for column in units.T)  # one at a time, as there may be many cells
    still = np.array([column.std() <= DEAD * np.abs(column).mean() for column in columns])
    r = correlation(units, units)
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
    scores: NDArray[np.float64],
    saliency: NDArray[np.float32],
    genes: NDArray[np.str_],
    cells: Source,
    units: NDArray[np.float32],
    *,
    n_genes: int,
) -> dict[str, NDArray[Any]]:
    """Top genes at either end, by score and by saliency, and whether the unit is high where those it makes are counted.

    `scores` are those of :func:`modulae.core.scores.gene_ranking.gene_scores`, genes × units.
    """
    n_genes = min(n_genes, len(genes))
    made = np.zeros(scores.shape, dtype=np.float32)
    for unit, column in enumerate(scores.T):
        first = np.argsort(-column, kind="stable")[:n_genes]
        made[first[column[first] > 0], unit] = 1 / n_genes
    r = rank_correlation(units, read_inputs(cells, made))
    return {
        "top_genes_up": _top(scores, genes, n_genes),
        "top_genes_down": _top(-scores, genes, n_genes),
        "direction": np.select([r > CLEAR, r < -CLEAR], ["up", "down"], "").astype(object),
        "direction_r": np.where(made.any(axis=0), r, np.nan),
        "saliency_up": _top(saliency, genes, n_genes),
        "saliency_down": _top(-saliency, genes, n_genes),
    }


def sets_of_units(entry: dict[str, Any] | None, n_units: int) -> dict[str, NDArray[Any]]:
    """The gene sets of smallest p that a unit reads more than others, with q ≤ 0.05; empty without any.

    A set whose genes *lower* the unit says what the unit is not, and names nothing.
    """
    found: dict[str, NDArray[Any]] = {name: np.full(n_units, "", dtype=object) for name in ("set", "sets")}
    found["set_q"] = np.full(n_units, np.nan)
    if entry is None:
        return found
    names = np.array([str(name) for name in entry["sets"]], dtype=object)
    p, q, z = (np.asarray(entry[name], dtype=np.float64) for name in ("p", "q", "z"))  # sets × units
    for unit in range(n_units):
        order = np.lexsort((-z[:, unit], p[:, unit]))
        listed = order[(q[order, unit] <= SIGNIFICANT) & (z[order, unit] > 0)]
        if len(listed):
            found["set"][unit], found["set_q"][unit] = names[listed[0]], q[listed[0], unit]
            found["sets"][unit] = ";".join(names[listed[:MAX_SETS]])
    return found


def _top(values: NDArray[Any], genes: NDArray[np.str_], n_genes: int) -> NDArray[np.object_]:
    """Units: the genes of largest value above 0, the largest first."""
    ranked = np.argsort(-values, axis=0, kind="stable")[:n_genes].T
    return np.array([";".join(genes[at[v[at] > 0]]) for at, v in zip(ranked, values.T, strict=True)], dtype=object)


def _rank(effect: NDArray[np.float64]) -> NDArray[np.intp]:
    """Place of each unit, 0 for the largest effect; of two alike the first is first."""
    place = np.empty(len(effect), dtype=np.intp)
    place[np.argsort(-effect, kind="stable")] = np.arange(len(effect))
    return place
