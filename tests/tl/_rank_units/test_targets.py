"""Perturbations: a unit is read without the gene that was knocked down, and guides of a gene agree or not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import modulae as mo

GENE = "knocked"
GUIDES = ["non-targeting", "g1", "g2", "other"]
TARGETS = {"g1": GENE, "g2": GENE, "other": "not in the model"}


@pytest.fixture(scope="module")
def screen():
    """600 cells; two guides take away all counts of the gene that tells one programme best, and do nothing else."""
    adata = mo.datasets.simulated(n_cells=600, n_genes=300, n_programmes=3, genes_per_programme=20, seed=1)
    shares = np.repeat(GUIDES, [270, 30, 30, 270])  # few cells, or the model learns what it is to lack this gene
    guide = np.random.default_rng(0).permutation(shares)
    adata.obs["guide"] = pd.Categorical(guide, categories=GUIDES)
    adata.obs["target"] = adata.obs["guide"].astype(object).map(TARGETS)
    counts = adata.X.toarray() if hasattr(adata.X, "toarray") else np.array(adata.X)
    at = int(np.argmax(adata.varm["truth_loadings"].max(axis=1) * counts.mean(axis=0)))
    counts[np.isin(guide, ["g1", "g2"]), at] = 0
    adata.X = counts
    adata.var_names = [GENE if place == at else name for place, name in enumerate(adata.var_names)]
    mo.tl.autoencoder(adata, n_latent=6, n_splits=0, max_epochs=6, device="cpu", progress=False)
    return adata


def ranked(adata, **settings):
    found = mo.tl.rank_units(adata, "guide", reference="non-targeting", copy=True, **settings)
    return mo.get.rank_units(found)


def test_a_knock_down_that_changes_only_its_gene_moves_no_unit(screen):
    plain = ranked(screen)
    artefact = plain[plain["group"].isin(["g1", "g2"])]
    assert artefact["q"].min() < 1e-4
    table = ranked(screen, target_genes=TARGETS)
    assert table["q"].min() > 0.05
    assert table.loc[table["group"] == "g1", "target_gene"].unique().tolist() == [GENE]


@pytest.mark.parametrize("n_more", [0, 3])
def test_units_are_those_of_cells_without_the_genes(screen, n_more):
    """softplus(A x + c) + 0.0001 of log1p of the counts over the size factor, as if the genes were in no cell."""
    model = screen.uns["ae"]["model"]
    genes = list(model["genes"])
    lost = [GENE, *(genes[at] for at in np.argsort(-screen[:, genes].X.mean(axis=0))[:n_more])]
    totals = (screen.X.sum(axis=1) - screen[:, lost].X.sum(axis=1)).astype(float)
    inputs = np.log1p(screen[:, genes].X / (totals / float(model["size_factor_unit"]))[:, None])
    inputs[:, [genes.index(gene) for gene in lost]] = 0
    sums = inputs @ np.asarray(model["encoder"], dtype=float).T + np.asarray(model["bias"], dtype=float)
    units = np.logaddexp(0, 10 * np.maximum(sums, -2.5)) / 10 + 1e-4
    targets = {"g1": lost[::-1], "g2": [*lost, GENE, "not in the model"], "other": "not in the model"}
    table = ranked(screen, target_genes=targets if n_more else TARGETS)
    guide = screen.obs["guide"]
    for row in table[table["group"] == "g2"].itertuples():
        mine, control = (units[guide == name, int(row.unit)] for name in ("g2", "non-targeting"))
        assert row.mean == pytest.approx(mine.mean(), rel=1e-3)
        assert row.mean_reference == pytest.approx(control.mean(), rel=1e-3)
        scale = screen.obsm["X_ae"][:, int(row.unit)].astype(float).std()
        assert row.effect == pytest.approx((mine.mean() - control.mean()) / scale, rel=1e-2, abs=1e-3)
        assert row.p == pytest.approx(stats.mannwhitneyu(mine, control).pvalue, rel=0.1)
    others = table[table["group"] == "other"].set_index("unit")
    plain = ranked(screen).query("group == 'other'").set_index("unit")
    np.testing.assert_allclose(others["effect"], plain["effect"].loc[others.index], rtol=1e-3, atol=1e-5)


def test_a_column_says_the_same_as_a_mapping(screen):
    expected = ranked(screen, target_genes=TARGETS)
    pd.testing.assert_frame_equal(ranked(screen, target_genes="target"), expected)
    pd.testing.assert_frame_equal(ranked(screen, target_genes={**TARGETS, "non-targeting": np.nan}), expected)


def test_guides_of_the_same_genes_in_another_order(screen):
    some = [GENE, *screen.var_names[:2]]
    table = ranked(screen, target_genes={"g1": some, "g2": np.array(some[::-1]), "other": some[:1]})
    assert table.groupby("group")["n_guides"].unique().map(list).to_dict() == {"g1": [2], "g2": [2], "other": [1]}
    assert table.loc[table["group"] == "g2", "target_gene"].unique().tolist() == [", ".join(sorted(some))]


def test_within_categories_and_over_donors(screen):
    adata = screen.copy()
    adata.obs["half"] = np.where(np.arange(600) < 300, "first", "second")
    adata.obs["donor"] = [f"d{at % 5}" for at in range(600)]
    table = ranked(adata, target_genes=TARGETS, within="half", donor_key="donor")
    plain = ranked(adata, within="half", donor_key="donor")
    lost = plain["group"].isin(["g1", "g2"])
    assert plain.loc[lost, "p"].min() < 1e-3
    unit = plain.loc[plain["p"].idxmin(), "unit"]
    assert (
        table.loc[table["unit"] == unit, "effect"].abs().max() < plain.loc[plain["unit"] == unit, "effect"].abs().max()
    )
    halves = ranked(adata, target_genes=TARGETS, within="half").sort_values(["group", "unit"])
    for half, cells in (("first", slice(300)), ("second", slice(300, 600))):
        alone = ranked(adata[cells].copy(), target_genes=TARGETS).sort_values(["group", "unit"])
        np.testing.assert_allclose(alone["auc"], halves.loc[halves["within"] == half, "auc"])


def test_guides_of_a_gene_agree_or_not(screen):
    adata = screen.copy()
    at = int(mo.get.unit_summary(mo.tl.unit_summary(adata, device="cpu", progress=False, copy=True)).index[0])
    most = adata.obsm["X_ae"][:, at] > np.quantile(adata.obsm["X_ae"][:, at], 0.6)
    guide = np.where(most, "up", np.where(np.arange(600) % 2, "none", "non-targeting"))
    guide[most & (np.arange(600) % 2 == 0)] = "up too"
    guide[~most & (np.arange(600) % 5 == 0)] = "down"
    adata.obs["guide"] = guide
    targets = {"up": GENE, "up too": GENE, "down": GENE, "none": "another"}
    table = ranked(adata, target_genes=targets).query("unit == @at.__str__()").set_index("group")
    assert table["n_guides"].to_dict() == {"up": 3, "up too": 3, "down": 3, "none": 1}
    assert table["n_guides_agreeing"].loc[["up", "up too"]].tolist() == [2, 2]
    assert table["n_guides_agreeing"].loc["down"] <= 1
    assert "n_guides" not in ranked(adata)


def test_what_is_wrong_is_said(screen):
    with pytest.raises(ValueError, match=r"the model reads none\. Leave it out, or .* target_genes=\{'g1': '"):
        ranked(screen, target_genes={"g1": "KNOCKED"})
    with pytest.raises(ValueError, match="no group that is compared has a gene"):
        ranked(screen, target_genes={"non-targeting": GENE})
    with pytest.raises(KeyError, match="target_genes"):
        ranked(screen, target_genes="nothing")
    adata = screen.copy()
    adata.obs["target"] = np.where(np.arange(600) % 2, GENE, "gene_001")
    with pytest.raises(ValueError, match=r"group '.*' have several genes in adata.obs\['target'\]"):
        ranked(adata, target_genes="target")
    with pytest.raises(TypeError, match=r"\['knocked'\], not a mapping .*target_genes=\{'guide': 'GENE'"):
        ranked(screen, target_genes=[GENE])
    with pytest.raises(KeyError, match=r"names no group of adata.obs\['guide'\], but g9\. Choose from .*'g1'"):
        ranked(screen, target_genes={"g9": GENE})


def test_a_misspelt_guide_is_named(screen):
    with pytest.warns(UserWarning, match=r"names G1, which adata.obs\['guide'\] does not have, and no gene for g1, o"):
        ranked(screen, target_genes={"G1": GENE, "g2": GENE})
    missing = {"other": np.nan, "non-targeting": None}  # no gene: no word of these, nor of guides that are not there
    ranked(screen, target_genes={"g1": GENE, "g2": GENE, "g3": GENE, **missing}, groups=["g1", "g2"])
