"""Files that are whole or not there at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

UNFINISHED = ".unfinished"
"""How the name of a file ends until it is whole."""


def write_whole(file: Path, content: bytes) -> None:
    """Write beside the file, wait until it is on the disk, and put it in the place of the old one in one step.

    Raises
    ------
    OSError
        The disk is full, or can't be written; an older file is still there as it was.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
        _sync_folder(file.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_place(file: Path) -> None:
    """Refuse a file that can't be written, before a name is in the message that the user did not give."""
    if file.is_dir() or not file.parent.is_dir():
        msg = f"{str(file)!r} can't be written. Give the path of a file in a folder that exists."
        raise FileNotFoundError(msg)


def is_full(error: OSError) -> bool:
    """Whether there was no room: on the disk, or in what the user may take of it."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def clear_unfinished(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    for file in folder.glob(f"*{UNFINISHED}"):
        file.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk too; only where a folder can be opened like a file."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
