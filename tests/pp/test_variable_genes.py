"""The genes that vary most, wherever the counts lie; and what is said about groups that lose their markers."""

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import modulae as mo

N_CELLS, N_GENES, N_VARIABLE = 300, 60, 12


def counts():
    """Two groups of cells of very unequal depths; some of the first genes are higher in the one, some in the other."""
    rng = np.random.default_rng(0)
    means = rng.uniform(5, 20, N_GENES)
    means[:N_VARIABLE], means[-1] = 5, 60
    group = np.arange(N_CELLS) // 2 % 2
    higher = (np.arange(N_GENES)[None] % 2 == group[:, None]) & (np.arange(N_GENES) < N_VARIABLE)
    rates = np.where(higher, 4 * means, means)
    return rng.poisson(rates * rng.uniform(0.3, 3, (N_CELLS, 1))).astype(np.float32), group


@pytest.fixture
def adata():
    """The variable genes are scattered over the columns."""
    values, group = counts()
    order = np.random.default_rng(1).permutation(N_GENES)
    made = ad.AnnData(sparse.csr_matrix(values[:, order]))
    made.var_names = [f"gene {at}" for at in order]
    made.obs["kind"] = pd.Categorical(np.where(group, "high", "low"))
    return made


VARIABLE = {f"gene {at}" for at in range(N_VARIABLE)}


def marked(adata, column="variable"):
    return set(adata.var_names[adata.var[column]])


def residual_variances(values):
    """Lause et al. (2021), by their formula: θ = 100, clipped at √n."""
    expected = values.sum(1, keepdims=True) * values.sum(0, keepdims=True) / values.sum()
    residuals = (values - expected) / np.sqrt(expected + expected**2 / 100)
    return np.clip(residuals, -np.sqrt(len(values)), np.sqrt(len(values))).var(axis=0)


def test_the_genes_of_the_largest_residual_variance(adata):
    variances = np.sort(residual_variances(adata.X.toarray().astype(float)))[::-1]
    assert variances[N_VARIABLE - 1] > 1.5 * variances[N_VARIABLE]  # no tie decides
    assert mo.pp.variable_genes(adata, n_top_genes=N_VARIABLE) is None
    assert marked(adata) == VARIABLE
    assert adata.var["variable"].dtype == bool
    assert list(adata.var) == ["variable"]


def test_depth_is_no_variation(adata):
    """By plain variances the genes that are counted most would come first."""
    plain = np.argsort(-adata.X.toarray().var(axis=0))[:N_VARIABLE]
    assert set(adata.var_names[plain]) != VARIABLE


@pytest.mark.parametrize("where", ["dense", "csc", "layer", "view", "backed", "dask", "lazy"])
def test_counts_may_lie_anywhere(adata, tmp_path, where):
    given, cells = {}, adata
    if where == "dense":
        cells.X = cells.X.toarray()
    elif where == "csc":
        cells.X = cells.X.tocsc()
    elif where == "layer":
        cells.layers["counts"], cells.X = cells.X.copy(), cells.X * 0
        given = {"layer": "counts"}
    elif where == "view":
        cells = cells[:, ::-1]
    elif where == "dask":
        dask = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
        cells.X = dask.from_array(cells.X.toarray(), chunks=(70, N_GENES)).map_blocks(sparse.csr_matrix)
    else:
        pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
        cells.write_h5ad(tmp_path / "a.h5ad")
        read = ad.experimental.read_lazy if where == "lazy" else (lambda path: sc.read_h5ad(path, backed="r"))
        cells = read(tmp_path / "a.h5ad")
    if where in {"view", "lazy"}:
        cells = mo.pp.variable_genes(cells, n_top_genes=N_VARIABLE, copy=True, **given)
    else:
        mo.pp.variable_genes(cells, n_top_genes=N_VARIABLE, **given)
    assert {str(name) for name in np.asarray(cells.var_names)[np.asarray(cells.var["variable"])]} == VARIABLE


def test_some_of_many_cells_and_none_without_counts(adata):
    adata.X = sparse.csr_matrix(np.where(np.arange(N_CELLS)[:, None] < 150, 0, adata.X.toarray()))
    mo.pp.variable_genes(adata, n_top_genes=N_VARIABLE, max_cells=120, seed=3, key_added="mine")
    assert marked(adata, "mine") == VARIABLE


def test_genes_without_counts_are_never_marked(adata):
    adata.X = sparse.csr_matrix(adata.X.toarray() * (np.arange(N_GENES) != 5))
    mo.pp.variable_genes(adata)
    assert marked(adata) == set(adata.var_names) - {adata.var_names[5]}


def test_what_differs_between_batches_only_is_not_variable(adata):
    mo.pp.variable_genes(adata, n_top_genes=N_VARIABLE, batch_key="kind")
    assert len(marked(adata)) == N_VARIABLE
    assert len(marked(adata) & VARIABLE) < N_VARIABLE / 2


