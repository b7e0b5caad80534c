"""What the user has changed in a model, with what it was before, so that each change can be taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .fields import Fields
from .lazy_results import loaded
from .ownership import ENTRY_STAMP, is_result, stamp_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

EDITS = "edits"
"""Part of the entry of a model: "1", "2", …, each what was asked and what was there before."""

MARKS = ("unit_names", "technical")
"""Parts of a stored model that say something of units, and that no number depends on."""


def read_edits(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The edits of a model, the first first."""
    edits = loaded(entry.get(EDITS, {}))
    return [dict(edits[number]) for number in sorted(edits, key=int)]


def as_stored(edits: list[dict[str, Any]]) -> dict[str, Any]:
    """The part of an entry that :func:`read_edits` reads; no part where there are none."""
    return {EDITS: {str(number): edit for number, edit in enumerate(edits, 1)}} if edits else {}


def asked_of(edit: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for: `rename`, `merge`, `drop`, `technical`, as far as they were."""
    return dict(json.loads(str(edit["asked"])))


def new_edit(
    asked: Mapping[str, Any], became: NDArray[np.intp], before: Mapping[str, Any], losses: tuple[float, float] | None
) -> dict[str, Any]:
    """An entry of the history.

    Parameters
    ----------
    asked
        Plain values.
    became
        Units before the edit: the number of each after it, −1 for one that is gone.
    before
        Parts of the entry of the model that undo has to put back.
    losses
        Held-out loss before and after; `None` where no number changed.
    """
    of_loss = {} if losses is None else dict(zip(("loss_before", "loss_after"), losses, strict=True))
    return {"asked": json.dumps(dict(asked)), "became": became, "before": dict(before), **of_loss}


def history_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The edits of a model as they go along with it to other cells: what was asked, without what undo needs."""
    kinds: dict[str, Any] = {"asked": str, "became": np.array, "loss_before": float, "loss_after": float}
    every = [{name: kind(edit[name]) for name, kind in kinds.items() if name in edit} for edit in read_edits(entry)]
    return as_stored(every)


def marks_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The names and marks of a stored model, as far as there are any."""
    return {name: model[name] for name in MARKS if name in model}


def store_marks(adata: AnnData, key: str, marks: Mapping[str, Any], edits: list[dict[str, Any]]) -> None:
    """Write other names and marks into a model, which changes no number, and the history with them."""
    entry = {name: value for name, value in adata.uns[key].items() if name != EDITS}
    entry["model"] = {**{name: value for name, value in entry["model"].items() if name not in MARKS}, **marks}
    entry |= as_stored(edits)
    adata.uns[key] = {**entry, **({ENTRY_STAMP: stamp_model(entry)} if ENTRY_STAMP in entry else {})}


def results_of(adata: AnnData, key: str) -> list[str]:
    """Names in `uns` of what was made with a model, besides its loadings."""
    made = {str(name) for name, value in adata.uns.items() if is_result(value) and str(value["of_model"]) == key}
    return sorted(made - {Fields(key).loadings})
