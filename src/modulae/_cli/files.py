"""Files of cells: opened without reading the counts, and written by anndata without holding them."""

from __future__ import annotations

import shutil
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae._utils.files import UNFINISHED
from modulae._utils.text import listed

from .stored_matrices import bytes_of, copy, element_of, is_alike, lazy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

READ = ("obs", "var", "obsm", "varm")
"""What is read at once: it is small beside the counts, and results are written there."""

MATRICES = ("layers", "obsp", "varp")
"""Each holds matrices that stay in the file."""


SEVERAL = {"mod": "mudata.read_h5mu", "tables": "spatialdata.read_zarr"}
"""What a file has in place of `X` that holds several tables of cells, and what reads it in Python."""


@dataclass(frozen=True, slots=True)
class CellFile:
    """Cells whose matrices stay in their file."""

    adata: AnnData
    store: Any  # group of h5py or zarr

    def write(self, output: Path) -> None:
        """Write all that the file has, and what has been added; the file is whole under its name, or not there."""
        with _unfinished(output) as path:
            self._write(path, output.suffix, matrices=True)
            _remove(output)
            path.replace(output)

    def write_small_parts(self, output: Path) -> int:
        """Write all but the matrices beside the output, and remove it again.

        Gives the bytes that the matrices will take, as far as they are copied as they lie.
        """
        with _unfinished(output) as path:
            return self._write(path, output.suffix, matrices=False)

    def _write(self, path: Path, kind: str, *, matrices: bool) -> int:
        from anndata import settings
        from anndata.experimental import write_dispatched
        from anndata.io import write_elem

        n_bytes = 0

        def put(write: Any, group: Any, name: str, value: Any, *, dataset_kwargs: Any, **_: Any) -> None:  # noqa: ANN401
            nonlocal n_bytes
            element = element_of(value)
            if element is None and (text := _plain_text(value)) is not None:
                write_elem(group, name, text, dataset_kwargs=dataset_kwargs)
            elif element is None:
                write(group, name, value, dataset_kwargs=dataset_kwargs)
            elif matrices:
                copy(value, group, name, dataset_kwargs)
            elif is_alike(element, group):
                n_bytes += bytes_of(element)

        as_read = settings.override(  # what a file may hold may be written; and no shards, which are held as a whole
            disallow_forward_slash_in_h5ad=False, auto_shard_zarr_v3=False
        )
        plans = warnings.catch_warnings(action="ignore", category=FutureWarning)  # of anndata, for names with a slash
        with as_read, plans, _store(path, "w", kind, like=self.store) as target:
            packed = {} if kind == ".zarr" else {"compression": "gzip"}
            write_dispatched(target, "/", self.adata, put, dataset_kwargs=packed)
        return n_bytes


def _plain_text(value: Any) -> Any:  # noqa: ANN401
    """Text as all versions and readers in R know it, for the nullable strings of pandas; `None` for anything else.

    Text with gaps becomes categories, as anndata itself writes the columns of a table.
    """
    import pandas as pd

    if not isinstance(getattr(value, "dtype", None), pd.StringDtype):
        return None
    texts = np.array(value, dtype=object)
    gaps = np.asarray(pd.isna(texts))
    texts[gaps] = None
    return pd.Categorical(texts) if gaps.any() else texts


@contextmanager
def opened(path: Path, *, raw: bool = False) -> Iterator[CellFile]:
    """An `.h5ad` file or a `.zarr` folder, its matrices left where they are; `raw`: what its `raw` holds.

    Raises
    ------
    FileNotFoundError
        It is not there.
    ValueError
        It is neither, or has no `raw`.
    """
    if not path.exists():
        msg = f"there is no file {path}. Give the path of an .h5ad file or a .zarr folder."
        raise FileNotFoundError(msg)
    with ExitStack() as stack:
        try:
            store = stack.enter_context(_store(path, "r", ".zarr" if path.is_dir() else ".h5ad"))
            several = next((name for name in SEVERAL if name in store and "X" not in store), None)
            parts = _read(store) if several is None else {}
        except ImportError:
            raise
        except Exception as error:  # anndata has one of its own for what it does not know
            kind, write = (".zarr", "write_zarr") if path.is_dir() else (".h5ad", "write_h5ad")
            msg = (
                f"{path} can't be read as {kind} ({error}). Write it with `adata.{write}(...)`; if newer versions of "
                "anndata or zarr wrote it, update those that read it: `pip install -U anndata zarr`."
            )
            raise ValueError(msg) from error
        if several is not None:
            _refuse_several(path, SEVERAL[several], list(store[several]))
        yield CellFile(_cells(parts, path, raw=raw), store)


