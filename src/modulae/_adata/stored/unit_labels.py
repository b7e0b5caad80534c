"""What units are called: the one place that tables, pictures and the report ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .fields import Fields
from .lazy_results import loaded
from .models import model_entry
from .ownership import is_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

SET_COLUMNS = {"set": object, "set_q": np.float64, "sets": object}
"""What the summary says of the gene sets of a unit."""


def names_of_units(adata: AnnData, key: str) -> dict[str, str]:
    """Names by number ("0", "1", …): the user's, else those of `tl.unit_summary`; units without one are left out."""
    columns = _summary(adata, key)
    names = [str(name) for name in np.asarray(columns.get("name", []))]
    return {str(unit): name for unit, name in enumerate(users_names(adata, key) or names) if name}


def users_names(adata: AnnData, key: str) -> list[str]:
    """Names that the user gave the units, in their order; empty where there are none."""
    entry: Any = adata.uns.get(key)
    names = entry["model"].get("unit_names", ()) if is_model(entry) else ()
    return [str(name) for name in loaded(names)]


def name_column(adata: AnnData, key: str, units: Sequence[str]) -> NDArray[np.object_]:
    """A column of a table: the name of each of `units`, NaN for one without."""
    names = names_of_units(adata, key)
    return np.array([names.get(unit, np.nan) for unit in units], dtype=object)


def effects_of_units(adata: AnnData, key: str) -> NDArray[np.float64] | None:
    """What the loss rises by without each unit, as far as `tl.unit_summary` has said so."""
    columns = _summary(adata, key)
    return np.asarray(columns["effect"], dtype=np.float64) if "effect" in columns else None


def known_sets(adata: AnnData, key: str) -> dict[str, NDArray[Any]]:
    """Columns of the summary with the gene sets of each unit, from these cells or those it was found in.

    Empty where none were tested.
    """
    columns = _summary(adata, key)
    if any(str(name) for name in columns.get("set", ())):
        return _set_columns(columns)
    return carried_sets(adata, key)


def carried_sets(adata: AnnData, key: str) -> dict[str, NDArray[Any]]:
    """The same as :func:`modulae.tl.transfer` took them along with the model; empty where it took none."""
    sets = model_entry(adata, key).get("transfer", {}).get("sets")
    return {} if sets is None else _set_columns(sets)


def _set_columns(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: np.array(columns[name], dtype=kind) for name, kind in SET_COLUMNS.items()}


def units_without_names(adata: AnnData, key: str) -> frozenset[str]:
    """Numbers of the units that are not to be named: dead, as far as it is known, or below the level."""
    columns = _summary(adata, key)
    nothing = np.asarray(columns.get("dead", []), dtype=bool)
    replication = model_entry(adata, key).get("replication")
    if replication is not None:
        below = np.asarray(replication["reproducibility"], dtype=np.float64) < float(replication["level"])  # NaN is not
        nothing = below | nothing if len(nothing) == len(below) else below
    return frozenset(str(unit) for unit in np.flatnonzero(nothing))


def _summary(adata: AnnData, key: str) -> dict[str, Any]:
    """The columns of the summary of units, empty where there is none of this model."""
    entry = adata.uns.get(Fields(key).units, {})
    usable = isinstance(entry, dict) and "table" in entry and str(entry.get("of_model", key)) == key
    return dict(loaded(entry["table"])) if usable else {}
