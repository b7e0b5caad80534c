"""Names that fit beside a picture: shared prefixes once, long ones shortened in the middle."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLLECTIONS = (
    "HALLMARK",
    "REACTOME",
    "KEGG_MEDICUS",
    "KEGG",
    "BIOCARTA",
    "PID",
    "WP",
    "GOBP",
    "GOCC",
    "GOMF",
    "HP",
)
"""Collections whose name MSigDB puts before every set; a longer one stands before one that it starts with."""

MAX_SET_LENGTH = 45
"""Characters of a set name that are drawn in full."""


def set_labels(names: Sequence[str], *, width: int = MAX_SET_LENGTH) -> tuple[str, list[str]]:
    """Split off the collection all names share ("" if none), and shorten the rest; different names stay different."""
    collection = next((c for c in COLLECTIONS if names and all(_belongs(name, c) for name in names)), "")
    rest = [name[len(collection) + 1 :] if collection else name for name in names]
    return collection, shortened(rest, width)


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Shorten each name to about `width` characters; different names stay different."""
    labels = [shorten(name, width) for name in names]
    while (twice := {label for label, n in Counter(labels).items() if n > 1}) and width < max(map(len, names)):
        width += 10
        labels = [shorten(name, width) if label in twice else label for name, label in zip(names, labels, strict=True)]
    return labels


def shorten(text: str, width: int) -> str:
    """Leave out the middle of what is longer than `width`: set names differ at both ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) * 2 // 5
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _belongs(name: str, collection: str) -> bool:
    return name.startswith(f"{collection}_") and len(name) > len(collection) + 1
