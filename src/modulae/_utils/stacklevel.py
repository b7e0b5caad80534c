"""Where the user called from."""

from __future__ import annotations

import inspect

PACKAGE = __name__.partition(".")[0]


def user_stacklevel() -> int:
    """How far up the stack, seen from the caller, the first line outside this package is."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        frame, level = frame.f_back, level + 1
    return level
