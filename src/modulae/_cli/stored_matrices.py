"""Matrices in a file, copied to another without being held: as they lie, or a block at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
from anndata.abc import CSCDataset, CSRDataset

BYTES_AT_ONCE = 8 * 10**6
"""Of a matrix that is copied from one format to the other."""

CHUNK = 2**18
"""Numbers of a sparse matrix that zarr packs together: a first block without counts would make chunks of one number."""


def lazy(element: Any) -> Any:  # noqa: ANN401
    """A matrix of which nothing has been read yet; anything else is read."""
    from anndata.io import read_elem, sparse_dataset

    kind = element.attrs.get("encoding-type", "array")
    if kind in {"csr_matrix", "csc_matrix"}:
        return sparse_dataset(element)
    return element if kind == "array" else read_elem(element)


def element_of(value: Any) -> Any | None:  # noqa: ANN401
    """The group or array of h5py or zarr that a matrix is in; `None` for what is in memory."""
    element: Any = getattr(value, "group", None) if isinstance(value, CSRDataset | CSCDataset) else value
    return element if isinstance(element, h5py.HLObject) or hasattr(element, "store_path") else None


def is_alike(element: Any, group: Any) -> bool:  # noqa: ANN401
    """Whether both are of one format, so that one can be copied into the other as it lies."""
    if isinstance(element, h5py.HLObject) or isinstance(group, h5py.HLObject):
        return isinstance(element, h5py.HLObject) and isinstance(group, h5py.HLObject)
    return bool(element.metadata.zarr_format == group.metadata.zarr_format)


def bytes_of(element: Any) -> int:  # noqa: ANN401
    """What it takes on the disk."""
    if isinstance(element, h5py.Dataset):
        return int(element.id.get_storage_size())
    if hasattr(element, "nbytes_stored"):
        return int(element.nbytes_stored())
    return sum(bytes_of(element[name]) for name in element)


def copy(value: Any, group: Any, name: str, settings: dict[str, Any]) -> None:  # noqa: ANN401
    """Copy a matrix to a group of another file; `settings` are those of new arrays."""
    element: Any = element_of(value)
    if not is_alike(element, group):
        _write_blocks(value, group, name, settings)
    elif isinstance(group, h5py.Group):
        group.copy(element, group, name=name)
    else:
        shutil.copytree(Path(element.store.root, element.path), Path(group.store.root, group.path, name))


def _write_blocks(value: Any, group: Any, name: str, settings: dict[str, Any]) -> None:  # noqa: ANN401
    """Have anndata write the first rows and append the others; columns of CSC."""
    from anndata.io import sparse_dataset, write_elem

    is_sparse, by_column = isinstance(value, CSRDataset | CSCDataset), isinstance(value, CSCDataset)
    if isinstance(group, h5py.Group) and not is_sparse:
        write_elem(group, name, value, dataset_kwargs=settings)  # which anndata does in blocks
        return
    length = value.shape[1] if by_column else value.shape[0]
    parts = [value.group["data"], value.group["indices"]] if is_sparse else [value]
    n_bytes = sum(part.size * part.dtype.itemsize for part in parts)
    step = max(BYTES_AT_ONCE * length // max(n_bytes, 1), 1)
    blocks = (slice(start, start + step) for start in range(0, max(length, 1), step))
    read = (value[:, block] if by_column else value[block] for block in blocks)
    if is_sparse:  # many blocks may be more than 32 bits count
        chunks = {} if isinstance(group, h5py.Group) else {"chunks": (CHUNK,)}
        settings = {**settings, **chunks, "indptr_dtype": "int64"}
    write_elem(group, name, next(read), dataset_kwargs=settings)
    target = sparse_dataset(group[name]) if is_sparse else group[name]
    for block in read:
        target.append(block)
