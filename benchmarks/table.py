"""Write a table with what made it."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"


def lines_of(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """A Markdown table, one row a mapping."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(row[column]) for column in head) + " |" for row in rows]


def write(
    name: str,
    title: str,
    words: str,
    rows: Sequence[Mapping[str, object]],
    *,
    short: bool,
    more: Sequence[tuple[str, Sequence[Mapping[str, object]]]] = (),
) -> str:
    """Make a Markdown page; a short run is shown, not kept. `more` are further tables, each after its words."""
    lines = lines_of(rows)
    for further, rows_below in more:
        lines += ["", further, "", *lines_of(rows_below)]
    versions = ", ".join(f"{package} {version(package)}" for package in ("modulae", "torch", "numpy", "scanpy"))
    made = f"Made by `python -m benchmarks {name}` with {versions}, Python {platform.python_version()}."
    page = "\n".join([f"# {title}", "", words, "", *lines, "", made, ""])
    if not short:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.md").write_text(page, encoding="utf-8")
    return page
