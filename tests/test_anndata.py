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

from modulae._anndata import read_counts
from modulae._count_blocks import ROWS_PER_BLOCK
from modulae._groups import membership

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 5))  # one cell and one gene included
COUNTS = SHAPES.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(0, 3000)))
FORMS = st.sampled_from([sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.asarray])
TYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint16])


def cells(matrix):
    return ad.AnnData(matrix, var=pd.DataFrame(index=[f"g{i}" for i in range(matrix.shape[1])]))


@settings(deadline=None)
@given(counts=COUNTS, form=FORMS, dtype=TYPES, in_layer=st.booleans(), data=st.data())
def test_counts_are_read_as_they_are_in_every_form(counts, form, dtype, in_layer, data):
    """All-zero cells and genes, one cell, one gene; any order and choice of genes; totals over all genes."""
    stored = form(counts.astype(dtype))
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
    with pytest.raises(KeyError, match=r"1 genes are not in adata .*Choose genes from adata\.var_names"):
        read_counts(cells(np.ones((1, 1))), genes=["nobody"], layer=None)


@pytest.mark.parametrize("values", [["b", "a", "b", None], [True, False, True, True], [3, 1, 3, 1]])
def test_groups_keep_the_order_of_their_categories(values):
    adata = cells(np.ones((4, 1)))
    adata.obs["kind"] = pd.Categorical(values, categories=["b", "a", "unused"]) if "b" in values else values
    names, members = membership(adata, "kind")
    assert names == {"b": ["b", "a"], True: ["False", "True"], 3: ["1", "3"]}[values[0]]
    for name, row in zip(names, members, strict=True):
        assert [str(value) == name for value in values] == row.tolist()


def test_half_precision_is_read_and_text_refused():
    """SciPy has no sparse matrix of either, and says so in its own words."""
    half = np.array([[0, 3], [2, 0]], dtype=np.float16)
    np.testing.assert_array_equal(read_counts(cells(half), layer=None).matrix.toarray(), half)
    adata = cells(np.ones((2, 2)))
    adata.layers["text"] = np.array([["0", "3"], ["2", "0"]], dtype=object)
    with pytest.raises(TypeError, match=r"adata.layers\['text'\] holds object, not numbers.*another layer"):
        read_counts(adata, layer="text")


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
