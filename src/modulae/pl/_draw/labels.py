"""Names that fit beside a picture: shared prefixes once, long ones shortened in the middle."""

from __future__ import annotations

from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

MAX_UNIT_LENGTH = 34
"""Characters of the name of a unit at an axis."""

NO_NAME = "(no name)"
"""Beside the number of a unit that has none where others have: it may be chance, see `get.unit_summary`."""

NAME_SEPARATOR = " · "
"""Between the genes and the group."""


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


def unit_labels(units: Sequence[str], names: Mapping[str, str], *, width: int = MAX_UNIT_LENGTH) -> list[str]:
    """What stands at an axis for each unit: its number and, in about `width` characters, its name if it has one."""
    without = f" {NO_NAME}" if names else ""
    return [f"{unit}: {short_name(names[unit], width)}" if unit in names else f"{unit}{without}" for unit in units]


def programmes_label(n: int, of: int, left_out: str) -> str:
    """The label of an axis of units: how many are drawn, if not all, and which were set apart."""
    return "programme" + ("" if n == of else f" ({n} of {of})") + (f"\n{left_out}" if left_out else "")


def unit_title(unit: str, names: Mapping[str, str], *, per_line: int, lines: int = 2) -> str:
    """What stands above a picture of one unit, in so many lines at most: "unit 3" and, if it has one, its name."""
    if unit not in names:
        return f"unit {unit} {NO_NAME}" if names else f"unit {unit}"
    head = f"unit {unit}: "
    for width in range(per_line * lines, 0, -1):  # cut until it fits
        broken = _broken(head + short_name(names[unit], width), per_line)
        if len(broken) <= lines:
            return "\n".join(broken)
    return f"unit {unit}"


def short_name(name: str, width: int) -> str:
    """Cut a name such as "LYZ, S100A8 · CD14 Mono": first the last genes go, then the middle of what is left."""
    genes, separator, group = name.partition(NAME_SEPARATOR)
    listed = genes.split(", ")
    while len(", ".join(listed) + separator + group) > width and len(listed) > 1:
        listed.pop()
    return shorten(", ".join(listed) + separator + group, max(width, 2))


def _broken(text: str, per_line: int) -> list[str]:
    """Lines of so many characters: broken between genes and group if that is enough, or else at spaces."""
    parts = [text] if len(text) <= per_line else text.split(NAME_SEPARATOR)
    if max(map(len, parts)) <= per_line:
        return parts
    dot = NAME_SEPARATOR.strip()  # between two lines it says nothing
    lines = wrap(text, per_line, break_on_hyphens=False)
    return [line.removeprefix(f"{dot} ").removesuffix(f" {dot}") for line in lines]


def _belongs(name: str, collection: str) -> bool:
    return name.startswith(f"{collection}_") and len(name) > len(collection) + 1
