"""A progress bar where somebody can see it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str, *, progress: bool | None, scaled: bool = False) -> tqdm[Any]:
    """A bar on stderr; with `progress=None` only in a terminal or a notebook; `scaled` writes 1.2M for 1200000."""
    from tqdm import tqdm

    shown = progress if progress is not None else (sys.stderr.isatty() or _in_notebook())
    bar: tqdm[Any] = tqdm(
        total=total, desc=what, unit=unit, unit_scale=scaled, disable=not shown, file=sys.stderr, dynamic_ncols=True
    )
    return bar


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"
