"""What is known of units where they were found: it goes along wherever the model goes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from modulae._adata.stored.edits import EDITS, history_of
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.unit_labels import SET_COLUMNS, known_sets, names_of_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from modulae.core.model.fitted import Fitted


@dataclass(frozen=True, slots=True)
class KnownUnits:
    """Names, gene sets, replication and edits of the units of a model; empty where nothing is known."""

    names: Mapping[str, str] = field(default_factory=dict)  # by number
    sets: Mapping[str, Any] = field(default_factory=dict)  # columns of the summary: "set", "set_q", "sets"
    replication: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, Any] = field(default_factory=dict)  # by number from "1": what was asked, without undo

    @classmethod
    def of(cls, adata: AnnData, key: str) -> Self:
        """What an AnnData says of the units of one of its models, in whichever cells they were found."""
        entry = model_entry(adata, key)
        known = known_sets(adata, key), entry.get("replication", {}), history_of(entry).get(EDITS, {})
        return cls(names_of_units(adata, key), *known)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote; the names are in the model."""
        sets = {name: np.array(column, dtype=SET_COLUMNS[name]) for name, column in values.get("sets", {}).items()}
        return cls({}, sets, values.get("replication", {}), values.get(EDITS, {}))

    def as_dict(self) -> dict[str, Any]:
        """What is not in the model itself, for a file or for the entry of the model in other cells."""
        parts = {"sets": dict(self.sets), "replication": dict(self.replication), EDITS: dict(self.edits)}
        return {name: part for name, part in parts.items() if part}

    def named(self, fitted: Fitted) -> Fitted:
        """The model with these names of its units; units without one have an empty name."""
        if not self.names:
            return fitted
        names = [self.names.get(str(unit), "") for unit in range(fitted.network.n_units)]
        return replace(fitted, unit_names=np.array(names, dtype=str))
