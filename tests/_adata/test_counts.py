"""The way in: whatever the counts look like, they are read as they are or refused with the next step."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import sparse

from modulae._adata.columns.groups import membership
from modulae._adata.counts import open_counts, read_counts
from modulae._counts.blocks import ROWS_PER_BLOCK

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 5))  # one cell and one gene included
COUNTS = SHAPES.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(0, 3000)))
FORMS = st.sampled_from([sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray])
TYPES = ("f4", "f8", "g", "i4", "i8", "u2", "u4", "f2", ">f2", ">f4", ">f8", ">i4", ">i8", ">u2")


def cells(matrix):
    return ad.AnnData(matrix, var=pd.DataFrame(index=[f"g{i}" for i in range(matrix.shape[1])]))


def typed(matrix, dtype):
    """The counts in another type: of sparse ones SciPy itself refuses some, but files and other libraries have them."""
    if not sparse.issparse(matrix):
        return matrix.astype(dtype)
    matrix.data = matrix.data.astype(dtype)
    return matrix


@settings(deadline=None)
@given(counts=COUNTS, form=FORMS, dtype=st.sampled_from(TYPES), in_layer=st.booleans(), data=st.data())
def test_counts_are_read_as_they_are_in_every_form(counts, form, dtype, in_layer, data):
    """All-zero cells and genes, one cell, one gene; any order and choice of genes; totals over all genes."""
    counts = counts.astype(dtype).astype(np.int64)  # half precision has no odd numbers above 2048
    stored = typed(form(counts), dtype)
    adata = cells(np.full(counts.shape, 0.5, dtype=np.float32) if in_layer else stored)
    if in_layer:
        adata.layers["counts"] = stored
    genes = data.draw(st.permutations(list(adata.var_names)))
    genes = genes[: data.draw(st.integers(1, len(genes)))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_counts(adata, genes=genes, layer="counts" if in_layer else None)
    assert isinstance(read.matrix, sparse.csr_matrix)
    assert read.matrix.dtype == np.float32
    np.testing.assert_array_equal(read.matrix.toarray(), counts[:, adata.var_names.get_indexer(genes)])
    np.testing.assert_array_equal(read.totals, counts.sum(axis=1))


@settings(deadline=None)
@given(counts=COUNTS, form=FORMS, wrong=st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.5]), data=st.data())
def test_one_wrong_value_anywhere_is_noticed(counts, form, wrong, data):
    values = counts.astype(np.float64)
    values[data.draw(st.integers(0, counts.shape[0] - 1)), data.draw(st.integers(0, counts.shape[1] - 1))] = wrong
    adata = cells(form(values))
    if wrong == 0.5:
        with pytest.warns(UserWarning, match="not whole numbers.*layer="):
            read_counts(adata, layer=None)
    else:
        message = "negative values.*layer=" if wrong == -1 else "NaN or infinite values.*layer="
        with pytest.raises(ValueError, match=message):
            read_counts(adata, layer=None)


def test_a_wrong_value_outside_the_chosen_genes_is_noticed_too():
    with pytest.raises(ValueError, match="negative values"):
        read_counts(cells(np.array([[1.0, -1.0]])), genes=["g0"], layer=None)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
@pytest.mark.parametrize("where", ["X", "layer"])
def test_a_file_on_disk_is_read_block_by_block(form, where, tmp_path):
    counts = np.random.default_rng(0).poisson(0.5, size=(ROWS_PER_BLOCK + 50, 4))
    adata = cells(form(counts.astype(np.float32)))
    adata.layers["counts"] = form(counts)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    read = read_counts(backed, genes=["g2", "g0"], layer=None if where == "X" else "counts")
    np.testing.assert_array_equal(read.matrix.toarray(), counts[:, [2, 0]])
    np.testing.assert_array_equal(read.totals, counts.sum(axis=1))
    backed.file.close()


def test_no_x_and_no_numbers():
    empty = ad.AnnData(obs=pd.DataFrame(index=["c"]), var=pd.DataFrame(index=["g"]))
    with pytest.raises(ValueError, match=r"adata has no `.X`. Put raw counts into it"):
        read_counts(empty, layer=None)
    empty.layers["raw"] = np.ones((1, 1))
    with pytest.raises(ValueError, match=r"adata has no `.X`. Name the layer .* one of \['raw'\]"):
        read_counts(empty, layer=None)
    with pytest.raises(KeyError, match=r"1 gene is not in adata .*Choose genes from adata\.var_names"):
        read_counts(cells(np.ones((1, 1))), genes=["nobody"], layer=None)


@pytest.mark.parametrize("values", [["b", "a", "b", None], [True, False, True, True], [3, 1, 3, 1]])
def test_groups_keep_the_order_of_their_categories(values):
    adata = cells(np.ones((4, 1)))
    adata.obs["kind"] = pd.Categorical(values, categories=["b", "a", "unused"]) if "b" in values else values
    names, members = membership(adata, "kind")
    assert names == {"b": ["b", "a"], True: ["False", "True"], 3: ["1", "3"]}[values[0]]
    for name, row in zip(names, members, strict=True):
        assert [str(value) == name for value in values] == row.tolist()


SMALL = np.random.default_rng(0).poisson(1.0, (40, 7))


def reordered(matrix):
    """Genes of each cell backwards."""
    pairs = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    order = np.concatenate([np.arange(start, stop)[::-1] for start, stop in pairs])
    return matrix.data[order], matrix.indices[order], matrix.indptr


def swapped(matrix):
    return (part.astype(part.dtype.newbyteorder()) for part in (matrix.data, matrix.indices, matrix.indptr))


def twice(matrix):
    """Each count in two parts."""
    parts = np.column_stack([matrix.data // 2, matrix.data - matrix.data // 2]).ravel()
    return parts, np.repeat(matrix.indices, 2), 2 * matrix.indptr


LAYOUTS = {
    "unsorted": reordered,
    "duplicates": twice,
    "explicit zeros": lambda _: (SMALL.ravel().astype("f4"), np.tile(np.arange(7), 40), 7 * np.arange(41)),
    "wide": lambda matrix: (matrix.data, matrix.indices.astype("i8"), matrix.indptr.astype("i8")),
    "the other order of bytes": swapped,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backed", [False, True])
def test_counts_are_read_in_every_layout(tmp_path, layout, backed):
    matrix = sparse.csr_matrix(SMALL.astype("f4"))
    matrix.data, matrix.indices, matrix.indptr = LAYOUTS[layout](matrix)
    matrix.has_sorted_indices = matrix.has_canonical_format = False
    adata = cells(matrix)
    if backed:
        adata.write_h5ad(tmp_path / "cells.h5ad")
        adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    read = read_counts(adata, layer=None)
    np.testing.assert_array_equal(read.matrix.toarray(), SMALL)
    np.testing.assert_array_equal(read.totals, SMALL.sum(axis=1))


BLOCKS = {
    "dense": np.asarray,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", BLOCKS)
@pytest.mark.parametrize("limit", [None, 1])
def test_counts_of_dask_are_read_in_every_type(dtype, form, limit):
    """In blocks of rows and columns; with a limit they stay where they are."""
    da = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
    made = da.from_array(SMALL, chunks=(13, 7)).map_blocks(
        lambda block: typed(BLOCKS[form](block), dtype), dtype=dtype, meta=typed(BLOCKS[form](SMALL[:0]), dtype)
    )
    found = open_counts(cells(made), layer=None, limit=limit)
    np.testing.assert_array_equal(found.cells(None).load().counts.toarray(), SMALL)
    np.testing.assert_array_equal(found.totals, SMALL.sum(axis=1))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", ["dense", "csr", "csc"])
def test_counts_in_a_file_are_read_in_every_type(tmp_path, dtype, form):
    """Backed, and, of the forms that anndata can read so, lazily."""
    if dtype == "g":
        pytest.skip("HDF5 has it on some machines only")
    cells(typed(BLOCKS[form](SMALL), dtype)).write_h5ad(tmp_path / "cells.h5ad")
    opened = [ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")]
    if form == "dense":
        pytest.importorskip("xarray", reason="needs modulae[scale]: xarray")
        opened.append(ad.experimental.read_lazy(tmp_path / "cells.h5ad"))
    for adata in opened:
        for limit in (None, 1):
            found = open_counts(adata, layer=None, limit=limit)
            np.testing.assert_array_equal(found.cells(None).load().counts.toarray(), SMALL)
            np.testing.assert_array_equal(found.totals, SMALL.sum(axis=1))


@pytest.mark.parametrize(
    ("values", "step"),
    [
        (np.array([["0", "3"], ["2", "0"]], dtype=object), ".astype('float32')"),
        (np.array([[0, 3], [2, 0]], dtype=object), ".astype('float32')"),
        (np.array([["0", "3"], ["2", "0"]]), ".astype('float32')"),
    ],
)
def test_numbers_that_are_kept_as_objects_or_text_are_refused_with_the_step(values, step):
    adata = cells(np.ones((2, 2)))
    adata.layers["kept"] = values
    with pytest.raises(TypeError, match=r"adata.layers\['kept'\] holds .*, not numbers.*another layer") as caught:
        read_counts(adata, layer="kept")
    assert step in str(caught.value)
    exec(str(caught.value).split("`")[1], {"adata": adata})  # noqa: S102 - what the message says to run
    np.testing.assert_array_equal(read_counts(adata, layer="kept").matrix.toarray(), [[0, 3], [2, 0]])


def test_complex_numbers_are_no_counts():
    with pytest.raises(TypeError, match=r"adata.X holds complex64, not numbers. Store raw counts there"):
        read_counts(cells(np.ones((2, 2), dtype=np.complex64)), layer=None)


def test_masked_values_are_refused_rather_than_read():
    """What lies under a mask would be taken for a count."""
    adata = cells(np.ma.masked_array([[1.0, 3.0], [2.0, 0.0]], mask=[[False, True], [False, False]]))
    with pytest.raises(ValueError, match=r"adata.X has masked values.*`adata.X = adata.X.filled\(0\)`"):
        read_counts(adata, layer=None)
    adata.X = adata.X.filled(0)
    np.testing.assert_array_equal(read_counts(adata, layer=None).matrix.toarray(), [[1, 0], [2, 0]])


def test_whole_numbers_that_count_something_are_no_groups():
    """`groupby="n_genes"` would compare hundreds of groups of a cell or two."""
    adata = cells(np.ones((60, 1)))
    adata.obs["n_counts"], adata.obs["cluster"] = np.arange(60), pd.Categorical(np.arange(60))
    with pytest.raises(ValueError, match=r"'n_counts'\] holds 60 different numbers, which are hardly groups.*map\(str"):
        membership(adata, "n_counts")
    assert len(membership(adata, "cluster")[0]) == 60  # who made them categories means them


def test_categories_that_are_written_alike_are_not_told_apart_by_name():
    """Names find groups: the cells of the second would be taken for those of the first."""
    adata = cells(np.ones((3, 1)))
    adata.obs["kind"] = pd.Categorical([1, "1", "x"])
    with pytest.raises(ValueError, match=r"written alike \(1 and '1'\).*map\(str"):
        membership(adata, "kind")


def test_stored_zeros_are_no_counts_and_the_input_keeps_its_own():
    matrix = sparse.csr_matrix((np.array([0.0, 2.0], dtype=np.float32), [0, 1], [0, 1, 2]), shape=(2, 2))
    adata = cells(matrix)
    read = read_counts(adata, layer=None)
    assert read.matrix.nnz == 1
    assert adata.X.nnz == 2


def test_counts_that_are_as_they_should_be_are_read_without_a_copy():
    counts = sparse.random(40, 6, density=0.4, format="csr", dtype=np.float32, random_state=0)
    counts.data = np.ceil(counts.data * 5)
    adata = cells(counts)
    for genes in (None, list(adata.var_names)):
        assert np.shares_memory(read_counts(adata, genes=genes, layer=None).matrix.data, adata.X.data)
    other = read_counts(adata, genes=list(adata.var_names[::-1]), layer=None)
    np.testing.assert_array_equal(other.matrix.toarray(), counts.toarray()[:, ::-1])
    assert not np.shares_memory(other.matrix.data, adata.X.data)
