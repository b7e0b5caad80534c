"""Antibodies, guides and peaks beside the RNA: never in size factors and model, unless asked for alone."""

import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import modulae as mo
from modulae._adata.counts import read_counts
from modulae._adata.features import feature_kinds, gene_features
from modulae._adata.stored.models import read_model

RNA, ADT = "Gene Expression", "Antibody Capture"
SMALL = {"n_latent": 4, "n_splits": 0, "max_epochs": 3, "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def rna_once():
    return mo.datasets.simulated(n_cells=120, n_genes=60, n_programmes=3, genes_per_programme=10, seed=0)


@pytest.fixture
def rna(rna_once):
    return rna_once.copy()


@pytest.fixture
def cite(rna):
    """The same RNA, and antibodies that half of the cells have twenty times as much of."""
    half = np.arange(rna.n_obs) < rna.n_obs // 2
    antibodies = np.random.default_rng(0).poisson(np.where(half, 200, 10)[:, None], (rna.n_obs, 8))
    names = pd.Index([*rna.var_names, *(f"CD{at}" for at in range(8))])
    var = pd.DataFrame({"feature_types": [RNA] * rna.n_vars + [ADT] * 8}, index=names)
    both = ad.AnnData(sparse.hstack([rna.X, sparse.csr_matrix(antibodies)], format="csr"), obs=rna.obs.copy(), var=var)
    both.obs["side"] = pd.Categorical(np.where(half, "high", "low"))
    both.var["is_gene"] = both.var["feature_types"] == RNA
    return both


def test_two_kinds_are_refused_with_the_line_that_keeps_the_genes(cite):
    before = cite.copy()
    with pytest.raises(ValueError, match=r"\['feature_types'\] has 2 kinds of features \(Antibody") as caught:
        mo.tl.autoencoder(cite, **SMALL)
    assert set(cite.uns) == set(before.uns)
    assert set(cite.obsm) == set(before.obsm)
    line = str(caught.value).split("`")[1]
    after = {"adata": cite}
    exec(line, after)  # noqa: S102 (the line that the message says to run)
    mo.tl.autoencoder(after["adata"], **SMALL)
    assert after["adata"].obsm["X_ae"].shape == (120, 4)


@pytest.mark.parametrize("unnamed", [None, np.nan])
def test_genes_without_a_kind_beside_antibodies_with_one(cite, rna, unnamed):
    """As where only the antibodies came with the column."""
    cite.var["feature_types"] = [unnamed] * rna.n_vars + [ADT] * 8
    with pytest.raises(ValueError, match=r"2 kinds of features \(Antibody Capture, Gene Expression\)") as caught:
        mo.tl.autoencoder(cite, **SMALL)
    after = {"adata": cite}
    exec(str(caught.value).split("`")[1], after)  # noqa: S102 (the line that the message says to run)
    assert list(after["adata"].var_names) == list(rna.var_names)
    read = read_counts(cite, genes=rna.var_names, layer=None)
    np.testing.assert_array_equal(read.totals, np.asarray(rna.X.sum(axis=1)).ravel())


def test_with_a_mask_the_antibodies_change_nothing(cite, rna):
    """Equal RNA: whatever the antibodies, the same model, activity and rates as on the RNA alone."""
    sets = {f"set {at}": list(rna.var_names[at::6]) for at in range(6)}
    rna.obs["side"] = cite.obs["side"]
    for adata, mask in ((rna, None), (cite, "is_gene")):
        mo.tl.autoencoder(adata, mask_var=mask, **SMALL)
        mo.tl.pathway_activity(adata, sets, source="counts", n_random=10)
        mo.tl.pathway_impact(adata, sets, groupby="side", n_permutations=20)
        mo.tl.denoise(adata)
        mo.tl.unit_summary(adata)
    assert rna.uns["ae"]["model"]["size_factor_unit"] == cite.uns["ae"]["model"]["size_factor_unit"]
    np.testing.assert_array_equal(rna.obsm["X_ae"], cite.obsm["X_ae"])
    np.testing.assert_array_equal(rna.obsm["ae_pathways"], cite.obsm["ae_pathways"])
    np.testing.assert_array_equal(rna.layers["ae_denoised"], cite.layers["ae_denoised"][:, :60])
    pd.testing.assert_frame_equal(mo.get.unit_summary(rna), mo.get.unit_summary(cite))
    pd.testing.assert_frame_equal(
        mo.get.impact_table(rna, result="ae_impact_side"), mo.get.impact_table(cite, result="ae_impact_side")
    )


def test_a_model_of_the_antibodies_has_sets_of_antibodies(cite):
    cite.var["antibody"] = ~cite.var["is_gene"]
    mo.tl.autoencoder(cite, mask_var="antibody", **SMALL)
    mo.tl.pathway_impact(cite, {"a": ["CD0", "CD1", "CD2"], "b": ["CD3", "CD4", "CD5"]})
    assert list(mo.get.impact_table(cite)["n_genes"]) == [3, 3]


def test_a_model_of_the_rna_reads_cells_with_antibodies(cite, rna):
    mo.tl.autoencoder(rna, **SMALL)
    mo.tl.transfer(cite, rna)
    np.testing.assert_allclose(cite.obsm["X_ae"], rna.obsm["X_ae"], rtol=1e-5, atol=1e-6)


def test_the_genes_a_model_knows_are_genes(cite):
    """A transferred model takes size factors over all the genes it knows, also those it does not read."""
    cite.var["some"] = cite.var["is_gene"] & (np.arange(cite.n_vars) % 2 == 0)
    mo.tl.autoencoder(cite, mask_var="some", **SMALL)
    known = read_model(cite, "ae").known_genes
    assert sorted(known) == sorted(cite.var_names[cite.var["is_gene"]])


def test_a_search_leaves_them_out_too(cite, rna):
    grid = {"n_latent": [2, 3], "max_epochs": [2]}
    tables = [
        mo.tl.search(adata, grid, mask_var=mask, device="cpu", progress=False)
        for adata, mask in ((rna, None), (cite, "is_gene"))
    ]
    pd.testing.assert_series_equal(tables[0]["loss"], tables[1]["loss"])
    with pytest.raises(ValueError, match="2 kinds of features"):
        mo.tl.search(cite, grid, device="cpu", progress=False)


def test_sets_mark_genes_only(cite):
    sets = {"a": [*cite.var_names[:10], "CD1", "CD2"]}
    mo.pp.gene_set_mask(cite, sets)
    assert list(cite.var_names[cite.var["in_gene_sets"]]) == list(cite.var_names[:10])
    with pytest.raises(ValueError, match="no gene of the 1 gene set is in adata"):
        mo.pp.gene_set_mask(cite, {"a": ["CD1", "CD2"]})


def test_the_report_reads_the_genes_only(cite, rna, tmp_path):
    pytest.importorskip("bokeh", reason="needs modulae[report]")
    sets = {f"set {at}": list(rna.var_names[at::6]) for at in range(6)}
    pages = []
    for adata, mask in ((rna, None), (cite, "is_gene")):
        adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
        mo.tl.autoencoder(adata, mask_var=mask, **SMALL)
        page = mo.report(adata, tmp_path / "page.html", gene_sets=sets, progress=False).read_text("utf-8")
        pages.append(re.sub(r'"p\d+"', "", page))  # Bokeh numbers what it draws
    assert len(pages[0]) > 10_000
    assert pages[0] == pages[1]


@pytest.mark.parametrize("chosen", [RNA, ADT])
def test_a_kind_that_is_asked_for_alone_is_counted_alone(cite, chosen):
    of_kind = (cite.var["feature_types"] == chosen).to_numpy()
    some = cite.var_names[of_kind][:5]
    read = read_counts(cite, genes=some, layer=None)
    np.testing.assert_array_equal(read.totals, np.asarray(cite.X[:, of_kind].sum(axis=1)).ravel())


def test_counts_on_disk(cite, tmp_path):
    cite.write_h5ad(tmp_path / "cite.h5ad")
    backed = ad.read_h5ad(tmp_path / "cite.h5ad", backed="r")
    with pytest.raises(ValueError, match="2 kinds of features"):
        read_counts(backed, layer=None)
    read = read_counts(backed, genes=cite.var_names[:60], layer=None)
    np.testing.assert_array_equal(read.totals, np.asarray(cite.X[:, :60].sum(axis=1)).ravel())
    backed.file.close()


KINDS = st.lists(st.sampled_from([RNA, ADT, "CRISPR Guide Capture", "Multiplexing Capture", "Peaks", None]), min_size=4)


@settings(deadline=None)
@given(kinds=KINDS, categorical=st.booleans(), column=st.sampled_from(["feature_types", "feature_type", "modality"]))
def test_whatever_the_kinds_all_are_refused_or_all_are_counted(kinds, categorical, column):
    values = pd.Categorical(kinds) if categorical else np.array(kinds, dtype=object)
    adata = ad.AnnData(np.ones((2, len(kinds)), dtype=np.float32))
    adata.var_names = [f"g{at}" for at in range(len(kinds))]
    adata.var[column] = values
    before = adata.copy()
    meant = {RNA if kind is None else kind for kind in kinds}
    if set(kinds) != {None} and len(meant) > 1:
        with pytest.raises(ValueError, match=rf"has {len(meant)} kinds of features") as caught:
            read_counts(adata, layer=None)
        genes = adata.var_names[gene_features(adata)]
        assert (read_counts(adata, genes=genes, layer=None).totals == len(genes)).all()
        after = {"adata": adata}
        exec(str(caught.value).split("`")[1], after)  # noqa: S102 (the line that the message says to run)
        assert list(after["adata"].var_names) == list(genes)
        if RNA in meant:
            assert [kinds[int(name[1:])] in {RNA, None} for name in genes] == [True] * len(genes)
            assert len(genes) == sum(kind in {RNA, None} for kind in kinds)
    else:
        assert gene_features(adata).all()
        assert (read_counts(adata, layer=None).totals == len(kinds)).all()
    pd.testing.assert_frame_equal(adata.var, before.var)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("feature_type", ["protein_coding", "lncRNA", "protein_coding"], None),  # the biotype, as CELLxGENE has it
        ("feature_types", ["GEX", "ADT", "GEX"], ["GEX", "ADT", "GEX"]),
        ("modality", ["rna", "atac", "rna"], ["rna", "atac", "rna"]),
        ("feature_types", [RNA, "Negative Control Probe", RNA], [RNA, "Negative Control Probe", RNA]),
        ("feature_types", [RNA, RNA, RNA], None),
        ("chromosome", ["1", "2", "X"], None),
    ],
)
def test_which_columns_tell_kinds_apart(column, values, expected):
    adata = ad.AnnData(np.ones((2, 3), dtype=np.float32), var=pd.DataFrame({column: values}, index=list("abc")))
    found = feature_kinds(adata)
    assert (None if found is None else list(found[1])) == expected