def _refuse_several(path: Path, reader: str, tables: list[str]) -> None:
    """Say how one of several tables of cells gets into a file of its own."""
    key = "rna" if "rna" in tables or not tables else tables[0]
    msg = (
        f"{path} holds several tables of cells ({listed(tables)}). Write the one with the counts of genes to a "
        f"file of its own, in Python: `{reader}({str(path)!r})[{key!r}].write_h5ad('{key}.h5ad')`."
    )
    raise ValueError(msg)


def _read(store: Any) -> dict[str, Any]:  # noqa: ANN401
    from anndata.io import read_elem

    parts = {name: read_elem(store[name]) for name in READ if name in store}
    for name in ("obs", "var"):
        if not hasattr(parts[name], "columns"):
            msg = f"{name} is not stored as anndata 0.7 and later do"
            raise TypeError(msg)
    if "uns" in store:
        parts["uns"] = _unstructured(store["uns"])
    parts |= {name: {key: lazy(store[name][key]) for key in store[name]} for name in MATRICES if name in store}
    if "X" in store:
        parts["X"] = lazy(store["X"])
    if "raw" in store and store["raw"].attrs.get("encoding-type") != "null":
        read = {name: read_elem(store["raw"][name]) for name in ("var", "varm") if name in store["raw"]}
        parts["raw"] = {"X": lazy(store["raw"]["X"]), **read}
    return parts


def _unstructured(group: Any) -> dict[str, Any]:  # noqa: ANN401
    """What can be read of `uns`: a newer zarr writes tables that an older one can't read."""
    from anndata.io import read_elem

    parts = {}
    for name in group:
        try:
            parts[name] = read_elem(group[name])
        except Exception as error:  # noqa: BLE001
            msg = (
                f"adata.uns[{name!r}] can't be read here and is left out ({error}). "
                "Update what reads it, `pip install -U anndata zarr`, to keep it."
            )
            warnings.warn(msg, UserWarning, stacklevel=2)
    return parts


def _cells(parts: dict[str, Any], path: Path, *, raw: bool) -> AnnData:
    """The cells; with `raw`, as `adata.raw.to_adata()` has them."""
    from anndata import AnnData

    if not raw:
        return AnnData(**parts)
    if "raw" not in parts:
        msg = f"{path} has no raw. Leave out --raw, or name the layer that holds the raw counts: --layer."
        raise ValueError(msg)
    of_cells = {name: parts[name] for name in ("obs", "obsm", "obsp", "uns") if name in parts}
    return AnnData(**of_cells, **parts["raw"])


@contextmanager
def _store(path: Path, mode: Literal["r", "w"], kind: str, *, like: Any = None) -> Iterator[Any]:  # noqa: ANN401
    if kind == ".zarr":
        try:
            import zarr
        except ImportError as error:
            msg = f'{path} needs zarr. Install it with `pip install "modulae[scale]"`, or take an .h5ad file.'
            raise ImportError(msg) from error
        if mode == "r":
            # the summary of all that is in it could not be read if one part can't
            yield zarr.open_group(path, mode="r", use_consolidated=False)
            return
        # where the input has no format: 2, of which every version can read all, also tables in `uns`
        form = like.metadata.zarr_format if isinstance(like, zarr.Group) else 2
        yield zarr.open_group(path, mode="w", zarr_format=form)
        return
    import h5py

    with h5py.File(path, mode) as file:
        yield file


@contextmanager
def _unfinished(output: Path) -> Iterator[Path]:
    path = output.with_name(output.name + UNFINISHED)
    _remove(path)
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
