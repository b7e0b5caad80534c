"""A model knows the counts of its cells: later steps read these, or raise, whatever was done to the AnnData since."""

import warnings

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import modulae as mo

KEPT = "adata.layers['counts'] = adata.X.copy()"
SETTINGS = {"n_latent": 5, "n_splits": 0, "max_epochs": 3, "device": "cpu", "progress": False}
pytestmark = pytest.mark.filterwarnings("ignore:.*no better than the mean of each gene:UserWarning")
CPU = {"device": "cpu"}
SETS = {f"set {at}": [f"gene_{gene:02d}" for gene in range(at, at + 9)] for at in range(0, 48, 8)}


def impact(adata, **given):
    mo.tl.pathway_impact(adata, SETS, groupby="group", n_permutations=20, **CPU, **given)


def classify(adata, reference, **given):
    mo.tl.classify(adata, reference, labels="group", **CPU, **given)


ALONE = {
    "saliency": lambda adata, **given: mo.tl.saliency(adata, **CPU, **given),
    "saliency of groups": lambda adata, **given: mo.tl.saliency(adata, groupby="group", **CPU, **given),
    "impact": impact,
    "activity": lambda adata, **given: mo.tl.pathway_activity(adata, SETS, n_random=10, **CPU, **given),
    "enrichment": lambda adata, **given: mo.tl.enrich_units(adata, SETS, n_permutations=20, **CPU, **given),
    "summary": lambda adata, **given: mo.tl.unit_summary(adata, **CPU, **given),
    "sanity": lambda adata, **given: mo.tl.sanity(adata, SETS, n_seeds=1, n_draws=3, max_epochs=1, **CPU, **given),
    "calls": lambda adata, **given: mo.tl.call_units(adata, **CPU, **given),
    "novelty": mo.tl.novelty,
    "denoise": lambda adata, **given: mo.tl.denoise(adata, **CPU, **given),
    "embeddings": mo.tl.embeddings,
}
PAIRS = {
    "classify": classify,
    "joint embedding": lambda adata, reference, **given: mo.tl.joint_embedding(adata, reference, **CPU, **given),
}
CALLS = [*ALONE, *PAIRS, *(f"{call}, reference" for call in PAIRS)]


def run(call, adata, other, **given):
    """Read `adata` in one of the steps; where these read two objects, the second is `other`."""
    if call in ALONE:
        ALONE[call](adata, **given)
    elif call in PAIRS:
        PAIRS[call](adata, other.copy(), **given)
    else:
        given = {f"reference_{name}": value for name, value in given.items()}
        PAIRS[call.removesuffix(", reference")](other.copy(), adata, **given)


@pytest.fixture(scope="module")
def once():
    adata = mo.datasets.simulated(n_cells=300, n_genes=60, n_programmes=4, genes_per_programme=10, n_groups=2, seed=1)
    adata.var["chosen"] = np.arange(adata.n_vars) % 6 != 5
    mo.tl.autoencoder(adata, mask_var="chosen", **SETTINGS)
    return adata


@pytest.fixture
def trained(once):
    return once.copy()


def normalised(adata):
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    return adata


def fields(adata):
    return {store: set(getattr(adata, store)) for store in ("obs", "var", "obsm", "varm", "layers", "uns")}


def same_saliency(adata, once):
    """Read the cells of `adata`, and compare with what the trained object says of the same cells."""
    expected = once[adata.obs_names].copy()
    for one in (adata, expected):
        mo.tl.saliency(one, method="input_x_gradient", **CPU)
    genes = expected.var_names[expected.var["chosen"]]
    found, wanted = (mo.get.saliency(one).reindex(genes) for one in (adata, expected))
    assert wanted.notna().to_numpy().all()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("call", CALLS)
def test_no_step_reads_logarithms(once, trained, call):
    normalised(trained)
    before = fields(trained)
    with pytest.raises(ValueError, match=r"holds other values than the model 'ae' has read, in 300 of 300") as caught:
        run(call, trained, once)
    assert str(caught.value).endswith(f"Next time keep them before you normalise: `{KEPT}`.")
    assert fields(trained) == before


@pytest.mark.parametrize("call", CALLS)
def test_no_step_reads_other_whole_numbers(once, trained, call):
    trained.layers["spliced"] = trained.X.copy()
    trained.layers["spliced"].data = np.ceil(trained.layers["spliced"].data / 2)
    before = fields(trained)
    with pytest.raises(ValueError, match=r"\['spliced'\] holds other values.* (in adata\.X\. Leave out layer=)"):
        run(call, trained, once, layer="spliced")
    assert fields(trained) == before


