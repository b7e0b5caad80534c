"""The door: what every public function with an `AnnData` checks before anything else, and its shared descriptions."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from modulae._utils.by_name import refuse_wrong_arguments
from modulae._utils.docs import fill_docs

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

FILE_READERS = {
    ".h5ad": "sc.read_h5ad({path!r})",
    ".zarr": "ad.io.read_zarr({path!r})",
    ".h5mu": "mudata.read_h5mu({path!r})['rna']",
    ".h5": "sc.read_10x_h5({path!r})",
    ".loom": "ad.io.read_loom({path!r})",
}
"""How files of cells are read, by their ending."""


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Fill in the shared descriptions, and refuse what is no `AnnData`, or can't be written to, before any work.

    Checked are the parameters that are said to be an `AnnData`, no more and no less; a function with `copy=` writes.
    Arguments that have to be named are named in a message where they are given by position; an unknown name is refused
    with the one that is most like it.
    """
    names = inspect.signature(function).parameters
    objects = [name for name, one in names.items() if one.annotation == "AnnData"]
    writes = "copy" in names

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        refuse_wrong_arguments(function, names, args, kwargs)
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        for name in objects:
            if name in given:
                check_adata(given[name], name)
        if writes and not given.get("copy", False) and objects[0] in given:
            check_changeable(given[objects[0]])
        return function(*args, **kwargs)

    return fill_docs(checked)


def check_adata(value: object, name: str) -> None:
    """Refuse what is no `AnnData`.

    Raises
    ------
    TypeError
        With the line that makes one of what was given.
    """
    from anndata import AnnData

    if isinstance(value, type) or not isinstance(value, AnnData):
        msg = f"{name} is {_kind(value)}, not an AnnData. {_step(value, name)}"
        raise TypeError(msg)


def check_changeable(adata: Any) -> None:  # noqa: ANN401
    """Refuse to write to what nothing can be written to.

    Raises
    ------
    ValueError
        A part of an object whose counts are in a file: anndata can't turn it into an object of its own.
    """
    if adata.isbacked and adata.is_view:
        msg = (
            "adata is a part of a backed AnnData, and nothing can be written to such a view. Read it into memory "
            "first: `adata = adata.to_memory()`; or, where it is too large, write it to a file of its own: "
            "`adata = adata.copy(filename='part.h5ad')`."
        )
        raise ValueError(msg)


def refuse_containers(value: object, name: str) -> None:
    """Refuse what holds cells, but is neither an `AnnData` nor a table or array of numbers.

    Raises
    ------
    TypeError
        With the next step.
    """
    if value is None or isinstance(value, str) or hasattr(value, "__fspath__") or _has_tables(value):
        check_adata(value, name)


def _has_tables(value: object) -> bool:
    parts = [getattr(value, name, None) for name in ("mod", "tables")]
    return hasattr(value, "to_adata") or any(hasattr(part, "keys") for part in parts)


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        return f"the path {str(value)!r}"
    return f"the class {value.__name__}" if isinstance(value, type) else _article(type(value).__name__)


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _step(value: Any, name: str) -> str:  # noqa: ANN401
    """The line that makes an `AnnData` of what was given."""
    if value is None:
        return (
            f"Functions that change an AnnData in place return None: call them without `{name} =`, as in "
            f"`sc.pp.log1p({name})`, or with copy=True."
        )
    if isinstance(value, str) or hasattr(value, "__fspath__"):
        path = str(value)
        reader = FILE_READERS.get(f".{path.rstrip('/').rpartition('.')[2]}", "sc.read({path!r})")
        return f"Read it first: `{name} = {reader.format(path=path)}`."
    if hasattr(value, "to_adata"):  # adata.raw, or a collection of objects on disk
        return f"Take the AnnData in it: `{name} = {'adata.raw' if _is_raw(value) else name}.to_adata()`."
    for part, how in (("mod", "mdata[{key!r}]"), ("tables", "sdata.tables[{key!r}]")):
        held = getattr(value, part, None)
        if held is not None and hasattr(held, "keys"):  # MuData; SpatialData
            keys = [str(key) for key in held]
            key = "rna" if "rna" in keys or not keys else keys[0]
            return f"Choose the part that holds the counts of genes: `{name} = {how.format(key=key)}`."
    return _step_of_data(value, name)


def _step_of_data(value: Any, name: str) -> str:  # noqa: ANN401
    if hasattr(value, "file") and hasattr(value, "attrs"):  # an open HDF5 file, or a part of one
        return f"Read the file: `{name} = sc.read_h5ad({value.file.filename!r})`."
    if hasattr(value, "store_path") and hasattr(value, "attrs"):
        return f"Read the store: `{name} = ad.io.read_zarr(store)`."
    if hasattr(value, "columns") and hasattr(value, "index"):
        return f"Make one of the table of cells × genes: `{name} = ad.AnnData(table)`."
    if getattr(value, "ndim", 0) == 2:
        return f"Make one of the counts, with the names of the genes: `{name} = ad.AnnData(counts, var=genes)`."
    if isinstance(value, dict | list | tuple):
        return f"Join the objects: `{name} = ad.concat(objects, label='sample')`; or call this for each of them."
    return f"Give the AnnData itself: `{name} = sc.read_h5ad('cells.h5ad')` reads one."


def _is_raw(value: object) -> bool:
    return type(value).__name__ == "Raw"
