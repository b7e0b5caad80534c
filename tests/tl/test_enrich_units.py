"""tl.enrich_units and get.enrichment: what is written, known answers, and what the p-values are worth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import modulae as mo

P_VALUES = ("p", "p_correlated", "p_prerank")


@pytest.fixture
def gene_sets(trained):
    genes = list(trained.var_names[trained.var["chosen"]])
    return {"beta": genes[:6], "alpha": [*genes[4:12], "unheard of"]}


def run(adata, gene_sets, **settings):
    mo.tl.enrich_units(adata, gene_sets, **{"n_permutations": 50, "device": "cpu", **settings})
    return mo.get.enrichment(adata, result=settings.get("key_added") or "ae_enrichment")


def test_table_has_a_row_a_unit_and_set_sorted_by_unit_and_q(trained, gene_sets):
    table = run(trained, gene_sets)
    assert list(table)[:6] == ["unit", "name", "set", "n_genes", "share_found", "es"]
    assert list(table)[-1] == "leading_edge"
    assert len(table) == 5 * 2
    assert list(table["unit"]) == [str(unit) for unit in range(5) for _ in range(2)]
    assert (table.groupby("unit")["q"].diff().dropna() >= 0).all()
    assert table.drop_duplicates("set").set_index("set")["n_genes"].to_dict() == {"beta": 6, "alpha": 8}
    assert table.drop_duplicates("set").set_index("set")["share_found"].to_dict() == {"beta": 1, "alpha": 8 / 9}
    assert list(trained.uns["ae_enrichment"]["left_out"]) == []
    for name in P_VALUES:
        assert table[name].between(0, 1, inclusive="right").all()
        expected = stats.false_discovery_control(table[name])
        np.testing.assert_allclose(table[name.replace("p", "q", 1)], expected)
    assert (table["p_correlated"] >= table["p"]).all()
    np.testing.assert_allclose(table["p"], 2 * stats.norm.sf(table["z"].abs()))
    one = mo.get.enrichment(trained, unit=3)
    pd.testing.assert_frame_equal(one, table[table["unit"] == "3"].reset_index(drop=True))


def test_effect_is_the_unscaled_impact_and_the_leading_edge_has_its_strongest_genes(trained, gene_sets):
    table = run(trained, gene_sets).set_index(["set", "unit"])
    mo.tl.pathway_impact(trained, gene_sets)
    impact = mo.get.impact(trained, value="unscaled")
    mo.tl.saliency(trained)
    saliency = mo.get.saliency(trained)
    for (name, unit), row in table.iterrows():
        assert row["effect"] == pytest.approx(impact.loc[name, unit], rel=1e-4, abs=1e-7)
        leading = row["leading_edge"].split(";")
        assert set(leading) <= set(gene_sets[name])
        scores = saliency.loc[[gene for gene in gene_sets[name] if gene in saliency.index], unit]
        strongest = scores.sort_values(ascending=row["es"] < 0).index[: len(leading)]
        assert leading == list(strongest)


def test_same_numbers_for_other_orders_blocks_and_stored_saliencies(trained, gene_sets):
    first = run(trained, gene_sets)
    shuffled = trained[:, trained.var_names[::-1]].copy()
    trained.obs["all"] = "everyone"
    mo.tl.saliency(trained)
    mo.tl.saliency(trained, groupby="all")
    others = [
        run(shuffled, gene_sets),
        run(trained, gene_sets, batch_size=7),
        run(trained, dict(reversed(gene_sets.items()))),
        run(trained, gene_sets, saliency="ae_saliency"),
        run(trained, gene_sets, saliency="ae_saliency_all", group="everyone"),
    ]
    for other in others:
        pd.testing.assert_frame_equal(first, other, rtol=1e-3, atol=1e-6)
    seed = run(trained, gene_sets, seed=1)
    assert (seed["p_prerank"] != first["p_prerank"]).any()
    np.testing.assert_array_equal(seed["p"], first["p"])


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_result_survives_a_file_and_a_new_model_removes_it(trained, gene_sets, tmp_path):
    import anndata as ad

    table = run(trained, gene_sets)
    trained.write_h5ad(tmp_path / "a.h5ad")
    trained.write_zarr(tmp_path / "a.zarr")
    for again in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        pd.testing.assert_frame_equal(mo.get.enrichment(again), table)
        assert again.uns["ae_enrichment"]["of_model"] == "ae"
    mo.tl.autoencoder(trained, mask_var="chosen", n_latent=2, n_splits=0, max_epochs=1, device="cpu")
    assert "ae_enrichment" not in trained.uns


def test_random_sets_too_few_to_tell_are_said(trained, gene_sets):
    """`p` needs none."""
    with pytest.warns(UserWarning, match=r"n_permutations=18 .*no p_prerank can be below 0.053.* q_prerank"):
        run(trained, gene_sets, n_permutations=18)
    assert mo.get.enrichment(trained)["p_prerank"].min() > 0.05
    run(trained, gene_sets, n_permutations=19)


def test_copy_leaves_the_original_alone(trained, gene_sets):
    before = set(trained.uns)
    changed = mo.tl.enrich_units(trained, gene_sets, n_permutations=20, copy=True, key_added="mine")
    assert set(trained.uns) == before
    assert set(changed.uns) == before | {"mine"}


def test_sets_without_genes_to_be_held_against_are_left_out(trained, gene_sets):
    with pytest.warns(
        UserWarning, match=r"2 of 3 gene sets .*2 with more than 7 genes .*\(max_genes=\): alpha \(8 of 9\)"
    ):
        run(trained, gene_sets | {"half": list(trained.var_names[:20])}, max_genes=7)
    assert list(mo.get.enrichment(trained)["set"].unique()) == ["beta"]
    assert list(trained.uns["ae_enrichment"]["left_out"]) == ["alpha", "half"]
    everything = {"all": list(trained.var_names), "some": gene_sets["beta"]}
    assert set(run(trained, everything)["set"]) == {"some"}


def test_a_unit_that_reads_all_genes_alike_has_p_1(trained, gene_sets):
    trained.uns["ae"]["model"]["encoder"][2] = 0
    table = run(trained, gene_sets)
    dead = table[table["unit"] == "2"]
    assert (dead[list(P_VALUES)] == 1).all(axis=None)
    assert (dead[["es", "nes", "z"]] == 0).all(axis=None)
    assert (dead["leading_edge"] == "").all()
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)


@pytest.fixture(scope="module")
def planted():
    """Six planted programmes, and what their genes are."""
    adata = mo.datasets.simulated(n_cells=600, n_genes=500, n_programmes=6, genes_per_programme=25, seed=0)
    given = {"architecture": "orthogonal", "n_latent": 16, "n_hidden": 32, "learning_rate": 0.3}  # units of both signs
    mo.tl.autoencoder(adata, **given, device="cpu", progress=False)
    return adata


def test_planted_programmes_are_called_with_the_right_sign_and_random_sets_are_not(planted):
    rng = np.random.default_rng(0)
    programmes = {name: list(genes) for name, genes in planted.uns["gene_sets"].items()}
    chance = {f"random {i}": list(rng.choice(planted.var_names, 25, replace=False)) for i in range(20)}
    table = run(planted, programmes | chance)
    entry = planted.uns["ae_enrichment"]
    inflation = table["set"].map(dict(zip(entry["sets"], entry["variance_inflation"], strict=True)))
    assert inflation[table["set"].isin(programmes)].min() > 4  # their genes vary together
    assert inflation[~table["set"].isin(programmes)].median() < 1.3
    np.testing.assert_allclose(table["p_correlated"], 2 * stats.norm.sf(table["z"].abs() / inflation**0.5))

    calls = table[table["q"] < 0.05]
    assert set(programmes) <= set(calls["set"])
    assert calls["set"].str.startswith("random").mean() < 0.1

    activity, units = planted.obsm["truth_activity"], planted.obsm["X_ae"]
    best = table.loc[table[table["set"].isin(programmes)].groupby("set")["p"].idxmin()]
    for row in best.itertuples():
        at = list(programmes).index(row.set)
        correlation = np.corrcoef(activity[:, at], units[:, int(row.unit)])[0, 1]
        assert abs(row.z) > 5
        assert np.sign(row.z) == np.sign(row.nes) == np.sign(correlation)
        assert abs(correlation) > 0.2


def test_random_sets_of_highly_expressed_genes_are_called_at_the_nominal_rate(planted):
    """What p claims, on a trained model; prerank has no say about expression, and calls them."""
    rng = np.random.default_rng(1)
    mean = np.asarray(planted.X.mean(axis=0)).ravel()
    high = planted.var_names[np.argsort(-mean)[:100]]
    for pool, prerank_holds in ((planted.var_names, True), (high, False)):
        sets = {str(at): list(rng.choice(pool, 15, replace=False)) for at in range(150)}
        table = run(planted, sets, n_permutations=200)
        assert 0.03 < (table["p"] < 0.05).mean() < 0.07
        assert (table["p_correlated"] < 0.05).mean() < 0.07
        assert ((table["p_prerank"] < 0.05).mean() < 0.07) == prerank_holds


MISTAKES = {
    "no model": ({"key": "x"}, KeyError, "there is no model 'x'"),
    "permutations": ({"n_permutations": 0}, ValueError, "n_permutations is 0; give a whole number of at least 1"),
    "min_genes": ({"min_genes": 1}, ValueError, "min_genes is 1; give a whole number of at least 2"),
    "max_genes": ({"max_genes": 2}, ValueError, "max_genes is 2; give a whole number of at least 3"),
    "size": ({"min_genes": 20}, ValueError, "none of the 2 gene sets is left: 2 with fewer than 20 .*lower min_genes="),
    "saliency": ({"saliency": "y"}, KeyError, "no saliency 'y' in adata.varm"),
    "unsigned": ({"saliency": "strength"}, ValueError, "signed=False; the p-values hold for signed ones"),
    "input": ({"saliency": "times"}, ValueError, "method='input_x_gradient'.*leave out saliency="),
    "group": ({"group": "q"}, ValueError, "group='q' needs a saliency made with groupby"),
    "no group": ({"saliency": "by_side"}, ValueError, "was made with groupby: name one of its groups"),
    "other model": ({"saliency": "foreign"}, ValueError, "saliency 'foreign' is of the model 'b', not of 'ae'"),
    "gaps": ({"saliency": "gaps"}, ValueError, "lacks values for genes of the model"),
    "layer": ({"layer": "raw"}, KeyError, "raw"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_write_nothing(trained, gene_sets, name):
    trained.obs["side"] = ["one", "other"] * 45
    mo.tl.saliency(trained, signed=False, key_added="strength")
    mo.tl.saliency(trained, method="input_x_gradient", key_added="times")
    mo.tl.saliency(trained, groupby="side", key_added="by_side")
    for name_added in ("foreign", "gaps"):
        mo.tl.saliency(trained, key_added=name_added)
    trained.uns["foreign"]["of_model"] = "b"
    trained.varm["gaps"][1, 2] = np.nan
    settings, error, message = MISTAKES[name]
    before = set(trained.uns)
    with pytest.raises(error, match=message):
        run(trained, gene_sets, **settings)
    assert set(trained.uns) == before


def test_get_says_what_there_is(trained, gene_sets):
    with pytest.raises(KeyError, match=r"no enrichment 'ae_enrichment' in adata.uns. Run `mo.tl.enrich_units"):
        mo.get.enrichment(trained)
    run(trained, gene_sets)
    with pytest.raises(KeyError, match=r"There are \['ae_enrichment'\]"):
        mo.get.enrichment(trained, result="x")
    with pytest.raises(KeyError, match="unit 9 does not exist: there are 5, counted from 0"):
        mo.get.enrichment(trained, unit=9)
