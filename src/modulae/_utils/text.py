"""Words for messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


WHOLE = re.compile(r"(-?\d+)\.0+")
"""A whole number that was a float before it became text."""


def listed(names: Iterable[object], n: int = 5) -> str:
    """Write the first `n` names as text, and how many more there are."""
    every = [str(name) for name in names]
    return ", ".join(every[:n]) + (f", … ({len(every) - n} more)" if len(every) > n else "")


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what there is of it: "1 gene set", "2 gene sets"; `many` where it is not `one` with an s."""
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def verb(n: int, one: str = "is", many: str = "are") -> str:
    """The verb after "n of N units"."""
    return one if n == 1 else many


def choose(names: Iterable[object], otherwise: str) -> str:
    """A sentence with the names to choose from, or else what to do; only the latter where there are no names.

    `otherwise` begins with a small letter, and has no full stop.
    """
    every = [str(name) for name in names]
    return f"Choose one of {every}, or {otherwise}." if every else f"{otherwise[0].upper()}{otherwise[1:]}."


def whole_as_text(text: str) -> str:
    """An identifier that is a number, without the `.0` of a float."""
    result = WHOLE.fullmatch(text)
    return result.group(1) if result else text
