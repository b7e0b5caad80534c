"""Files that are whole or not there at all, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    with whole_file(file) as unfinished, unfinished.open("xb") as stream:
        stream.write(content)


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """A path to write to, for what writes files itself; the file takes its place once it is on the disk."""
    unfinished = file.parent / f"{secrets.token_hex(8)}{UNFINISHED}"
    try:
        yield unfinished  # others may read it as the user's settings say, which mkstemp forbids
        with unfinished.open("rb+") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(file)
        _sync_folder(file.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def check_writable(file: Path, example: str) -> None:
    """Refuse before the work a place that no file can be written to; nothing is left there.

    Raises
    ------
    FileNotFoundError
        The folder is not there, or the file is a folder.
    PermissionError
        The folder takes no new file.
    """
    if file.is_dir() or not file.parent.is_dir():
        msg = f"{file} can't be written. Give the path of a file in a folder that exists, {example}."
        raise FileNotFoundError(msg)
    check_folder(file.parent, f"Give the path of a file in another folder, {example}")


def check_folder(folder: Path, advice: str) -> None:
    """Refuse a folder that takes no new file; the only way to know is to make one."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        msg = f"nothing can be written to {folder.resolve()} ({error.strerror}). {advice}."
        raise PermissionError(msg) from error


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
