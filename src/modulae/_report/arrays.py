"""The numbers behind the pictures, packed into one compressed text."""

from __future__ import annotations

import base64
import gzip
import json
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.data.downsample import downsample_by_density, map_extent, to_bytes
from modulae.core.statistics.group_pairs import GroupActivity, pairs

from .numbers import six_digits
from .units import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .material import Column, Material

N_UNITS_KEPT = 8
"""Units that are kept for each gene and set: those that read it most."""

MAX_PAIR_VALUES = 200_000
"""Sets × pairs of groups on a page; beyond, the sets with the least evidence in any unit are left out."""

MAX_PARTS = 1000
"""Groups of one column within those of another that are on a page; of columns with more none are."""

COMPRESSION = 6


def pack(arrays: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Where each array lies, and all bytes: gzip, then base64. What is no array is kept as JSON."""
    places, blocks, index = [], [], 0
    for name, values in arrays.items():
        if isinstance(values, np.ndarray):
            little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
            kind, block = values.dtype.str[1:], little.tobytes()
        else:
            kind, block = "json", json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        places.append({"name": name, "kind": kind, "start": index, "bytes": len(block)})
        padding = -len(block) % 8  # a typed array has to start where its numbers may
        blocks += [block, bytes(padding)]
        index += len(block) + padding
    packed = gzip.compress(b"".join(blocks), COMPRESSION, mtime=0)
    return places, base64.b64encode(packed).decode("ascii")


def arrays_of(material: Material, live: list[int], named: list[int], *, max_cells: int, seed: int) -> dict[str, Any]:
    """Everything a click needs. Cells are those that are drawn; means of groups are over all cells.

    `live` are the units with a card, `named` those of them that read something: the others may be chance.
    """
    placed = material.placed
    shown = placed[downsample_by_density(material.layout[placed], max_cells, np.random.default_rng(seed))]
    codes, scale = to_bytes(material.activity, shown, np.array(live, dtype=np.intp))
    result: dict[str, Any] = {
        "layout": map_extent(material.layout[shown]),
        "activity": np.ascontiguousarray(codes.T),  # units × cells
        "scale": scale.T.astype(np.float64),  # units × (lowest, highest)
        "cells": [str(name) for name in material.cells[shown]],
        "genes": [str(gene) for gene in material.saliency.index],
        **_readers_of_genes(material, live, named),
        "sets": material.sets,
        "set_labels": [readable(name) for name in material.sets],
        **_readers_of_sets(material, live, named),
    }
    for index, ranking in enumerate(material.rankings):
        result |= ranking.arrays(live, index)
    result |= _crossed(material.columns, material.activity, live)
    for index, column in enumerate(material.columns):
        result[f"codes{index}"] = column.codes[shown].astype(np.int16)
        result |= {f"{name}{index}": values for name, values in _groups(column, live, material).items()}
    return result


def _readers_of_genes(material: Material, live: list[int], named: list[int]) -> dict[str, NDArray[Any]]:
    """Genes × readers: units in whose ranking the gene stands highest, its saliency and its place there."""
    values = material.saliency.to_numpy()[:, named]
    n = min(N_UNITS_KEPT, len(named))
    place = np.empty(values.shape, dtype=np.int64)
    order = np.argsort(-np.abs(values), axis=0, kind="stable")
    np.put_along_axis(place, order, np.arange(1, len(values) + 1)[:, None], axis=0)
    first = np.argsort(place, axis=1, kind="stable")[:, :n]
    return {
        "gene_units": _among(live, named)[first],
        "gene_saliency": np.take_along_axis(values, first, axis=1).astype(np.float32),
        "gene_places": np.take_along_axis(place, first, axis=1).astype(np.uint32),
    }


def _readers_of_sets(material: Material, live: list[int], named: list[int]) -> dict[str, NDArray[Any]]:
    """Sets × readers: units of smallest p; what the enrichment says of set and unit."""
    if material.enrichment is None:
        return {}
    tables = {
        name: material.enrichment.pivot_table(index="set", columns="unit", values=name)
        .reindex(index=material.sets, columns=[str(unit) for unit in named])
        .to_numpy()
        for name in ("p", "z", "q", "effect")
    }
    n = min(N_UNITS_KEPT, len(named))
    first = np.lexsort((-np.abs(tables["z"]), tables["p"]), axis=1)[:, :n]
    kept = {name: np.take_along_axis(tables[name], first, axis=1).astype(np.float32) for name in ("z", "q", "effect")}
    return {"set_units": _among(live, named)[first], **{f"set_{name}": values for name, values in kept.items()}}


def _among(live: list[int], named: list[int]) -> NDArray[np.uint16]:
    """Where each named unit stands among those with a card."""
    return np.array([live.index(unit) for unit in named], dtype=np.uint16)


def _groups(column: Column, live: list[int], material: Material) -> dict[str, Any]:
    """What any two groups are compared with: moments of the activity, and the sets between every two."""
    activity = column.activity
    result: dict[str, Any] = {
        "n": activity.n_cells,
        "mean": activity.mean[:, live],
        "variance": activity.variance[:, live],
        **({} if column.on is None else {"on": column.on[:, live].astype(np.float32)}),
    }
    if column.set_saliency is None:
        return result
    every = pairs(len(column.groups))
    kept = _sets_to_compare(material, len(every))
    saliency = column.set_saliency[:, kept]
    result["pair_sets"] = kept.astype(np.uint32)
    result["pair_effects"] = np.stack([activity.set_difference(*sides, saliency) for sides in every]).astype(np.float32)
    if column.tested is not None:
        result["tested"] = _tested(column, material, kept)
    return result


def _sets_to_compare(material: Material, n_pairs: int) -> NDArray[np.intp]:
    room = max(1, MAX_PAIR_VALUES // n_pairs)
    if len(material.sets) <= room or material.enrichment is None:
        return np.arange(len(material.sets))
    evidence = material.enrichment.groupby("set")["p"].min().reindex(material.sets).to_numpy()
    return np.sort(np.argsort(evidence, kind="stable")[:room])


def _tested(column: Column, material: Material, kept: NDArray[np.intp]) -> list[dict[str, Any]]:
    """Stored p-values, one entry a comparison: effect, p and q for the sets on the page; null where not tested."""
    table = column.tested
    result = []
    for (group, reference), rows in table.groupby(["group", "reference"], sort=False):  # type: ignore[union-attr]
        by_set = rows.set_index("set").reindex([material.sets[index] for index in kept])
        columns = {name: [six_digits(value) for value in by_set[name]] for name in ("effect", "p", "q")}
        result.append({"group": str(group), "reference": str(reference), **columns})
    return result


def _crossed(columns: Sequence[Column], units: NDArray[np.floating], live: Sequence[int]) -> dict[str, Any]:
    """Moments of the activity for the groups of each column within those of every later one.

    `crossed0_1` names the parts that have cells, [group of column 0, group of column 1, cells]; `mean0_1` and
    `variance0_1` are parts × units.
    """
    result: dict[str, Any] = {}
    for (first, one), (second, other) in combinations(enumerate(columns), 2):
        if len(one.groups) * len(other.groups) > MAX_PARTS:
            continue
        code = np.where((one.codes < 0) | (other.codes < 0), -1, one.codes * len(other.groups) + other.codes)
        parts = np.unique(code[code >= 0])
        if not len(parts):
            continue
        moments = [
            GroupActivity.of(units[code == part][:, live], np.ones((1, int((code == part).sum())), bool))
            for part in parts
        ]
        name = f"{first}_{second}"
        result[f"crossed{name}"] = [
            [*map(int, divmod(part, len(other.groups))), int(moment.n_cells[0])]
            for part, moment in zip(parts, moments, strict=True)
        ]
        for what in ("mean", "variance"):
            result[f"{what}{name}"] = np.concatenate([getattr(moment, what) for moment in moments])
    return result
