"""Find stored results, or say what there is and what to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.labels import written

from .lazy_results import loaded
from .ownership import check_rows

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def unit_names(n_units: int) -> list[str]:
    """Units are numbered from 0 and labelled by string."""
    return [str(unit) for unit in range(n_units)]


def unit_position(unit: int | str, n_units: int) -> int:
    """Where a unit stands, given by number or name."""
    names = unit_names(n_units)
    if str(unit) not in names:
        msg = f"unit {unit!r} does not exist: there are {n_units}, counted from 0. Choose one up to {names[-1]}."
        raise IndexError(msg)
    return names.index(str(unit))


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of result in `uns`: what it is called, what tells it from others, what makes it."""

    words: str
    fields: frozenset[str]
    made_by: str
    store: str = "uns"  # where the numbers are, under the same name

    def fits(self, entry: object) -> bool:
        return isinstance(entry, dict) and self.fields <= set(entry)

    def find(self, adata: AnnData, key: str) -> dict[str, Any]:
        """The entry, or what there is instead."""
        if key not in getattr(adata, self.store) or not self.fits(adata.uns.get(key)):
            available = [name for name in getattr(adata, self.store) if self.fits(adata.uns.get(name))]
            hint = f"There are {available}." if available else f"Run `modulae.tl.{self.made_by}` first."
            msg = f"there is no {self.words} {key!r} in adata.{self.store}. {hint}"
            raise KeyError(msg)
        entry = dict(loaded(adata.uns[key]))
        if self.store == "obsm":
            check_rows(adata.obsm[key], entry, key, step=f"Run `modulae.tl.{self.made_by}` on all cells.")
        return entry


_SALIENCY = _Kind("saliency", frozenset({"of_model", "method", "groups"}), "saliency(adata)", "varm")
_IMPACT = _Kind("impact", frozenset({"sets", "all_unscaled"}), "pathway_impact(adata, gene_sets)")
_ACTIVITY = _Kind("pathway activity", frozenset({"sets", "model_cells"}), "pathway_activity(adata, gene_sets)", "obsm")
_SANITY = _Kind("sanity check", frozenset({"verdict", "levels", "controls", "deletion"}), "sanity(adata, gene_sets)")
_ENRICHMENT = _Kind("enrichment", frozenset({"sets", "nes", "leading_edge"}), "enrich_units(adata, gene_sets)")
_JOINT = _Kind(
    "joint embedding", frozenset({"of_model", "reference", "cells"}), "joint_embedding(adata, reference)", "obsm"
)
_UNITS = _Kind("summary of units", frozenset({"table", "flag_above"}), "unit_summary(adata)")


def saliency_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """How `adata.varm[key]` was made."""
    return _SALIENCY.find(adata, key)


def impact_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.pathway_impact` stored under `key`."""
    return _IMPACT.find(adata, key)


def activity_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.pathway_activity` stored under `key`."""
    return _ACTIVITY.find(adata, key)


def sanity_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.sanity` stored under `key`."""
    return _SANITY.find(adata, key)


def enrichment_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.enrich_units` stored under `key`."""
    return _ENRICHMENT.find(adata, key)


def share_found(entry: dict[str, Any]) -> NDArray[np.float64]:
    """Share of each set's genes that the data had; NaN in results of a time when it was not kept."""
    unknown = np.full(len(entry["sets"]), np.nan)
    return np.asarray(entry.get("share_found", unknown), dtype=np.float64)


def units_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.unit_summary` stored under `key`."""
    return _UNITS.find(adata, key)


def joint_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """How `adata.obsm[key]` was made, and where the reference cells lie."""
    return _JOINT.find(adata, key)


def is_comparison(entry: dict[str, Any]) -> bool:
    """Whether groups were compared."""
    return "groups" in entry


def group_position(entry: dict[str, Any], group: str, key: str) -> int:
    """Where a group stands in a stored result."""
    groups = [str(name) for name in np.asarray(entry.get("groups", []))]
    if written(group) not in groups:
        hint = (
            f"Choose one of {groups}." if groups else "It covers all cells: leave out group=, or make it with groupby=."
        )
        msg = f"{key!r} has no group {group!r}. {hint}"
        raise KeyError(msg)
    return groups.index(written(group))
