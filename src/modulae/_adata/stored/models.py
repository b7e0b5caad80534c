"""Trained models in uns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .lazy_results import loaded
from .ownership import check_entry, is_model
from .steps import step

if TYPE_CHECKING:
    from anndata import AnnData

    from modulae.core.model.fitted import Fitted


def read_model(adata: AnnData, key: str) -> Fitted:
    """The model that `tl.autoencoder` stored under `key`."""
    from modulae.core.model.fitted import Fitted

    entry = model_entry(adata, key)
    return Fitted.from_dict(entry["model"], entry["params"], entry["history"])


def model_entry(adata: AnnData, key: str, *made_by: str) -> dict[str, Any]:
    """The `uns` entry of a trained model: `params`, `history`, `model`; `made_by` is what to run first."""
    entry = adata.uns.get(key, {})
    if not is_model(entry):
        available = model_names(adata)
        first = step(*(made_by or ("tl.autoencoder",)), key=key)
        hint = f"Trained models here: {available}; name one in key=." if available else f"Run {first} first."
        msg = f"there is no model {key!r} in adata.uns. {hint}"
        raise KeyError(msg)
    check_entry(entry, key)
    return dict(loaded(entry))


def replication_entry(adata: AnnData, key: str) -> dict[str, Any]:
    """What is known of how the units of a model replicate.

    Raises
    ------
    KeyError
        No such model, or one whose units were not looked for in halves of the cells.
    """
    entry = model_entry(adata, key)
    if "replication" not in entry:
        msg = (
            f"nothing says how the units of the model {key!r} replicate: it was trained once, here or elsewhere. "
            f"To look for units in halves of these cells, run `mo.tl.autoencoder(adata, key_added={key!r})`."
        )
        raise KeyError(msg)
    return dict(entry["replication"])


def model_names(adata: AnnData) -> list[str]:
    """Names of the trained models."""
    return [str(name) for name, value in adata.uns.items() if is_model(value)]
