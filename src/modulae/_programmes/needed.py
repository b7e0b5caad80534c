"""Packages that only some files need."""

from __future__ import annotations

from importlib.util import find_spec


def check_installed(package: str) -> None:
    """Refuse before the work a file that nothing here can read or write.

    Raises
    ------
    ImportError
        The package is not installed.
    """
    if find_spec(package) is None:
        msg = f"this file needs {package}, not installed here. Run `pip install 'modulae[exchange]'`."
        raise ImportError(msg)