def test_only_genes_count(adata):
    adata.var["feature_types"] = np.where(adata.var_names == "gene 0", "Antibody Capture", "Gene Expression")
    mo.pp.variable_genes(adata, n_top_genes=N_VARIABLE - 1)
    assert marked(adata) == VARIABLE - {"gene 0"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"layer": "counts"}, KeyError, "there is no layer 'counts'"),
        ({"batch_key": "donor"}, KeyError, "batch_key='donor' is not a column"),
        ({"n_top_genes": 0}, ValueError, "n_top_genes is 0; give a whole number of at least 1"),
        ({"max_cells": 5}, ValueError, "max_cells is 5"),
        ({"layer": "empty"}, ValueError, "no cell has any counts. Name the layer"),
        ({"layer": "below"}, ValueError, "negative values"),
    ],
)
def test_wrong_input_is_refused_and_changes_nothing(adata, given, error, message):
    adata.layers["empty"], adata.layers["below"] = adata.X * 0, -adata.X
    with pytest.raises(error, match=message):
        mo.pp.variable_genes(adata, **given)
    assert list(adata.var) == []


def test_training_on_them(adata):
    mo.pp.variable_genes(adata, n_top_genes=N_VARIABLE)
    mo.tl.autoencoder(adata, mask_var="variable", n_splits=0, n_latent=4, max_epochs=1, progress=False, device="cpu")
    assert set(adata.var_names[adata.var["ae_gene"]]) == VARIABLE


MARKERS = ["A1", "A2", "A3"]


@pytest.fixture
def groups():
    """Group a counts three genes tenfold; b and c are alike; d would have markers, and has too few cells."""
    rng = np.random.default_rng(0)
    kind = np.array(["a"] * 60 + ["b"] * 60 + ["c"] * 60 + ["d"] * 5)
    values = rng.poisson(3, (185, 20)).astype(np.float32)
    values[kind == "a", :3] *= 10
    values[kind == "d", 3:6] *= 10
    made = ad.AnnData(sparse.csr_matrix(values))
    made.var_names = [*MARKERS, *(f"G{at}" for at in range(17))]
    made.obs["kind"] = pd.Categorical(kind)
    made.obs["half"] = pd.Categorical(np.where(np.arange(185) % 2, "x", "y"))
    made.obs["depth"] = values.sum(1)
    return made


SAYS = r"leaves out genes that mark 1 of 4 groups of adata.obs\['kind'\]: a \(A[123], A[123](, A[123])?\)\. A model"


def masks(groups, kept):
    """What marks genes, and what trains on marked ones."""
    groups.var["mine"] = groups.var_names.isin(kept)
    once = {"n_splits": 0, "n_latent": 4, "max_epochs": 1, "progress": False, "device": "cpu"}
    return {
        "sets": lambda **_: mo.pp.gene_set_mask(groups, {"all": kept}),
        "mine": lambda **k: mo.tl.autoencoder(groups, mask_var="mine", **once, **k),
    }


@pytest.mark.parametrize("which", ["sets", "mine"])
def test_a_group_that_loses_its_markers_is_named(groups, which):
    kept = [name for name in groups.var_names if name not in MARKERS]
    with pytest.warns(UserWarning, match=SAYS + r" of the others never sees these genes\. Train on all genes"):
        masks(groups, kept)[which]()


@pytest.mark.parametrize("which", ["sets", "mine"])
@pytest.mark.filterwarnings("error:the mask leaves out genes that mark")
def test_one_marker_is_not_many(groups, which):
    masks(groups, [name for name in groups.var_names if name != "A1"])[which]()


@pytest.mark.filterwarnings("error:the mask leaves out genes that mark")
def test_batches_and_donors_are_no_groups(groups):
    kept = [name for name in groups.var_names if name not in MARKERS]
    groups.obs["kind"] = pd.Categorical(["a"] * 60 + ["b"] * 60 + ["c"] * 65)
    masks(groups, kept)["mine"](batch_key="kind")


def test_too_few_variable_genes_say_how_to_get_more(groups):
    groups.layers["counts"] = groups.X.copy()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mo.pp.variable_genes(groups, n_top_genes=1, layer="counts")
    lines = [str(each.message).split("`")[1] for each in said if str(each.message).startswith("the mask leaves out")]
    assert lines == ["mo.pp.variable_genes(adata, n_top_genes=2, layer='counts')"]


def test_groups_of_cells_on_disk_are_looked_at(groups, tmp_path, monkeypatch):
    """Eight blocks of them, where there are many."""
    monkeypatch.setattr("modulae._adata.lost_markers.CELLS", 168)
    groups.write_h5ad(tmp_path / "a.h5ad")
    backed = sc.read_h5ad(tmp_path / "a.h5ad", backed="r")
    with pytest.warns(UserWarning, match=SAYS):
        mo.pp.gene_set_mask(backed, {"all": list(groups.var_names[3:])})
