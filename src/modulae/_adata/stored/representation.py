"""The representation of a model: found, and held to be that of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .fields import Fields
from .ownership import check_entry, check_rows, is_model
from .steps import step

if TYPE_CHECKING:
    from anndata import AnnData


def model_units(adata: AnnData, key: str) -> Any:  # noqa: ANN401
    """Cells × units that the model `key` has written.

    Raises
    ------
    KeyError
        There is no representation, or no model that it could be of.
    ValueError
        The representation of another model, as where objects have been joined.
    """
    field, entry = Fields(key).representation, adata.uns.get(key)
    available = [str(name) for name, value in adata.uns.items() if is_model(value)]
    if field not in adata.obsm:
        hint = (
            f"Trained models here: {available}; name one in key=."
            if available
            else f"Run {step('tl.autoencoder', key=key)} first."
        )
        if key in available:
            hint = f"It was removed since: run {step('tl.autoencoder', key=key)} again."
        msg = f"adata.obsm has no {field!r}. {hint}"
        raise KeyError(msg)
    if not is_model(entry):
        hint = f"Trained models here: {available}; name one in key=. " if available else ""
        msg = (
            f"there is adata.obsm[{field!r}], but no model {key!r} in adata.uns to say what its units are. {hint}"
            "Joining objects drops `uns`: keep it with `ad.concat(objects, uns_merge='same')` where all have the same "
            f"model, or read all cells with one model: `mo.tl.transfer(adata, model, key_added={key + '2'!r})`."
        )
        raise KeyError(msg)
    check_field(adata, field)
    return adata.obsm[field]


def check_field(adata: AnnData, field: str) -> None:
    """Refuse the representation of another model than that of its name; any other field is the user's.

    Raises
    ------
    ValueError
        As :func:`model_units`.
    """
    key = field.removeprefix("X_")
    entry = adata.uns.get(key)
    if not is_model(entry) or Fields(key).representation != field:
        return
    check_entry(entry, key)
    given = f"model_key={key!r}, key_added={key!r}"
    given += f", layer={str(entry['layer'])!r}" if "layer" in entry else ""
    step = f"Read all cells with one model: `mo.tl.transfer(adata, adata, {given})`."
    check_rows(adata.obsm[field], entry, field, step=step)
