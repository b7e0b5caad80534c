"""The page, from its template."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STYLES = ("page.css", "cards.css", "dialog.css", "ranks.css", "edits.css", "print.css")
SCRIPTS = (
    *("data.js", "elements.js", "thumbnails.js", "search.js", "compare.js"),
    *("ranks.js", "maps.js", "dialog.js", "edits.js", "page.js"),
)
BOKEH = ("bokeh",)


def render(context: Mapping[str, Any]) -> str:
    """Fill the template. Whatever comes from the data is escaped, and no script runs but those of this package.

    The page names the hash of each of its scripts; a browser runs no other, so that text which slipped past the
    escaping would still do nothing, and it may load nothing from anywhere.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("modulae", "_report/template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Bokeh reads its models in the order they are written; a NaN would be no JSON
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "allow_nan": False, "separators": (",", ":")}
    scripts = [_own(name) for name in SCRIPTS[:-1]] + [_bokeh(name) for name in BOKEH] + [_own(SCRIPTS[-1])]
    return environment.get_template("page.html").render(
        **context,
        styles=[_own(name) for name in STYLES],
        scripts=scripts,
        hashes=[_hash(script) for script in scripts],
    )


def _own(name: str) -> str:
    return (files("modulae") / "_report" / "template" / name).read_text(encoding="utf-8")


def _bokeh(name: str) -> str:
    """A bundle of BokehJS, from the installed package; it must not end the element it stands in."""
    path = files("bokeh") / "server" / "static" / "js" / f"{name}.min.js"
    return path.read_text(encoding="utf-8").replace("</script", r"<\/script").replace("<!--", r"<\!--")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
