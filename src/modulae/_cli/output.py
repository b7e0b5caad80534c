"""The output of a training: checked before it, and the model kept where it can't be written after it."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._model_io.model_file import save_model

from .messages import CommandError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from anndata import AnnData

    from .files import CellFile

IN_TABLES = ("obs", "var", "uns", "obsm", "varm")
WHERE = re.compile(r"key '(?P<key>.+)' of .* to (?P<group>\S+)$")
"""How anndata says which part it could not write."""


def check_output(file: CellFile, options: argparse.Namespace) -> None:
    """Refuse before the training what could not be written after it: names, kinds of columns, room on the disk.

    Raises
    ------
    ValueError
        Part of the cells' file can't be written in the format of the output.
    OSError
        There is not enough room.
    """
    output: Path = options.output
    if output.suffix == ".zarr":
        _refuse_slashes(file.adata, options)
    try:
        n_bytes = file.write_small_parts(output)
    except ImportError:
        raise
    except Exception as error:
        msg = f"what is in {options.path} can't be written to {output} ({error}). {_without(error)}"
        raise CommandError(msg) from error
    free = shutil.disk_usage(output.parent).free
    if n_bytes > free:
        msg = (
            f"{output} will take about {_size(n_bytes)}, and there are {_size(free)} free in "
            f"{output.parent.resolve()}. Make room there, or give a file in another place: --output."
        )
        raise CommandError(msg)


def _refuse_slashes(adata: AnnData, options: argparse.Namespace) -> None:
    result = next((name for part in IN_TABLES for name in _slashes(getattr(adata, part), f"adata.{part}")), None)
    raw = adata.raw
    if result is None and raw is not None:
        result = next(_slashes(raw.var, "adata.raw.var"), None)
    if result is None:
        return
    where, _, name = result.rpartition("[")
    renamed = name[1:-2].replace("/", "_")
    mend = f"{where}[{renamed!r}] = {where}.pop({name[:-1]})"
    msg = (
        f"{result} can't be written to {options.output}: a zarr folder takes the slash in its name for a folder. "
        f"Write an .h5ad file (--output {options.output.with_suffix('.h5ad')}), or rename it in Python, "
        f"`{mend}`, and write the cells again."
    )
    raise CommandError(msg)


def _slashes(values: Mapping[Any, Any], where: str) -> Iterator[str]:
    """Places with a slash in their name, in a table or dict and in what it holds."""
    for name, value in values.items():
        place = f"{where}[{name!r}]"
        if "/" in str(name):
            yield place
        if hasattr(value, "items") and not hasattr(value, "cat"):
            yield from _slashes(value, place)


def _without(error: Exception) -> str:
    """The step after a part that anndata can't write."""
    result = next((result for note in getattr(error, "__notes__", []) if (result := WHERE.search(note))), None)
    parts = [] if result is None else f"{result['group']}/{result['key']}".replace("//", "/").strip("/").split("/")
    if len(parts) < 2:
        return "Give a file in another place, or of the other format, .h5ad or .zarr: --output."
    return f"Leave it out in Python, `del adata.{parts[0]}[{parts[1]!r}]`, and write the cells again."


@contextmanager
def model_kept(adata: AnnData, options: argparse.Namespace) -> Iterator[None]:
    """Save the model before what follows the training, and remove it when all has been written.

    Before, as HDF5 may end the whole process where the disk is full, and a queue or the system where the time is up.

    Raises
    ------
    CommandError
        What follows did not come to its end: why, where the model is, and how to go on.
    """
    kept, _ = _save(adata, options)
    try:
        yield
    except BaseException as error:
        if kept is None or not kept.exists():  # the folder is gone
            kept, failed = _save(adata, options)
        why = str(error).split(" (file write failed")[0] or type(error).__name__
        begin = f"the training is over, and yet {options.output} could not be written ({why})."
        msg = (
            f"{begin} The model could not be saved either: {failed}"
            if kept is None
            else f"{begin} The model is saved as {kept}. Go on with it in Python:\n{_go_on(kept, options)}"
        )
        if isinstance(error, KeyboardInterrupt):
            print(f"modulae: {msg}", file=sys.stderr)
            raise
        raise CommandError(msg) from error
    if kept is not None:
        kept.unlink(missing_ok=True)


def _save(adata: AnnData, options: argparse.Namespace) -> tuple[Path | None, str]:
    """Where the model is: beside the output, else here or with other temporary files; or why it is in none of them."""
    failed: list[str] = []
    for folder in (options.output.parent, Path.cwd(), Path(tempfile.gettempdir())):
        path = _free(folder.resolve() / options.output.stem)
        try:
            save_model(adata, path, key=options.key)
        except OSError as error:
            failed.append(str(error))
        else:
            return path, ""
    return None, " ".join(failed)


def _free(path: Path) -> Path:
    """A name that no other model has."""
    names = (path.with_name(f"{path.name}{'' if index == 1 else f'-{index}'}.safetensors") for index in count(1))
    return next(name for name in names if not name.exists())


def _go_on(path: Path, options: argparse.Namespace) -> str:
    read = "read_zarr" if options.path.is_dir() else "read_h5ad"
    layer = "" if options.layer is None else f", layer={options.layer!r}"
    key = "" if options.key == DEFAULT_KEY else f", key_added={options.key!r}"
    return "\n".join(
        f"    {line}"
        for line in (
            "import anndata, modulae as mo",
            f"adata = anndata.{read}({str(options.path.resolve())!r}){'.raw.to_adata()' if options.raw else ''}",
            f"mo.tl.transfer(adata, {str(path)!r}{layer}{key})",
        )
    )


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 10**9:.1f} GB" if n_bytes >= 10**8 else f"{n_bytes / 10**6:.1f} MB"
