"""Edits that the page of `modulae.report` has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modulae._model_io.model_file import model_fingerprint

if TYPE_CHECKING:
    from modulae.core.model.fitted import Fitted

PARTS = ("rename", "merge", "drop", "technical")
ABOUT = ("modulae_edits", "model", "key")
"""What stands beside the edits: the version of the format, which model they are of, and what it was called."""

VERSION = 1


def read_edits_file(given: Any, fitted: Fitted) -> dict[str, Any]:  # noqa: ANN401
    """What was asked for in a file, or in what `json.load` made of it.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    TypeError
        Neither a path nor a dict.
    ValueError
        No edits, or those of another model.
    """
    named = "edits=" if isinstance(given, Mapping) else repr(str(given))
    edits = given if isinstance(given, Mapping) else _parsed(given)
    unknown = [] if edits is None else [str(name) for name in edits if name not in {*PARTS, *ABOUT}]
    if edits is None or unknown or not any(edits.get(part) for part in PARTS):
        what = f"has {unknown[0]!r}, which is no edit" if unknown else "holds no edits"
        msg = f"{named} {what}. Give the file that the page of `mo.report` saves with 'Download edits'."
        raise ValueError(msg)
    if edits.get("modulae_edits", VERSION) != VERSION:
        msg = f"{named} is of a newer version. Update: `pip install --upgrade modulae`."
        raise ValueError(msg)
    if "model" in edits and edits["model"] != model_fingerprint(fitted):
        msg = (
            f"{named} is of another model, or of this one before units were merged or dropped: its numbers may mean "
            "other units. Write the page again with `mo.report(adata)`, and edit there; or leave out 'model' from the "
            "file where you know that they mean the same."
        )
        raise ValueError(msg)
    return {part: _numbered(edits[part]) for part in PARTS if edits.get(part)}


def _numbered(given: Any) -> Any:  # noqa: ANN401
    """Units with their numbers as numbers: JSON has them as text, where they could also be names."""
    if isinstance(given, Mapping):
        return {_numbered(unit): value for unit, value in given.items()}
    if isinstance(given, list | tuple):
        return [_numbered(one) for one in given]
    return int(given) if isinstance(given, str) and given.isdecimal() else given


def _parsed(path: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
    if not isinstance(path, str | Path) and not hasattr(path, "__fspath__"):
        msg = f"edits is {type(path).__name__}; give the path of a file, such as 'edits.json', or a dict."
        raise TypeError(msg)
    file = Path(path)
    if not file.is_file():
        msg = f"there is no file {str(path)!r}. Give the path of the file that the page of `mo.report` has saved."
        raise FileNotFoundError(msg)
    try:
        edits = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return edits if isinstance(edits, Mapping) else None
