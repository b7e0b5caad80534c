"""Rows of matrices in files, and of those that anndata reads lazily."""

import pickle
import warnings

import anndata as ad
import h5py
import numpy as np
import pytest
from anndata.io import sparse_dataset
from scipy import sparse

from modulae._counts import file_rows
from modulae._counts.blocks import as_rows, counts_of
from modulae._counts.file_rows import FileRows, LazyRows, read_lazily

N_CELLS, N_GENES = 300, 20


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    dense = rng.poisson(0.5, (N_CELLS, N_GENES)).astype(np.float32)
    dense[[0, 17, N_CELLS - 1]] = 0
    return sparse.csr_matrix(dense)


@pytest.fixture
def lazy(counts, tmp_path):
    """Cells in a zarr folder, read lazily."""
    pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    pytest.importorskip("xarray", reason="needs modulae[scale]: xarray")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's own plans for its formats
        ad.AnnData(counts, layers={"dense": counts.toarray()}).write_zarr(tmp_path / "cells.zarr")
        return ad.experimental.read_lazy(tmp_path / "cells.zarr")


@pytest.mark.parametrize("rows", [(0, 1), (0, N_CELLS), (17, 18), (5, 250), (100, 100), (N_CELLS - 1, N_CELLS)])
def test_rows_of_a_lazily_read_matrix_come_from_its_file(lazy, counts, rows):
    matrix, where = counts_of(lazy, None)
    assert isinstance(matrix, LazyRows)
    assert where == "adata.X"
    for one in (matrix, pickle.loads(pickle.dumps(matrix))):  # noqa: S301 - written here
        np.testing.assert_array_equal(as_rows(one, *rows).toarray(), counts[slice(*rows)].toarray())


def test_its_dask_array_is_the_matrix_in_larger_blocks(lazy, counts, monkeypatch):
    monkeypatch.setattr(file_rows, "ROWS_OF_A_BLOCK", 128)
    matrix, _ = counts_of(lazy, None)
    assert matrix.array.chunks == ((128, 128, 44), (N_GENES,))
    np.testing.assert_array_equal(matrix.array.compute().toarray(), counts.toarray())
    block = pickle.loads(pickle.dumps(matrix.array.blocks[2])).compute()  # noqa: S301 - written here
    np.testing.assert_array_equal(block.toarray(), counts[256:].toarray())


def test_what_does_more_than_read_a_file_stays_as_it_is(lazy, counts, tmp_path):
    da = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
    ad.AnnData(counts).write_h5ad(tmp_path / "cells.h5ad")
    others = {
        "some cells": lazy[np.arange(50)].X,
        "twice the counts": lazy.X * 2,
        "dense": lazy.layers["dense"],
        "h5ad, which would stay open": ad.experimental.read_lazy(tmp_path / "cells.h5ad").X,
        "from memory": da.from_array(counts, chunks=(100, N_GENES), asarray=False),
        "in memory": counts,
    }
    assert read_lazily(lazy.X) is not None
    assert {name: read_lazily(matrix) for name, matrix in others.items()} == dict.fromkeys(others)
    matrix, _ = counts_of(lazy[np.arange(50)], None)
    np.testing.assert_array_equal(as_rows(matrix, 10, 40).toarray(), counts[10:40].toarray())


@pytest.mark.parametrize("packed", [None, "gzip"])
def test_rows_that_are_unpacked_together_are_known(counts, packed, tmp_path):
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        ad.io.write_elem(file, "X", counts)
        del file["X/data"], file["X/indices"]
        for name in ("data", "indices"):
            file["X"].create_dataset(name, data=getattr(counts, name), chunks=(500,), compression=packed)
        rows = FileRows(sparse_dataset(file["X"]))
        expected = None if packed is None else (500 * N_CELLS // counts.nnz,)
        assert rows.chunks == expected


def test_an_empty_matrix_has_no_chunks_to_speak_of(tmp_path):
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        ad.io.write_elem(file, "X", sparse.csr_matrix((5, 4), dtype=np.float32))
        assert as_rows(FileRows(sparse_dataset(file["X"])), 1, 4).shape == (3, 4)