@pytest.mark.parametrize("call", CALLS)
def test_counts_that_were_kept_are_found(once, trained, call):
    """Without being named; that the numbers are the same is for the next tests."""
    trained.layers["kept"] = trained.X.copy()
    trained.layers["other"] = trained.X[::-1].tocsr()
    before = fields(normalised(trained))
    run(call, trained, once)
    if "reference" not in call:
        assert fields(trained) != before


def test_the_report_reads_no_logarithms(trained, tmp_path):
    pytest.importorskip("bokeh", reason="needs modulae[report]")
    normalised(trained)
    with pytest.raises(ValueError, match=r"other values than the model 'ae' has read"):
        mo.report(trained, tmp_path / "page.html", progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("named", [True, False])
def test_what_is_read_from_the_layer_is_right(once, trained, named):
    trained.layers["kept"] = trained.X.copy()
    normalised(trained)
    mo.tl.denoise(trained, layer="kept" if named else None, **CPU)
    expected = mo.tl.denoise(once, copy=True, **CPU)
    np.testing.assert_allclose(trained.layers["ae_denoised"], expected.layers["ae_denoised"], rtol=1e-5)
    same_saliency(trained, once)


def test_counts_in_raw_are_pointed_at(once, trained):
    trained.raw = trained.copy()
    adata = normalised(trained)
    with pytest.raises(ValueError, match=r"What it has read is in adata\.raw\. Copy them.*layer='counts'\.$") as caught:
        mo.tl.novelty(adata)
    exec(str(caught.value).split("`")[1], {"adata": adata})  # noqa: S102 (the line that the message says to run)
    mo.tl.novelty(adata, layer="counts")
    same_saliency(adata, once)


def whole(adata):
    adata.X = adata.X.toarray()
    adata.X[:] = np.rint(normalised(adata).X * 3)


def downsampled(adata):
    sc.pp.downsample_counts(adata, counts_per_cell=40, random_state=0)


def other_rows(adata):
    adata.X = adata.X[np.random.default_rng(0).permutation(adata.n_obs)]


def other_genes(adata):
    adata.X = adata.X[:, ::-1].tocsr()


def one_gene(adata):
    matrix = adata.X.tolil()
    matrix[:, 3] = matrix[:, 3].toarray() + 1
    adata.X = matrix.tocsr()


def one_cell(adata):
    matrix = adata.X.tolil()
    matrix[17] = matrix[18]
    adata.X = matrix.tocsr()


CHANGES = [whole, downsampled, other_rows, other_genes, one_gene, one_cell]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("with_representation", [True, False])
def test_counts_that_have_changed(trained, change, with_representation):
    change(trained)
    if not with_representation:
        del trained.obsm["X_ae"]
        if change in (other_rows, one_cell):  # the cells can't be told apart any more
            return
    with pytest.raises(
        ValueError, match=r"read these values as those of new cells: .*go on with key='ae2'\.$"
    ) as caught:
        mo.tl.saliency(trained, **CPU)
    exec(str(caught.value).split("`")[1], {"adata": trained, "mo": mo})  # noqa: S102
    mo.tl.saliency(trained, key="ae2", **CPU)
    with pytest.raises(ValueError, match="other values"):
        mo.tl.saliency(trained, **CPU)


def retyped(adata, matrix):
    adata.X = matrix
    return adata


def with_zeros(matrix):
    dense = sparse.csr_matrix(np.ones(matrix.shape, dtype=np.float32))
    dense.data[:] = matrix.toarray().ravel()
    return dense


def in_halves(matrix):
    """The first count of every cell as two entries, which stand for their sum."""
    matrix = sparse.csr_matrix(matrix)
    first = matrix.indptr[:-1]
    data, indices = (np.insert(values, first, values[first]) for values in (matrix.data, matrix.indices))
    twice = first + np.arange(len(first))
    data[twice] = np.floor(data[twice] / 2)
    data[twice + 1] -= data[twice]
    return sparse.csr_matrix((data, indices, matrix.indptr + np.arange(len(matrix.indptr))), shape=matrix.shape)


def without(adata):
    del adata.obsm["X_ae"]
    return adata


FORMS = {
    "as it is": lambda adata: adata,
    "some cells, in another order": lambda adata: adata[[80, 3, 55, 12, 200]].copy(),
    "one cell": lambda adata: adata[[5]].copy(),
    "other order of genes": lambda adata: adata[:, ::-1].copy(),
    "whole numbers": lambda adata: retyped(adata, adata.X.astype(np.int64)),
    "dense": lambda adata: retyped(adata, adata.X.toarray().astype(np.float64)),
    "by columns": lambda adata: retyped(adata, adata.X.tocsc()),
    "stored zeros": lambda adata: retyped(adata, with_zeros(adata.X)),
    "entries stored twice": lambda adata: retyped(adata, in_halves(adata.X)),
    "without representation": without,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_counts_in_other_forms(once, trained, form):
    same_saliency(FORMS[form](trained), once)


def test_a_view(trained):
    mo.tl.saliency(trained[10:200], copy=True, **CPU)
    with pytest.raises(ValueError, match="in 190 of 190 cells"):
        mo.tl.saliency(normalised(trained)[10:200], copy=True, **CPU)


def test_fewer_genes_beside_those_of_the_model(trained):
    """Totals of the cells are others then, as they always were; that is no change of the counts."""
    mo.tl.saliency(trained[:, trained.var["chosen"]].copy(), **CPU)


@pytest.mark.parametrize("form", ["h5ad", "zarr", "backed", "lazy", "dask"])
def test_from_a_file(once, trained, form, tmp_path):
    for name in ("right", "wrong"):
        adata = trained.copy()
        if name == "wrong":
            normalised(adata)
        adata = reopened(adata, form, tmp_path / f"{name}.{'zarr' if form == 'zarr' else 'h5ad'}")
        if name == "right":
            mo.tl.saliency(adata, method="input_x_gradient", **CPU)
            expected = mo.tl.saliency(once, method="input_x_gradient", copy=True, **CPU).varm["ae_saliency"]
            np.testing.assert_allclose(adata.varm["ae_saliency"], expected, rtol=1e-5, atol=1e-7)
        else:
            with pytest.raises(ValueError, match=r"adata\.X holds other values.*in 256 of 256 cells|300 of 300 cells"):
                mo.tl.saliency(adata, **CPU)
        if adata.isbacked:
            adata.file.close()


def reopened(adata, form, path):
    if form == "dask":
        array = pytest.importorskip("dask.array", reason="needs modulae[scale]: dask")
        return retyped(adata, array.from_array(adata.X, chunks=(64, adata.n_vars), asarray=False))
    if form == "zarr":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # anndata's own plans for its formats
            adata.write_zarr(path)
        return ad.read_zarr(path)
    adata.write_h5ad(path)
    if form == "lazy":
        pytest.importorskip("xarray", reason="needs modulae[scale]: xarray")
        return ad.experimental.read_lazy(path)
    return ad.read_h5ad(path, backed="r" if form == "backed" else None)


@pytest.mark.parametrize("form", ["backed", "dask"])
def test_trained_on_what_is_in_a_file(once, form, tmp_path):
    adata = mo.datasets.simulated(n_cells=300, n_genes=60, n_programmes=4, genes_per_programme=10, n_groups=2, seed=1)
    adata.var["chosen"] = once.var["chosen"]
    adata = reopened(adata, form, tmp_path / "cells.h5ad")
    mo.tl.autoencoder(adata, mask_var="chosen", **SETTINGS)
    np.testing.assert_array_equal(np.asarray(adata.uns["ae"]["counts"])[0], once.uns["ae"]["counts"][0])
    mo.tl.saliency(adata, **CPU)
    if adata.isbacked:
        adata.file.close()


def test_new_cells_may_join(once, trained):
    new = mo.datasets.simulated(n_cells=50, n_genes=60, n_programmes=4, genes_per_programme=10, n_groups=2, seed=2)
    new.obs_names = [f"new {name}" for name in new.obs_names]
    both = ad.concat([trained, new], uns_merge="first")
    mo.tl.saliency(both, **CPU)
    expected = np.asarray(both.varm["ae_saliency"])
    assert np.isfinite(expected).sum() == 50 * 5
    normalised(both)
    with pytest.raises(ValueError, match="other values"):
        mo.tl.saliency(both, **CPU)


def test_a_transferred_model_knows_the_new_cells(once):
    new = mo.datasets.simulated(n_cells=50, n_genes=60, n_programmes=4, genes_per_programme=10, n_groups=2, seed=2)
    mo.tl.transfer(new, once)
    mo.tl.novelty(new)
    normalised(new)
    with pytest.raises(ValueError, match="other values than the model 'ae' has read, in 50 of 50"):
        mo.tl.novelty(new)


def test_a_model_that_was_written_without_stamps(trained):
    del trained.uns["ae"]["counts"]
    other_rows(trained)
    mo.tl.saliency(trained, **CPU)
