"""What the method must do on real cells. Needs the data that `MODULAE_DATA` names; about a minute a test."""

import warnings

import numpy as np
import pytest

import modulae as mo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hallmark(data_dir):
    return mo.read_gene_sets(data_dir / "hallmark_human_v2025.gmt")


@pytest.fixture(scope="module")
def pbmc3k(data_dir, hallmark):
    import anndata as ad

    adata = ad.read_h5ad(data_dir / "pbmc3k.h5ad")
    both = hallmark | mo.read_gene_sets(data_dir / "xcell_novershtern_DMAP.gmt")
    mo.pp.gene_set_mask(adata, both)
    return adata


@pytest.mark.parametrize("architecture", ["parts", "orthogonal"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_representation_of_blood_cells_finds_the_cell_types(pbmc3k, seed, architecture):
    import scanpy as sc
    from sklearn.metrics import normalized_mutual_info_score

    settings = {"architecture": architecture, "n_splits": 0, "seed": seed}
    adata = mo.tl.autoencoder(pbmc3k, mask_var="in_gene_sets", copy=True, **settings)
    assert mo.get.history(adata)["test_loss"].min() < adata.uns["ae"]["history"]["gene_means_loss"] - 0.03
    assert mo.metrics.clustering_nmi(adata, labels="seurat_celltype").mean() >= 0.72
    sc.pp.neighbors(adata, use_rep="X_ae")
    found = []
    for resolution in np.arange(0.3, 1.01, 0.1):
        sc.tl.leiden(adata, resolution=resolution, flavor="igraph", n_iterations=2, directed=False)
        found.append(normalized_mutual_info_score(adata.obs["seurat_celltype"].astype(str), adata.obs["leiden"]))
    assert max(found) >= 0.76


def test_the_papers_preset_learns_on_the_papers_cells(pbmc3k):
    from modulae.presets import KINALIS_2019

    adata = pbmc3k[:400].copy()
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", **{**KINALIS_2019, "max_epochs": 2})
    history = mo.get.history(adata)
    assert history["test_loss"].iloc[-1] < history["test_loss"].iloc[0]


def test_interferon_leads_in_stimulated_cells(data_dir, hallmark):
    """Kang 2018: half of the cells were given interferon-β."""
    import anndata as ad

    adata = ad.read_h5ad(data_dir / "kang_ifnb_sub2000.h5ad")
    mo.pp.gene_set_mask(adata, hallmark)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", n_splits=0)
    for method in ("gradient", "input_x_gradient"):
        mo.tl.pathway_impact(
            adata,
            hallmark,
            groupby="stim",
            groups=["STIM"],
            reference="CTRL",
            explanation={"method": method},
            key_added="ae_impact_stim",
        )
        impact = mo.get.impact(adata, result="ae_impact_stim", group="STIM")
        assert impact.sum(axis=1).idxmax().startswith("HALLMARK_INTERFERON")
        table = mo.get.impact_table(adata, result="ae_impact_stim")
        leading = table.nlargest(2, "effect")["set"]
        assert set(leading) == {"HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"}


@pytest.fixture(scope="module")
def kang(data_dir, hallmark):
    """Trained once, with one label for cell type and treatment."""
    import anndata as ad

    adata = ad.read_h5ad(data_dir / "kang_ifnb_sub2000.h5ad")
    mo.pp.gene_set_mask(adata, hallmark)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", n_splits=0)
    kinds, treatment = adata.obs["seurat_annotations"].astype(str), adata.obs["stim"].astype(str)
    adata.obs["kind_treatment"] = (kinds + " " + treatment).astype("category")
    return adata


def test_interferon_is_called_in_every_cell_type(kang, hallmark):
    counts = kang.obs["kind_treatment"].value_counts()
    kinds = [
        k
        for k in kang.obs["seurat_annotations"].unique()
        if min(counts.get(f"{k} {t}", 0) for t in ("CTRL", "STIM")) >= 30
    ]
    assert len(kinds) == 8
    for kind in kinds:
        mo.tl.pathway_impact(
            kang,
            hallmark,
            groupby="kind_treatment",
            groups=[f"{kind} STIM"],
            reference=f"{kind} CTRL",
            key_added="kind",
        )
        table = mo.get.impact_table(kang, result="kind").set_index("set")
        interferon = table.loc[["HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"]]
        assert (interferon["q"] < 0.05).all()
        assert (interferon["effect"] > 0).all()


def test_false_positives_of_the_comparison_stay_at_the_nominal_rate(kang, hallmark):
    """Labels permuted within the cell types; and random sets, from all genes and from the highly expressed ones."""
    rng = np.random.default_rng(0)
    settings = {
        "groupby": "kind",
        "groups": ["B STIM"],
        "reference": "B CTRL",
        "n_permutations": 300,
        "key_added": "null",
    }
    chance = []
    for _ in range(40):
        labels = kang.obs["kind_treatment"].astype(str).to_numpy(copy=True)
        these = np.flatnonzero(kang.obs["seurat_annotations"] == "B")
        labels[these] = rng.permutation(labels[these])
        kang.obs["kind"] = labels
        mo.tl.pathway_impact(kang, hallmark, **settings)
        chance.append(mo.get.impact_table(kang, result="null")["p"])
    assert (np.concatenate(chance) < 0.05).mean() < 0.06

    kang.obs["kind"] = kang.obs["kind_treatment"]
    genes = kang.var_names[kang.var["ae_gene"]]
    means = np.asarray(kang[:, genes].X.mean(axis=0)).ravel()
    high = genes[np.argsort(-means)[:600]]
    for pool in (genes, high):
        sets = {str(at): rng.choice(pool, 40, replace=False) for at in range(600)}
        mo.tl.pathway_impact(kang, sets, **settings)
        called = (mo.get.impact_table(kang, result="null")["p"] < 0.05).mean()
        assert 0.02 < called < 0.075


@pytest.fixture(scope="module")
def named_cells(data_dir, hallmark):
    """Trained once on the genes of Hallmark."""
    import anndata as ad

    adata = ad.read_h5ad(data_dir / "pbmc3k.h5ad")
    mo.pp.gene_set_mask(adata, hallmark)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", architecture="orthogonal")
    return adata


def checked(adata, hallmark, **settings):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mo.tl.sanity(adata, hallmark, groupby="seurat_celltype", **settings)
    return mo.get.sanity(adata), "\n".join(str(warning.message) for warning in caught)


def test_sums_of_gradients_between_groups_are_better_than_their_controls(named_cells, hallmark):
    """The explanation that users read; the genes of single units are not, and the check says so."""
    verdict, said = checked(named_cells, hallmark)
    assert verdict.loc["groups", "passed"]
    assert verdict.loc["groups", "seeds"] > verdict.loc["groups", "control"] + 0.2
    assert "- groups" not in said
    assert not verdict.loc["units", "passed"]
    assert verdict.loc["units", "control_kind"] == "untrained, same start"
    assert verdict.loc["units", "seeds"] < 0.3
    assert "- units" in said
    assert verdict.loc["deletion", "passed"]


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients"])
def test_what_multiplies_by_the_input_is_caught_following_expression(named_cells, hallmark, method):
    """It comes back with every seed, and from networks that never saw two genes go together."""
    verdict, said = checked(named_cells, hallmark, explanation={"method": method, "difference": "saliency"}, n_seeds=1)
    for level in ("sets", "set strength", "groups", "group strength"):
        assert verdict.loc[level, "seeds"] > 0.7, level
        assert not verdict.loc[level, "passed"], level
        assert f"- {level}" in said
    controls = mo.get.sanity(named_cells, table="controls")
    untrained = controls.loc[controls["kind"] == "untrained, other start"]
    assert (untrained[["set_strength", "group_strength"]] > 0.8).all(axis=None)


CELL_TYPES = {
    "B-cells": ["B"],
    "naive_B-cells": ["B"],
    "Class-switched_memory_B-cells": ["B"],
    "Monocytes": ["CD14+ Mono", "FCGR3A+ Mono"],
    "NK_cells": ["NK"],
    "CD8+_Tem": ["CD8 T", "NK"],  # cytotoxic, both
    "Megakaryocytes": ["Platelet"],
}
"""Signatures of DMAP and the labels of the cells they were made for."""


def test_units_are_active_in_the_cells_whose_signature_they_are_called_for(pbmc3k, data_dir):
    signatures = mo.read_gene_sets(data_dir / "xcell_novershtern_DMAP.gmt")
    adata = mo.tl.autoencoder(pbmc3k, mask_var="in_gene_sets", architecture="orthogonal", copy=True)
    rng = np.random.default_rng(0)
    genes = adata.var_names[adata.var["in_gene_sets"]]
    means = np.asarray(adata[:, genes].X.mean(axis=0)).ravel()
    high = {f"high {at}": list(rng.choice(genes[np.argsort(-means)[:600]], 60, replace=False)) for at in range(40)}
    with pytest.warns(UserWarning, match=r"left out: 1 with fewer than 3 genes .*: HSC_NOVERSHTERN_2 \(2 of 8\)\."):
        mo.tl.enrich_units(adata, signatures | high)
    table = mo.get.enrichment(adata)

    chance = table[table["set"].isin(high)]
    assert 0.02 < (chance["p"] < 0.05).mean() < 0.075
    assert (chance["p_prerank"] < 0.05).mean() > 0.4  # they are read strongly, as all that is highly expressed
    calls = table[table["q"] < 0.05]
    assert calls["set"].isin(high).mean() < 0.1

    labels, units = adata.obs["seurat_celltype"].astype(str), adata.obsm["X_ae"]
    agree = []
    for call in calls.itertuples():
        kinds = CELL_TYPES.get(call.set.partition("_NOVERSHTERN")[0])
        if kinds is not None:
            inside = labels.isin(kinds).to_numpy()
            activity = units[:, int(call.unit)]
            agree.append(np.sign(activity[inside].mean() - activity[~inside].mean()) == np.sign(call.z))
    assert len(agree) >= 5
    assert np.mean(agree) >= 0.8
