"""Files of cells: opened without reading the counts, and written without holding them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from modulae._files import UNFINISHED
from modulae.gene_sets import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from anndata import AnnData

READ = ("obs", "var", "uns", "obsm", "varm")
"""What is read at once: it is small beside the counts, and results are written there."""

BYTES_AT_ONCE = 8 * 10**6
"""Of an array that is copied from one format to the other."""


@dataclass(frozen=True, slots=True)
class CellFile:
    """Cells whose matrices stay in their file."""

    adata: AnnData  # without pairwise fields and `raw`
    store: Any  # group of h5py or zarr

    def write(self, output: Path) -> None:
        """Write all that the file has, and what has been added; matrices are copied a block at a time.

        The file is whole under its name, or not there.
        """
        from anndata.io import write_elem

        self.adata.strings_to_categoricals()
        unfinished = output.with_name(output.name + UNFINISHED)
        _remove(unfinished)
        try:
            with _store(unfinished, "w", output.suffix, like=self.store) as target:
                target.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
                compression = {} if output.suffix == ".zarr" else {"compression": "gzip"}
                for name in READ:
                    value = getattr(self.adata, name)
                    write_elem(target, name, dict(value) if name in READ[2:] else value, dataset_kwargs=compression)
                for name in self.store:
                    if name not in (*READ, "layers"):
                        _copy(self.store, target, name)
                write_elem(target, "layers", {})
                for name in self.adata.layers:  # those of an older model of this name have been dropped
                    _copy(self.store["layers"], target["layers"], name)
            _remove(output)
            unfinished.replace(output)
        except BaseException:
            _remove(unfinished)
            raise


@contextmanager
def opened(path: Path) -> Iterator[CellFile]:
    """An `.h5ad` file or a `.zarr` folder, its matrices left where they are.

    Raises
    ------
    FileNotFoundError
        It is not there.
    ValueError
        It is neither.
    """
    if not path.exists():
        msg = f"there is no file {path}. Give the path of an .h5ad file or a .zarr folder."
        raise FileNotFoundError(msg)
    with ExitStack() as stack:
        try:
            store = stack.enter_context(_store(path, "r", ".zarr" if path.is_dir() else ".h5ad"))
            _refuse_several(store, path)
            adata = _read(store)
        except (OSError, KeyError, TypeError) as error:
            kind, write = (".zarr", "write_zarr") if path.is_dir() else (".h5ad", "write_h5ad")
            msg = f"{path} can't be read as {kind} ({error}). Write it with `adata.{write}(...)`."
            raise ValueError(msg) from error
        yield CellFile(adata, store)


def _refuse_several(store: Any, path: Path) -> None:  # noqa: ANN401
    """Refuse files that hold more than one table of cells."""
    for inside, reader in (("mod", "mudata.read_h5mu"), ("tables", "spatialdata.read_zarr")):
        if inside in store and "X" not in store:
            keys = list(store[inside])
            key = "rna" if "rna" in keys or not keys else keys[0]
            msg = (
                f"{path} holds several tables of cells ({listed(keys)}). Write the one with the counts of genes to a "
                f"file of its own, in Python: `{reader}({str(path)!r})[{key!r}].write_h5ad('{key}.h5ad')`."
            )
            raise ValueError(msg)


def _read(store: Any) -> AnnData:  # noqa: ANN401
    from anndata import AnnData
    from anndata.io import read_elem

    given = {name: read_elem(store[name]) for name in ("obs", "var")}
    for name, table in given.items():
        if not hasattr(table, "columns"):
            msg = f"{name} is not stored as anndata 0.7 and later do"
            raise TypeError(msg)
    given |= {name: read_elem(store[name]) for name in READ[2:] if name in store}
    layers = {name: _lazy(store["layers"][name]) for name in store["layers"]} if "layers" in store else {}
    return AnnData(X=_lazy(store["X"]) if "X" in store else None, layers=layers, **given)


@contextmanager
def _store(path: Path, mode: Literal["r", "w"], kind: str, *, like: Any = None) -> Iterator[Any]:  # noqa: ANN401
    if kind == ".zarr":
        try:
            import zarr
        except ImportError as error:
            msg = f'{path} needs zarr. Install it with `pip install "modulae[scale]"`, or take an .h5ad file.'
            raise ImportError(msg) from error
        if mode == "r":
            yield zarr.open_group(path, mode="r")
            return
        from anndata import settings

        form = like.metadata.zarr_format if isinstance(like, zarr.Group) else settings.zarr_write_format
        yield zarr.open_group(path, mode="w", zarr_format=form)
        return
    import h5py

    with h5py.File(path, mode) as file:
        yield file


def _lazy(element: Any) -> Any:  # noqa: ANN401
    """A matrix of which nothing has been read yet; anything else is read."""
    from anndata.io import read_elem, sparse_dataset

    kind = element.attrs.get("encoding-type", "array")
    if kind in {"csr_matrix", "csc_matrix"}:
        return sparse_dataset(element)
    return element if kind == "array" else read_elem(element)


def _copy(source: Any, target: Any, name: str) -> None:  # noqa: ANN401
    """One element, whatever it is, from a group to another."""
    import h5py
    from anndata.io import read_elem, write_elem

    element = source[name]
    kind = element.attrs.get("encoding-type", "")
    if isinstance(source, h5py.Group) and isinstance(target, h5py.Group):
        source.copy(element, target, name=name)  # as it lies there, without unpacking
    elif kind in {"csr_matrix", "csc_matrix", "dict", "raw"}:
        group = target.create_group(name)
        _copy_attributes(element, group)
        for part in element:
            if kind in {"dict", "raw"}:
                _copy(element, group, part)
            else:
                _copy_array(element[part], group, part)
    elif kind == "array":
        _copy_array(element, target, name)
    elif kind != "null":
        write_elem(target, name, read_elem(element))


def _copy_array(array: Any, target: Any, name: str) -> None:  # noqa: ANN401
    import h5py

    if isinstance(target, h5py.Group):
        packed: dict[str, Any] = {"chunks": True, "compression": "gzip"} if array.size else {}
        copy: Any = target.create_dataset(name, shape=array.shape, dtype=array.dtype, **packed)
    else:
        copy = target.create_array(name, shape=array.shape, dtype=array.dtype)
    _copy_attributes(array, copy)
    rows = max(BYTES_AT_ONCE * array.shape[0] // max(array.size * array.dtype.itemsize, 1), 1)
    for start in range(0, array.shape[0], rows):
        copy[start : start + rows] = array[start : start + rows]


def _copy_attributes(source: Any, target: Any) -> None:  # noqa: ANN401
    values = dict(source.attrs)
    target.attrs.update({name: value.tolist() if hasattr(value, "tolist") else value for name, value in values.items()})


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
