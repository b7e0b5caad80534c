"""Find stored results, or say what there is and what to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData


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


def saliency_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """How `adata.varm[key]` was made."""
    if key not in adata.varm or not _is_saliency(adata.uns.get(key)):
        there = [name for name in adata.varm if _is_saliency(adata.uns.get(name))]
        hint = f"There are {there}." if there else "Run `modulae.tl.saliency(adata)` first."
        msg = f"there is no saliency {key!r} in adata.varm. {hint}"
        raise KeyError(msg)
    return adata.uns[key]  # type: ignore[no-any-return]


def impact_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.pathway_impact` stored under `key`."""
    entry = adata.uns.get(key, {})
    if not _is_impact(entry):
        there = [name for name, value in adata.uns.items() if _is_impact(value)]
        hint = f"There are {there}." if there else "Run `modulae.tl.pathway_impact(adata, gene_sets)` first."
        msg = f"there is no impact {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    return dict(entry)


def activity_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.pathway_activity` stored under `key`."""
    if key not in adata.obsm or not _is_activity(adata.uns.get(key)):
        there = [name for name, value in adata.uns.items() if _is_activity(value)]
        hint = f"There are {there}." if there else "Run `modulae.tl.pathway_activity(adata, gene_sets)` first."
        msg = f"there are no pathway activities {key!r} in adata.obsm. {hint}"
        raise KeyError(msg)
    return dict(adata.uns[key])


def sanity_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.sanity` stored under `key`."""
    entry = adata.uns.get(key, {})
    if not _is_sanity(entry):
        there = [name for name, value in adata.uns.items() if _is_sanity(value)]
        hint = f"There are {there}." if there else "Run `modulae.tl.sanity(adata, gene_sets)` first."
        msg = f"there is no sanity check {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    return dict(entry)


def enrichment_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.enrich_units` stored under `key`."""
    entry = adata.uns.get(key, {})
    if not _is_enrichment(entry):
        there = [name for name, value in adata.uns.items() if _is_enrichment(value)]
        hint = f"There are {there}." if there else "Run `modulae.tl.enrich_units(adata, gene_sets)` first."
        msg = f"there is no enrichment {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    return dict(entry)


def units_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What `tl.unit_summary` stored under `key`."""
    entry = adata.uns.get(key, {})
    if not _is_units(entry):
        there = [name for name, value in adata.uns.items() if _is_units(value)]
        hint = f"There are {there}." if there else "Run `modulae.tl.unit_summary(adata)` first."
        msg = f"there is no summary of units {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    return dict(entry)


def is_comparison(entry: dict[str, Any]) -> bool:
    """Whether groups were compared."""
    return "groups" in entry


def group_position(entry: dict[str, Any], group: str, key: str) -> int:
    """Where a group stands in a stored result."""
    groups = [str(name) for name in np.asarray(entry.get("groups", []))]
    if str(group) not in groups:
        hint = (
            f"Choose one of {groups}." if groups else "It covers all cells: leave out group=, or make it with groupby=."
        )
        msg = f"{key!r} has no group {group!r}. {hint}"
        raise KeyError(msg)
    return groups.index(str(group))


def _is_saliency(entry: object) -> bool:
    return isinstance(entry, dict) and {"of_model", "method", "groups"} <= set(entry)


def _is_impact(entry: object) -> bool:
    return isinstance(entry, dict) and {"sets", "all_unscaled"} <= set(entry)


def _is_activity(entry: object) -> bool:
    return isinstance(entry, dict) and {"sets", "model_cells"} <= set(entry)


def _is_sanity(entry: object) -> bool:
    return isinstance(entry, dict) and {"verdict", "levels", "controls", "deletion"} <= set(entry)


def _is_enrichment(entry: object) -> bool:
    return isinstance(entry, dict) and {"sets", "nes", "leading_edge"} <= set(entry)


def _is_units(entry: object) -> bool:
    return isinstance(entry, dict) and {"table", "flag_above"} <= set(entry)
