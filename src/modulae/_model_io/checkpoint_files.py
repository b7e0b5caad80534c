"""What all files of a checkpoint have in common: their folder, and what is said where one can't be used."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modulae._utils.files import clear_unfinished, is_full

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def prepare_folder(folder: Path) -> None:
    """Make the folder of a checkpoint, and clear what a killed process left there.

    Raises
    ------
    FileExistsError
        It is a file.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"checkpoint={str(folder)!r} is a file. Give a folder."
        raise FileExistsError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    clear_unfinished(folder)


def damaged(file: Path, error: Exception) -> ValueError:
    """What to say of a file that can't be read."""
    return ValueError(
        f"{file} can't be read ({error}). Give another folder as checkpoint=, or delete the file to train from the "
        "start."
    )


@contextmanager
def said_if_full(file: Path, size: int) -> Iterator[None]:
    """Say what a full disk means for a checkpoint of so many bytes.

    Raises
    ------
    OSError
        The disk is full.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        what = "the last checkpoint is whole" if file.exists() else "no checkpoint has been written yet"
        msg = (
            f"the disk is full: a checkpoint of {size / 1e6:.1f} MB does not fit into {file.parent}; "
            f"{what}. Free some space and call this again with the same checkpoint=: it goes on from there."
        )
        raise OSError(error.errno, msg) from error


def refuse_others(file: Path, result: dict[str, Any], run: dict[str, Any]) -> None:
    """Refuse what another training has left behind, and say in what it differs.

    Raises
    ------
    ValueError
        It is of another training.
    """
    if result == run:
        return
    available, here = result.get("settings", {}), run["settings"]
    differ = [
        f"{name} ({available.get(name)!r} there, {here.get(name)!r} here)"
        for name in {**available, **here}
        if available.get(name) != here.get(name)
    ]
    differ += [name for name in run if name != "settings" and result.get(name) != run[name]]
    msg = (
        f"{file} is the checkpoint of another training: it differs in {', '.join(differ) or 'its format'}. "
        "Give another folder as checkpoint=, go back to the same settings and cells, or delete the file."
    )
    raise ValueError(msg)
