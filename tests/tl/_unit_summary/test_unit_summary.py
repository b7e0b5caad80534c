"""`tl.unit_summary` and `get.unit_summary`: what is written, and what each column means."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import modulae as mo
from modulae._adata.columns.groups import contrasts, plan_groups
from modulae._adata.counts import read_counts
from modulae._genes.marker_genes import DISSOCIATION, G2M_PHASE, MITOCHONDRIAL, RIBOSOMAL, S_PHASE
from modulae.core.data.cells import Cells
from modulae.tl._unit_summary.caveats import caveats_of_units
from modulae.tl._unit_summary.names import groups_of_units, names_of_units
from modulae.tl._unit_summary.table import genes_of_units, sets_of_units, use_of_units
from modulae.tl._unit_summary.technical_covariates import cell_states, technical_covariates

CAVEATS = ["library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation"]


@pytest.fixture
def summed(trained):
    mo.tl.unit_summary(trained, groupby="group", device="cpu")
    return trained


def test_effects_are_measured_on_some_cells(trained):
    n = trained.n_obs // 2
    tables = {}
    for n_cells, seed in ((None, 0), (n, 0), (n, 0), (n, 1)):
        mo.tl.unit_summary(trained, n_cells=n_cells, seed=seed, device="cpu")
        assert trained.uns["ae_units"]["n_cells"] == (n if n_cells else trained.n_obs)
        again = tables.get((n_cells, seed))
        tables[n_cells, seed] = trained.uns["ae_units"]["table"]["effect"]
        if again is not None:
            np.testing.assert_array_equal(again, tables[n_cells, seed])
    whole = tables[None, 0]
    for seed in (0, 1):
        assert np.abs(tables[n, seed] - whole).max() > 0
        assert spearmanr(tables[n, seed], whole)[0] > 0.8
    assert np.abs(tables[n, 0] - tables[n, 1]).max() > 0


def test_one_row_a_unit_the_largest_effect_first(summed):
    table = mo.get.unit_summary(summed)
    assert sorted(table.index) == list("01234")
    assert table.index.name == "unit"
    assert (np.diff(table["effect"]) <= 0).all()
    np.testing.assert_allclose(table["effect_share"].sum(), 1)
    stored = summed.uns["ae_units"]["table"]["effect"]
    np.testing.assert_array_equal(table.loc[list("01234"), "effect"], stored)
    assert set(table["group"].dropna()) <= set(summed.obs["group"].astype(str))
    assert table["stability"].isna().all()
    assert table["reproducibility"].isna().all()  # trained once
    assert table["reproducibility"].dtype == np.float64
    assert not table["below_level"].any()
    assert table["set"].isna().all()


def test_the_adata_is_otherwise_as_it_was(trained):
    before = trained.copy()
    mo.tl.unit_summary(trained, device="cpu")
    assert set(trained.uns) - set(before.uns) == {"ae_units"}
    assert list(trained.obs) == list(before.obs)
    np.testing.assert_array_equal(trained.X.toarray(), before.X.toarray())
    copied = mo.tl.unit_summary(before, device="cpu", copy=True)
    assert "ae_units" in copied.uns
    assert "ae_units" not in before.uns


def test_the_generator_that_everybody_shares_is_left_alone(trained):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    mo.tl.unit_summary(named(trained), device="cpu", seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("how", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_survives_a_file(summed, tmp_path, how):
    path = tmp_path / f"x.{how}"
    getattr(summed, f"write_{how}")(path)
    back = getattr(ad, f"read_{how}")(path)
    pd.testing.assert_frame_equal(mo.get.unit_summary(back), mo.get.unit_summary(summed))


def test_training_again_removes_it(summed):
    mo.tl.autoencoder(summed, max_epochs=1, n_latent=3, n_splits=0, device="cpu")
    with pytest.raises(KeyError, match=r"Run `mo.tl.unit_summary\(adata\)` first"):
        mo.get.unit_summary(summed)


def test_batch_size_changes_nothing(trained):
    one = mo.get.unit_summary(mo.tl.unit_summary(trained, device="cpu", copy=True, batch_size=7))
    other = mo.get.unit_summary(mo.tl.unit_summary(trained, device="cpu", copy=True, batch_size=500))
    pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=5e-5)  # differences of losses in float32


def contrast(labels):
    names = np.unique(labels)
    return contrasts(list(names), labels == names[:, None], groups=None, reference="rest", groupby="kind")


def test_a_unit_marks_the_group_in_which_it_is_clearly_higher():
    rng = np.random.default_rng(0)
    labels = np.array(["a"] * 40 + ["b"] * 150 + ["few"] * 9 + ["c"] * 101)
    units = rng.normal(size=(300, 4)).astype(np.float32)
    units[labels == "a", 0] += 4  # marks a
    units[labels == "b", 1] += 0.7  # higher in b, but not clearly
    units[labels == "few", 2] += 9  # marks nine cells
    units[labels == "c", 3] -= 4  # is low in c
    plan = contrast(labels)
    found = groups_of_units(units, plan, min_cells=10)
    assert list(found["group"]) == ["a", "", "", ""]
    expected = roc_auc_score(labels == "a", units[:, 0])
    np.testing.assert_allclose(found["group_auc"][0], expected)
    z = (units[:, 0] - units[:, 0].mean()) / units[:, 0].std()
    np.testing.assert_allclose(
        found["group_difference"][0], z[labels == "a"].mean() - z[labels != "a"].mean(), rtol=1e-5
    )
    assert np.isnan(found["group_auc"][1:]).all()
    assert roc_auc_score(labels == "b", units[:, 1]) > 0.6
    assert list(groups_of_units(units, plan, min_cells=9)["group"]) == ["a", "", "few", ""]
    assert list(groups_of_units(units, plan, min_cells=200)["group"]) == [""] * 4
    assert list(groups_of_units(units, None)["group"]) == [""] * 4


def test_of_groups_that_fit_the_one_further_up_is_named():
    units = np.repeat([[5.0, 4.0], [4.0, 5.0], [0.0, 0.0]], [10, 10, 80], axis=0).astype(np.float32)
    found = groups_of_units(units, contrast(np.repeat(["x", "y", "z"], [10, 10, 80])))
    assert list(found["group"]) == ["x", "y"]


def test_cells_without_a_label_count_nowhere(trained):
    trained.obs["half"] = pd.Categorical(np.where(np.arange(90) < 30, "in", "out")).set_categories(["in", "out"])
    trained.obs.loc[trained.obs_names[60:], "half"] = np.nan
    plan = plan_groups(trained, "half", groups=None, reference="rest")
    units = np.zeros((90, 1), np.float32)
    units[:30], units[60:] = 1, 5
    found = groups_of_units(units, plan)
    assert (list(found["group"]), list(found["group_auc"])) == (["in"], [1.0])


def test_a_name_is_the_first_genes_and_the_group():
    genes = np.array(["LYZ;S100A8;S100A9;CD14", "PPBP", "", "A;B"], dtype=object)
    groups = np.array(["CD14 Mono", "Mk", "B", ""], dtype=object)
    names = names_of_units(genes, groups)
    assert list(names) == ["LYZ, S100A8, S100A9 · CD14 Mono", "PPBP · Mk", "", "A, B"]


def test_names_agree_with_the_other_columns(summed):
    table = mo.get.unit_summary(summed)
    for _, row in table.iterrows():
        genes, _, group = row["name"].partition(" · ")
        assert genes.split(", ") == row["top_genes_up"].split(";")[:3]
        assert group == (row["group"] if isinstance(row["group"], str) else "")


def test_top_genes_are_those_of_the_ranking_and_the_ends_of_the_saliency(either):
    mo.tl.saliency(either, device="cpu")
    mo.tl.unit_summary(either, n_genes=4, device="cpu")
    saliency, ranking = mo.get.saliency(either).dropna(), mo.get.top_genes(either, n=40)
    for unit, row in mo.get.unit_summary(either).iterrows():
        if row["dead"]:
            continue
        ranked = saliency[unit].sort_values(ascending=False)
        assert row["saliency_up"].split(";") == list(ranked[ranked > 0].index[:4])
        down = "" if isinstance(row["saliency_down"], float) else row["saliency_down"]
        assert [gene for gene in down.split(";") if gene] == list(ranked[ranked < 0].index[::-1][:4])
        of_unit = ranking[ranking["unit"] == unit]
        assert row["top_genes_up"].split(";") == list(of_unit[of_unit["score"] > 0]["gene"][:4])


def test_units_below_the_level_and_dead_ones_have_nothing(trained):
    sets = {f"set{i}": list(trained.var_names[trained.var["ae_gene"]][i * 6 : i * 6 + 8]) for i in range(4)}
    below(trained, [0.9, 0.2, np.nan, 0.69, 0.75])
    mo.tl.unit_summary(trained, sets, groupby="group", device="cpu")
    table = mo.get.unit_summary(trained).loc[list("01234")]
    assert list(table["below_level"]) == [False, True, False, True, False]
    kept = ["effect", "effect_share", "reproducibility", "below_level", "technical", "dead", "stability"]
    nothing = table.drop(columns=kept)
    assert nothing.loc[["1", "3"]].isna().all(axis=None)
    assert np.isfinite(table["effect"]).all()
    assert table.loc[~table["below_level"] & ~table["dead"], "name"].notna().all()
    assert set(mo.get.top_genes(trained)["unit"]) == set(table.index[~table["below_level"] & ~table["dead"]])
    assert set(mo.get.top_genes(trained, unit=1)["unit"]) == {"1"}  # asked for
    assert mo.get.top_genes(trained, unit=1)["name"].isna().all()


def named(adata):
    """Enough genes for scores, among them some of each list, as a mouse names them."""
    rng = np.random.default_rng(0)
    lists = [*S_PHASE[:8], *G2M_PHASE[:8], *DISSOCIATION[:6], *(f"MT-ND{i}" for i in range(1, 7))]
    lists += [f"RPL{i}" for i in range(3, 9)]
    names = [name.capitalize() if not name.startswith("MT-") else f"mt-{name[3:].capitalize()}" for name in lists]
    more = ad.AnnData(rng.poisson(2.0, size=(adata.n_obs, 300)).astype(np.float32))
    more.var_names = names + [f"other{i}" for i in range(300 - len(names))]
    more.obs_names = adata.obs_names
    both = ad.concat([adata, more], axis=1, merge="first")
    both.obs = adata.obs.copy()
    both.uns["ae"] = adata.uns["ae"]
    both.obsm["X_ae"] = adata.obsm["X_ae"]
    return both


def test_states_of_cells_find_their_genes_in_either_case(trained):
    adata = named(trained)
    cycling = np.arange(adata.n_obs) % 3 == 0
    phase = adata.var_names.str.upper().isin(G2M_PHASE)
    mitochondria = adata.var_names.str.startswith("mt-")
    counts = adata.X.toarray()
    counts[np.ix_(cycling, phase)] += 20
    adata.X = counts
    states = cell_states(adata, read_counts(adata, layer=None), seed=0)
    np.testing.assert_allclose(states["library_size"], counts.sum(axis=1))
    np.testing.assert_allclose(states["mitochondrial"], counts[:, mitochondria].sum(axis=1) / counts.sum(axis=1))
    assert states.loc[cycling, "g2m_phase"].min() > states.loc[~cycling, "g2m_phase"].max()
    assert abs(spearmanr(states["s_phase"], cycling).statistic) < 0.4
    assert states.notna().all(axis=None)


def test_states_without_their_genes_are_unknown(trained):
    states = cell_states(trained, read_counts(trained, layer=None), seed=0)
    assert list(states.columns[states.notna().all()]) == ["library_size"]
    few = named(trained)[:, :200].copy()  # lists are there, but not the genes to hold them against
    states = cell_states(few, read_counts(few, layer=None), seed=0)
    assert list(states.columns[states.notna().all()]) == ["library_size", "mitochondrial", "ribosomal"]


@pytest.mark.parametrize("gene", ["RPS6KA1", "MTOR", "RPP14", "MT1A"])
def test_names_that_only_look_alike(gene):
    assert not MITOCHONDRIAL.match(gene)
    assert not RIBOSOMAL.match(gene)


def test_the_lists_have_the_lengths_of_their_source():
    assert len(set(S_PHASE) - {"CENPU"}) == 43
    assert len(set(G2M_PHASE) - {"PIMREG", "JPT1"}) == 54
    assert not set(S_PHASE) & set(G2M_PHASE)


def varying(units):
    rng = np.random.default_rng(1)
    states = pd.DataFrame({name: rng.random(len(units)) for name in ["library_size", "ribosomal", "s_phase"]})
    states["g2m_phase"] = -np.exp(units[:, 1])
    states["library_size"] = units[:, 0] ** 3
    states["mitochondrial"] = np.nan
    states["dissociation"] = rng.random(len(units))
    return states


def test_caveats_are_rank_correlations():
    units = np.random.default_rng(2).random((90, 4)).astype(np.float32)
    units[:, 3] = 1  # never changes
    states = varying(units)
    found = caveats_of_units(units, states, None, caveat_above=0.5, counted=np.ones(4, dtype=bool))
    assert list(found) == [*CAVEATS, "caveats"]
    expected = [spearmanr(units[:, unit], states["ribosomal"]).statistic for unit in range(3)]
    np.testing.assert_allclose(found["ribosomal"], [*expected, 0], atol=1e-12)
    np.testing.assert_allclose(found["library_size"][0], 1)
    np.testing.assert_allclose(found["cell_cycle"][1], -1)  # the stronger of the two phases, with its sign
    assert np.isnan(found["mitochondrial"]).all()
    assert list(found["caveats"]) == ["library_size", "cell_cycle", "", ""]


def test_caveats_are_measured_within_groups():
    """Cells of one group are larger, and a unit is active in it: it does not follow the size."""
    rng = np.random.default_rng(0)
    large = np.arange(400) % 4 == 0
    units = rng.random((400, 3)).astype(np.float32)
    units[large, 0] += 3
    states = varying(units)
    states["library_size"] = rng.random(400) + 5 * large
    states.loc[large, "library_size"] += 3 * units[large, 1]
    every = np.ones(3, dtype=bool)
    over_all = caveats_of_units(units, states, None, caveat_above=0.5, counted=every)
    within = caveats_of_units(units, states, np.stack([large, ~large]), caveat_above=0.5, counted=every)
    assert "library_size" in over_all["caveats"][0]
    assert "library_size" not in within["caveats"][0]
    each = [spearmanr(units[group, 1], states["library_size"][group]).statistic for group in (large, ~large)]
    np.testing.assert_allclose(within["library_size"][1], 0.25 * each[0] + 0.75 * each[1], atol=1e-3)


def test_a_caveat_of_nearly_all_units_is_none():
    rng = np.random.default_rng(0)
    units = rng.random((90, 6)).astype(np.float32)
    states = varying(units)
    states["ribosomal"] = rng.random(90)
    units += 9 * states["ribosomal"].to_numpy(dtype=np.float32)[:, None]
    units[:, 5] = rng.random(90)
    counted = np.ones(6, dtype=bool)
    found = caveats_of_units(units, states, None, caveat_above=0.5, counted=counted)
    assert not any("ribosomal" in text for text in found["caveats"])  # five of six
    assert (found["ribosomal"][:5] > 0.5).all()
    counted[:2] = False  # three of four: less than four fifths
    found = caveats_of_units(units, states, None, caveat_above=0.5, counted=counted)
    assert ["ribosomal" in text for text in found["caveats"]] == [True] * 5 + [False]


def test_dead_and_redundant_units():
    rng = np.random.default_rng(0)
    units = 5 + rng.normal(size=(200, 6))
    units[:, 1] = -2 * units[:, 0] + 0.1 * rng.normal(size=200)
    units[:, 2] = 5 + 1e-4 * rng.normal(size=200)  # hardly varies
    units[:, 4] = units[:, 1] + 0.1 * rng.normal(size=200)
    effect = np.array([0.2, 0.5, 0.1, 0.4, 0.3, 1e-5])
    found = use_of_units(units.astype(np.float32), effect, redundant_above=0.9)
    assert list(found["dead"]) == [False, False, True, False, False, True]
    assert list(found["redundant_with"]) == ["1", "", "", "", "1", ""]  # never with one of smaller effect
    np.testing.assert_allclose(found["redundant_r"][0], np.corrcoef(units[:, 0], units[:, 1])[0, 1], rtol=1e-5)
    assert np.isnan(found["redundant_r"][[1, 2, 3, 5]]).all()
    loose = use_of_units(units.astype(np.float32), effect, redundant_above=0.9999)
    assert set(loose["redundant_with"]) == {""}
    worse = use_of_units(units.astype(np.float32), effect - 0.35, redundant_above=0.9)
    np.testing.assert_allclose(worse["effect_share"], [0, 0.75, 0, 0.25, 0, 0])


def test_direction_asks_where_the_strongest_genes_are():
    from scipy import sparse

    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, size=(300, 6)).astype(np.float32)
    cells = Cells(sparse.csr_matrix(counts), None)
    units = np.stack([counts[:, 0], -counts[:, 0], rng.random(300)], axis=1).astype(np.float32)
    scores = np.zeros((6, 4))
    scores[0] = [3, 3, 3, 0]
    scores[1] = [1, -2, -4, -1]
    units = np.column_stack([units, units[:, 0]])
    saliency = np.zeros((6, 4), dtype=np.float32)
    saliency[2] = [3, -3, 3, 0]
    saliency[3] = [1, 1, -1, 0]
    found = genes_of_units(scores, saliency, np.array(list("abcdef")), cells, units, n_genes=1)
    assert list(found["direction"]) == ["up", "down", "", ""]
    np.testing.assert_allclose(found["direction_r"][:2], [1, -1])
    assert np.isnan(found["direction_r"][3])
    assert list(found["top_genes_up"]) == ["a", "a", "a", ""]
    assert list(found["top_genes_down"]) == ["", "b", "b", "b"]
    assert list(found["saliency_up"]) == ["c", "d", "c", ""]
    assert list(found["saliency_down"]) == ["", "c", "d", ""]


def sets_tested():
    return {
        "of_model": "ae",
        "sets": np.array(["one", "two", "three"], dtype=object),
        "nes": np.zeros((3, 5)),
        "leading_edge": np.zeros((3, 5)),
        "p": np.array([[0.5, 0.01, 0.2, 0.3, 0.0], [0.1, 0.02, 0.3, 0.4, 0.0], [0.2, 0.9, 0.4, 0.5, 0.1]]),
        "q": np.array([[0.6, 0.03, 0.3, 0.4, 0.0], [0.2, 0.04, 0.4, 0.5, 0.0], [0.3, 0.9, 0.5, 0.6, 0.2]]),
        "z": np.array([[0.1, 2.5, 1.0, 1.0, 8.0], [1.6, -2.2, 1.0, 1.0, -9.0], [1.0, 0.1, 1.0, 1.0, 1.0]]),
    }


def test_best_sets_come_from_the_test_of_units(trained):
    """Those that raise the unit, with q ≤ 0.05; a set that lowers it names nothing, however small its p."""
    trained.uns["ae_enrichment"] = sets_tested()
    mo.tl.unit_summary(trained, device="cpu")
    table = mo.get.unit_summary(trained).loc[list("01234")]
    assert table["set"].fillna("").tolist() == ["", "one", "", "", "one"]
    np.testing.assert_array_equal(table["set_q"], [np.nan, 0.03, np.nan, np.nan, 0.0])
    assert table["sets"].fillna("").tolist() == ["", "one", "", "", "one"]
    assert trained.uns["ae_units"]["enrichment"] == "ae_enrichment"
    assert list(sets_of_units(None, 2)["set"]) == ["", ""]
    two = sets_tested() | {"z": np.abs(sets_tested()["z"])}
    found = sets_of_units(two, 5)
    assert list(found["sets"]) == ["", "one;two", "", "", "two;one"]  # of two with p 0 the one further out


def test_gene_sets_are_tested_on_the_way(trained):
    rng = np.random.default_rng(0)
    genes = trained.var_names[trained.var["ae_gene"]]
    sets = {f"set{i}": list(rng.choice(genes, 8, replace=False)) for i in range(4)}
    by_hand = mo.tl.enrich_units(trained, sets, device="cpu", copy=True)
    mo.tl.unit_summary(trained, sets, device="cpu")
    tested = mo.get.enrichment(by_hand).query("z > 0 and q <= 0.05")
    best = tested.groupby("unit").head(1).set_index("unit")
    table = mo.get.unit_summary(trained)
    assert table["set"].dropna().to_dict() == best["set"].to_dict()
    assert table["set_q"].dropna().to_dict() == best["q"].to_dict()
    after, before = mo.get.enrichment(trained), mo.get.enrichment(by_hand)
    pd.testing.assert_frame_equal(after.drop(columns="name"), before.drop(columns="name"))
    assert list(after["name"]) == list(table["name"].loc[after["unit"]])
    trained.uns.pop("ae_enrichment")
    copied = mo.tl.unit_summary(trained, sets, device="cpu", enrichment="mine", copy=True)
    assert "mine" in copied.uns
    assert not {"mine", "ae_enrichment"} & set(trained.uns)
    with pytest.raises(ValueError, match="set"):
        mo.tl.unit_summary(trained, {"none": ["nowhere"]}, device="cpu")
    assert "ae_enrichment" not in trained.uns


def test_stability_from_other_runs_or_a_table(trained):
    rng = np.random.default_rng(0)
    noisy = trained.obsm["X_ae"][:, ::-1] * [1, -2, 3, 1, 1] + rng.normal(size=(90, 5)) * 1e-3
    trained.obsm["X_ae_seed1"] = noisy
    trained.obsm["X_ae_seed2"] = rng.random((90, 7))
    mo.tl.unit_summary(trained, stability_keys=["ae_seed1", "ae_seed2"], device="cpu")
    by_keys = mo.get.unit_summary(trained)["stability"]
    others = {key: trained.obsm[f"X_{key}"] for key in ("ae_seed1", "ae_seed2")}
    table = mo.metrics.unit_stability(trained, others)
    expected = table["abs_r"].groupby("unit").mean()
    np.testing.assert_allclose(by_keys, expected.loc[by_keys.index], atol=1e-6)
    mo.tl.unit_summary(trained, stability=table, device="cpu")
    np.testing.assert_allclose(mo.get.unit_summary(trained)["stability"], expected.loc[by_keys.index])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"key": "other"}, KeyError, "Trained models here"),
        ({"n_genes": 0}, ValueError, "whole number of at least 1"),
        ({"min_cells": 0}, ValueError, "min_cells is 0; give a whole number of at least 1"),
        ({"n_cells": 0}, ValueError, "n_cells is 0; give a whole number of at least 1"),
        ({"n_genes": True}, ValueError, "whole number of at least 1"),
        ({"caveat_above": 2}, ValueError, "from 0 to 1"),
        ({"redundant_above": "high"}, ValueError, "from 0 to 1"),
        ({"method": "guess"}, ValueError, "choose one of"),
        ({"groupby": "depth"}, KeyError, "Choose one of"),
        ({"stability": "ae_x"}, TypeError, "stability is str, not the table.*stability_keys="),
        ({"stability_keys": "ae_x"}, TypeError, r"\['ae_x'\]"),
        ({"stability_keys": ["ae_x"]}, KeyError, "Choose one of"),
        ({"stability_keys": ["ae"]}, ValueError, "not 'ae' itself"),
        ({"stability_keys": []}, ValueError, "one other run or more"),
        ({"stability": pd.DataFrame({"abs_r": [1.0]}, index=["0"])}, ValueError, "unit_stability"),
        ({"stability": pd.DataFrame({"r": [1.0] * 5}, index=list("01234"))}, ValueError, "unit_stability"),
        ({"stability": pd.DataFrame({"abs_r": [1.0] * 6}, index=list("012345"))}, ValueError, "unit_stability"),
        (
            {"enrichment": "mine"},
            KeyError,
            r"Run `mo.tl.enrich_units\(adata, gene_sets, key_added='mine'\)` first",
        ),
        ({"layer": "raw"}, KeyError, "layer"),
    ],
    ids=str,
)
def test_bad_input_is_refused_and_nothing_is_written(trained, given, error, message):
    before = set(trained.uns)
    with pytest.raises(error, match=message):
        mo.tl.unit_summary(trained, device="cpu", **given)
    assert set(trained.uns) == before


def test_an_enrichment_of_another_model_is_refused(trained):
    trained.uns["ae_enrichment"] = sets_tested() | {"of_model": "other"}
    with pytest.raises(ValueError, match="is of the model 'other'"):
        mo.tl.unit_summary(trained, device="cpu")
    trained.uns["mine"] = sets_tested()
    mo.tl.unit_summary(trained, device="cpu", enrichment="mine")
    with pytest.raises(KeyError, match=r"There are \['mine'\]: name one in enrichment="):
        mo.tl.unit_summary(trained, device="cpu", enrichment="yours")


def below(adata, values):
    adata.uns["ae"]["replication"] = {"reproducibility": np.array(values, dtype=np.float32), "level": 0.7}
    del adata.uns["ae"]["whole"]  # the stamp of a model without it


def test_reproducibility_is_that_of_the_model(trained):
    values = [0.9, 0.75, np.nan, 0.4, 0.8]
    below(trained, values)
    mo.tl.unit_summary(trained, device="cpu")
    table = mo.get.unit_summary(trained)
    np.testing.assert_allclose(table["reproducibility"].loc[list("01234")], values, rtol=1e-6)
    assert list(table).index("reproducibility") == list(table).index("effect_share") + 1


def test_a_summary_from_before_there_were_names_is_refused(summed):
    del summed.uns["ae_units"]["table"]["name"]
    with pytest.raises(KeyError, match=r"lacks \['name'\]. Run `mo.tl.unit_summary\(adata\)` again"):
        mo.get.unit_summary(summed)


def test_both_kinds_of_stability_are_too_many(trained):
    table = mo.metrics.unit_stability(trained, trained.obsm["X_ae"])
    with pytest.raises(ValueError, match="Give one of them"):
        mo.tl.unit_summary(trained, stability=table, stability_keys=["ae_x"], device="cpu")


def test_a_cell_without_counts(trained):
    adata = trained.copy()
    counts = adata.X.toarray()
    counts[5] = 0
    adata.X = counts
    mo.tl.autoencoder(adata, n_splits=0, n_latent=5, max_epochs=2, device="cpu")
    mo.tl.unit_summary(adata, groupby="group", device="cpu")
    assert np.isfinite(mo.get.unit_summary(adata)["library_size"]).all()


def test_units_follow_the_depth_where_the_model_reads_raw_counts():
    """The strongest units of a model without size factors follow the depth; with them, none does."""
    adata = mo.datasets.simulated(n_cells=300, n_genes=120, n_programmes=3, genes_per_programme=10, seed=0)
    given = {"architecture": "orthogonal", "n_latent": 6, "n_hidden": 16, "max_epochs": 25, "device": "cpu"}
    strongest = {}
    for source, rate in (("total", 0.2), (None, 0.02)):
        mo.tl.autoencoder(adata, size_factors=source, learning_rate=rate, **given)
        mo.tl.unit_summary(adata, device="cpu")
        strongest[source] = mo.get.unit_summary(adata).iloc[0]
    assert abs(strongest[None]["library_size"]) > 0.5
    assert abs(strongest["total"]["library_size"]) < 0.5


def test_some_of_many_cells_tell_what_varies_in_memory_and_on_disk_alike(monkeypatch, tmp_path):
    from modulae.tl._unit_summary import technical_covariates as module

    adata = mo.datasets.pbmc68k()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    every, states = technical_covariates(adata, layer=None, seed=3)
    assert every == slice(None)
    monkeypatch.setattr(module, "MAX_CELLS", 100)
    seen, some = technical_covariates(adata, layer=None, seed=3)
    assert len(np.unique(seen)) == len(some) == 100
    assert (np.diff(seen) > 0).all()
    for name in ("library_size", "mitochondrial", "ribosomal"):
        np.testing.assert_allclose(some[name], states[name].iloc[seen], err_msg=name)
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    again, on_disk = technical_covariates(backed, layer=None, seed=3)
    backed.file.close()
    np.testing.assert_array_equal(again, seen)
    pd.testing.assert_frame_equal(on_disk, some)


def test_a_group_may_be_called_rest_where_groups_are_held_against_all_other_cells(trained):
    trained.obs["half"] = np.where(np.arange(trained.n_obs) % 2 == 0, "rest", "stim")
    mo.tl.unit_summary(trained, groupby="half", device="cpu", progress=False)
    named = mo.get.unit_summary(trained)["group"]
    trained.obs["half"] = trained.obs["half"].astype(str).replace("rest", "quiet")
    mo.tl.unit_summary(trained, groupby="half", device="cpu", progress=False)
    assert mo.get.unit_summary(trained)["group"].replace("quiet", "rest").equals(named)
