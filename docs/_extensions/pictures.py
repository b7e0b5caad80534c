"""The picture of each function of `mo.pl` on its page: the first that the gallery has stored of it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

GALLERY = "notebooks/05_gallery"
FOLDER = "api/generated/pictures"
DRAWN = re.compile(r"\bmo\.pl\.(\w+)\(")


def stored(notebook: dict[str, Any]) -> dict[str, bytes]:
    """The first picture of each function, by its name."""
    found: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        pictures = [out["data"]["image/png"] for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
        names = DRAWN.findall("".join(cell["source"]))
        if pictures and len(set(names)) == 1:
            found.setdefault(names[0], base64.b64decode(pictures[0]))
    return found


def write(app: Sphinx) -> None:
    """Put the pictures where pages find them."""
    source = Path(app.srcdir)
    folder = source / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in stored(json.loads((source / f"{GALLERY}.ipynb").read_text(encoding="utf-8"))).items():
        path = folder / f"{name}.png"
        if not path.exists() or path.read_bytes() != picture:  # an unchanged file leaves the page as it is
            path.write_bytes(picture)


def show(app: Sphinx, _what: str, name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Show the picture between what the function does and its parameters."""
    module, _, function = name.rpartition(".")
    if module != "modulae.pl" or not (Path(app.srcdir) / FOLDER / f"{function}.png").exists():
        return
    at = next((at for at, line in enumerate(lines) if line.startswith(":param ")), len(lines))
    lines[at:at] = [
        f".. figure:: /{FOLDER}/{function}.png",
        f"   :alt: What modulae.pl.{function} draws",
        "",
        f"   How to read it: :doc:`the gallery </{GALLERY}>`.",
        "",
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    """After napoleon, which makes `:param …:` of the parameters."""
    app.connect("builder-inited", write)
    app.connect("autodoc-process-docstring", show, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
