"""Find stored results, or say what there is and what to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.labels import written

from .fields import DEFAULT_KEY, Fields
from .lazy_results import loaded
from .models import model_entry, model_names
from .ownership import check_rows
from .steps import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray


def unit_names(n_units: int) -> list[str]:
    """Units are numbered from 0 and labelled by string."""
    return [str(unit) for unit in range(n_units)]


@dataclass(frozen=True, slots=True)
class Stored:
    """A result that was found."""

    name: str
    key: str
    """The model it is of."""
    entry: dict[str, Any]
    by_group: list[str]
    """Results of the same kind and model that have groups."""

    @property
    def is_comparison(self) -> bool:
        """Whether groups were compared."""
        return "groups" in self.entry

    def group_position(self, group: str) -> int:
        """Where a group stands."""
        groups = [str(name) for name in np.asarray(self.entry.get("groups", []))]
        if written(group) not in groups:
            other = f"choose result= from {self.by_group}" if self.by_group else "make it with groupby="
            hint = (
                f"Choose one of {list(dict.fromkeys(groups))}."
                if groups
                else f"It covers all cells: leave out group=, or {other}."
            )
            msg = f"{self.name!r} has no group {group!r}. {hint}"
            raise KeyError(msg)
        return groups.index(written(group))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of result in `uns`: what it is called, what tells it from others, what makes it.

    A function that reads one takes `key`, the model, and `result`, the name where it is not the usual one. The result
    has to be of that model. Only where nobody can have meant the default model, because there is none of that name, a
    named result of another model is taken.
    """

    words: str
    fields: frozenset[str]
    usual: Callable[[Fields], str]
    made_by: tuple[str, ...]
    """A function of `tl`, and what it is given."""
    store: str = "uns"  # where the numbers are, under the same name
    by_column: bool = False
    """Whether the usual name ends with the column that was compared; the only result of a model needs no name."""

    def find(
        self,
        adata: AnnData,
        *,
        key: str,
        result: str | None = None,
        groupby: str | None = None,
        argument: str = "result",
    ) -> Stored:
        """The result, or what there is instead; `argument` is what the caller calls `result`.

        Raises
        ------
        KeyError
            There is none, or no such model.
        ValueError
            It is of another model.
        """
        usual = self.usual(Fields(key)) + ("" if groupby is None else f"_{groupby}")
        name = usual if result is None else result
        any_model = result is not None and key == DEFAULT_KEY and key not in model_names(adata)
        names = [name for name in getattr(adata, self.store) if self._fits(adata, name)]
        of_model = {name: str(adata.uns[name].get("of_model", key)) for name in names}
        if self.by_column and result is None and groupby is None:
            only = [one for one, model in of_model.items() if model == key]
            name = only[0] if len(only) == 1 else name
        if name not in of_model:
            known = [one for one, model in of_model.items() if any_model or model == key]
            known = known if groupby is None else [one for one in known if self._by_group(adata, one)]
            if key not in model_names(adata) and not (known and result is not None):
                model_entry(adata, key)  # raises
            run = self._step(adata, key, result, groupby)
            other = "".join(f", or name the model that has one: key={model!r}" for model in list(of_model.values())[:1])
            hint = f"There are {known}: name one in {argument}=. Or run {run}." if known else f"Run {run} first{other}."
            several = known if self.by_column and result is None and groupby is None else []
            if len(several) > 1:
                call = step(f"get.{self.made_by[0]}", key=key, result=known[0])
                msg = f"there are several results, {known}. Name one of them in {argument}=, as in {call}."
                raise KeyError(msg)
            msg = f"there is no {self.words} {name!r} in adata.{self.store}. {hint}"
            raise KeyError(msg)
        model = of_model[name]
        if model != key and not any_model:
            named = f"key={model!r}" if result is not None else f"key={model!r}, {argument}={name!r}"
            msg = f"{self.words} {name!r} is of the model {model!r}, not of {key!r}. Name that model: {named}."
            raise ValueError(msg)
        entry = dict(loaded(adata.uns[name]))
        if self.store == "obsm":
            run = self._step(adata, model, result, groupby)
            check_rows(adata.obsm[name], entry, name, step=f"Run {run} on all cells.")
        others = [one for one in names if of_model[one] == model and self._by_group(adata, one)]
        return Stored(name, model, entry, others)

    def of_model(self, adata: AnnData, key: str) -> list[str]:
        """The names of all results of this kind of a model."""
        every = [name for name in getattr(adata, self.store) if self._fits(adata, name)]
        return [name for name in every if str(adata.uns[name].get("of_model", key)) == key]

    def _fits(self, adata: AnnData, name: str) -> bool:
        entry = adata.uns.get(name)
        return isinstance(entry, dict) and self.fields <= set(entry)

    @staticmethod
    def _by_group(adata: AnnData, name: str) -> bool:
        return len(adata.uns[name].get("groups", ())) > 0

    def _step(self, adata: AnnData, key: str, result: str | None, groupby: str | None) -> str:
        """The call that makes the result under this name."""
        function, *others = self.made_by
        usual = self.usual(Fields(key))
        if result is not None and self in {SALIENCY, IMPACT} and result.startswith(f"{usual}_"):
            column = result.removeprefix(f"{usual}_")
            result, groupby = (None, column) if column in adata.obs else (result, groupby)
        added = None if result == usual else result
        return step(f"tl.{function}", *others, key=key, groupby=groupby, key_added=added)


SALIENCY = Kind(
    "saliency", frozenset({"of_model", "method", "groups"}), lambda fields: fields.saliency(), ("saliency",), "varm"
)
IMPACT = Kind(
    "impact", frozenset({"sets", "all_unscaled"}), lambda fields: fields.impact(), ("pathway_impact", "gene_sets")
)
ACTIVITY = Kind(
    "pathway activity",
    frozenset({"sets", "model_cells"}),
    lambda fields: fields.pathways,
    ("pathway_activity", "gene_sets"),
    "obsm",
)
SANITY = Kind(
    "sanity check",
    frozenset({"verdict", "levels", "controls", "deletion"}),
    lambda fields: fields.sanity,
    ("sanity", "gene_sets"),
)
ENRICHMENT = Kind(
    "enrichment",
    frozenset({"sets", "nes", "leading_edge"}),
    lambda fields: fields.enrichment,
    ("enrich_units", "gene_sets"),
)
JOINT = Kind(
    "joint embedding",
    frozenset({"of_model", "reference", "cells"}),
    lambda fields: fields.joint,
    ("joint_embedding", "reference"),
    "obsm",
)
RANKS = Kind(
    "ranking of units",
    frozenset({"of_model", "categories", "statistics"}),
    lambda fields: fields.rank(),
    ("rank_units", "groupby=..."),
    by_column=True,
)
CALLS = Kind("table of calls", frozenset({"threshold", "level_on"}), lambda fields: fields.on, ("call_units",), "obsm")
UNITS = Kind("summary of units", frozenset({"table", "caveat_above"}), lambda fields: fields.units, ("unit_summary",))


def share_found(entry: dict[str, Any]) -> NDArray[np.float64]:
    """Share of each set's genes that the data had; NaN in results of a time when it was not kept."""
    unknown = np.full(len(entry["sets"]), np.nan)
    return np.asarray(entry.get("share_found", unknown), dtype=np.float64)
