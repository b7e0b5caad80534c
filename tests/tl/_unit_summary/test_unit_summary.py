"""`tl.unit_summary` and `get.unit_summary`: what is written, and what each column means."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import modulae as mo
from modulae._adata.counts import read_counts
from modulae._genes.marker_genes import DISSOCIATION, G2M_PHASE, MITOCHONDRIAL, RIBOSOMAL, S_PHASE
from modulae.core.data.cells import Cells
from modulae.tl._unit_summary.table import flags_of_units, genes_of_units, sets_of_units, use_of_units
from modulae.tl._unit_summary.technical_covariates import cell_states

FLAGS = ["library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation"]


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
    assert set(table["group"]) <= set(summed.obs["group"].astype(str))
    assert table["stability"].isna().all()
    assert table["reproducibility"].isna().all()  # trained once
    assert table["reproducibility"].dtype == np.float64
    assert set(table["set"]) == {""}


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


@pytest.mark.parametrize("how", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_survives_a_file(summed, tmp_path, how):
    path = tmp_path / f"x.{how}"
    getattr(summed, f"write_{how}")(path)
    back = getattr(ad, f"read_{how}")(path)
    pd.testing.assert_frame_equal(mo.get.unit_summary(back), mo.get.unit_summary(summed))


def test_training_again_removes_it(summed):
    mo.tl.autoencoder(summed, max_epochs=1, n_latent=3, n_splits=0, device="cpu")
    with pytest.raises(KeyError, match=r"Run `modulae.tl.unit_summary\(adata\)` first"):
        mo.get.unit_summary(summed)


def test_batch_size_changes_nothing(trained):
    one = mo.get.unit_summary(mo.tl.unit_summary(trained, device="cpu", copy=True, batch_size=7))
    other = mo.get.unit_summary(mo.tl.unit_summary(trained, device="cpu", copy=True, batch_size=500))
    pd.testing.assert_frame_equal(one, other, rtol=1e-4, atol=5e-5)  # differences of losses in float32


def test_group_is_the_one_with_the_largest_difference(summed):
    table = mo.get.unit_summary(summed)
    units = summed.obsm["X_ae"].astype(float)
    standard = (units - units.mean(axis=0)) / units.std(axis=0)
    for unit, row in table.iterrows():
        z = standard[:, int(unit)]
        by_group = {g: z[summed.obs["group"] == g].mean() - z[summed.obs["group"] != g].mean() for g in table["group"]}
        for group in summed.obs["group"].unique():
            inside = (summed.obs["group"] == group).to_numpy()
            assert z[inside].mean() - z[~inside].mean() <= row["group_difference"] + 1e-6
        np.testing.assert_allclose(row["group_difference"], by_group[row["group"]], rtol=1e-5)


def test_top_genes_are_the_ends_of_the_saliency(trained):
    mo.tl.saliency(trained, device="cpu")
    mo.tl.unit_summary(trained, n_genes=4, device="cpu")
    saliency = mo.get.saliency(trained).dropna()
    for unit, row in mo.get.unit_summary(trained).iterrows():
        ranked = saliency[unit].sort_values(ascending=False)
        assert row["top_genes_up"].split(";") == list(ranked[ranked > 0].index[:4])
        assert row["top_genes_down"].split(";") == list(ranked[ranked < 0].index[::-1][:4])


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


def test_flags_are_rank_correlations(trained):
    rng = np.random.default_rng(1)
    units = rng.random((90, 4)).astype(np.float32)
    units[:, 3] = 1  # never changes
    states = pd.DataFrame({name: rng.random(90) for name in ["library_size", "ribosomal", "s_phase"]})
    states["g2m_phase"] = -np.exp(units[:, 1])
    states["library_size"] = units[:, 0] ** 3
    states["mitochondrial"] = np.nan
    states["dissociation"] = rng.random(90)
    found = flags_of_units(units, states, flag_above=0.5)
    assert list(found) == [*FLAGS, "flags"]
    expected = [spearmanr(units[:, unit], states["ribosomal"]).statistic for unit in range(3)]
    np.testing.assert_allclose(found["ribosomal"], [*expected, 0], atol=1e-12)
    np.testing.assert_allclose(found["library_size"][0], 1)
    np.testing.assert_allclose(found["cell_cycle"][1], -1)  # the stronger of the two phases, with its sign
    assert np.isnan(found["mitochondrial"]).all()
    assert list(found["flags"]) == ["library_size", "cell_cycle", "", ""]


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
    saliency = np.zeros((6, 3), dtype=np.float32)
    saliency[0] = [3, -3, 3]
    saliency[1] = [1, 1, -1]
    found = genes_of_units(saliency, np.array(list("abcdef")), cells, units, n_genes=1)
    assert list(found["direction"]) == ["up", "down", ""]
    np.testing.assert_allclose(found["direction_r"][:2], [1, -1])
    assert list(found["top_genes_up"]) == ["a", "b", "a"]
    assert list(found["top_genes_down"]) == ["", "a", "b"]


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
    trained.uns["ae_enrichment"] = sets_tested()
    mo.tl.unit_summary(trained, device="cpu")
    table = mo.get.unit_summary(trained).loc[list("01234")]
    assert list(table["set"]) == ["two", "one", "one", "one", "two"]  # of two with p 0 the one further out
    assert list(table["set_direction"]) == ["up", "up", "up", "up", "down"]
    np.testing.assert_allclose(table["set_q"], [0.2, 0.03, 0.3, 0.4, 0.0])
    assert list(table["sets"]) == ["", "one;two", "", "", "two;one"]
    assert trained.uns["ae_units"]["enrichment"] == "ae_enrichment"
    assert list(sets_of_units(None, 2)["set"]) == ["", ""]


def test_gene_sets_are_tested_on_the_way(trained):
    rng = np.random.default_rng(0)
    genes = trained.var_names[trained.var["ae_gene"]]
    sets = {f"set{i}": list(rng.choice(genes, 8, replace=False)) for i in range(4)}
    by_hand = mo.tl.enrich_units(trained, sets, device="cpu", copy=True)
    mo.tl.unit_summary(trained, sets, device="cpu")
    best = mo.get.enrichment(by_hand).groupby("unit").head(1).set_index("unit")
    table = mo.get.unit_summary(trained)
    assert list(table["set"]) == list(best.loc[table.index, "set"])
    np.testing.assert_allclose(table["set_q"], best.loc[table.index, "q"])
    assert list(table["set_direction"] == "up") == list(best.loc[table.index, "z"] > 0)
    pd.testing.assert_frame_equal(mo.get.enrichment(trained), mo.get.enrichment(by_hand))
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
        ({"n_cells": 0}, ValueError, "n_cells is 0; give a whole number of at least 1"),
        ({"n_genes": True}, ValueError, "whole number of at least 1"),
        ({"flag_above": 2}, ValueError, "from 0 to 1"),
        ({"redundant_above": "high"}, ValueError, "from 0 to 1"),
        ({"method": "guess"}, ValueError, "choose one of"),
        ({"groupby": "depth"}, KeyError, "Choose one of"),
        ({"stability": "ae_x"}, TypeError, "stability is str, not the table.*stability_keys="),
        ({"stability_keys": "ae_x"}, TypeError, r"\['ae_x'\]"),
        ({"stability_keys": ["ae_x"]}, KeyError, "Choose from"),
        ({"stability_keys": ["ae"]}, ValueError, "not 'ae' itself"),
        ({"stability_keys": []}, ValueError, "one other run or more"),
        ({"stability": pd.DataFrame({"abs_r": [1.0]}, index=["0"])}, ValueError, "unit_stability"),
        ({"stability": pd.DataFrame({"r": [1.0] * 5}, index=list("01234"))}, ValueError, "unit_stability"),
        ({"stability": pd.DataFrame({"abs_r": [1.0] * 6}, index=list("012345"))}, ValueError, "unit_stability"),
        (
            {"enrichment": "mine"},
            KeyError,
            r"Run `modulae.tl.enrich_units\(adata, gene_sets, key_added='mine'\)` first",
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


def test_reproducibility_is_that_of_the_model(trained):
    values = np.array([0.9, 0.75, np.nan, 0.4, 0.8], dtype=np.float32)
    trained.uns["ae"]["replication"] = {"reproducibility": values}
    del trained.uns["ae"]["whole"]  # the stamp of a model without it
    mo.tl.unit_summary(trained, device="cpu")
    table = mo.get.unit_summary(trained)
    np.testing.assert_array_equal(table["reproducibility"].loc[list("01234")], values.astype(np.float64))
    assert list(table).index("reproducibility") == list(table).index("effect_share") + 1


def test_a_summary_from_before_there_were_halves_is_read(summed):
    expected = mo.get.unit_summary(summed)
    del summed.uns["ae_units"]["table"]["reproducibility"]
    pd.testing.assert_frame_equal(mo.get.unit_summary(summed), expected)


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


def test_depth_is_flagged_where_the_model_reads_raw_counts():
    """The strongest units of a model without size factors follow the depth; with them, none does."""
    adata = mo.datasets.simulated(n_cells=300, n_genes=120, n_programmes=3, genes_per_programme=10, seed=0)
    given = {"architecture": "orthogonal", "n_latent": 6, "n_hidden": 16, "max_epochs": 25, "device": "cpu"}
    strongest = {}
    for source, rate in (("total", 0.2), (None, 0.02)):
        mo.tl.autoencoder(adata, size_factors=source, learning_rate=rate, **given)
        mo.tl.unit_summary(adata, device="cpu")
        strongest[source] = mo.get.unit_summary(adata).iloc[0]
    assert "library_size" in strongest[None]["flags"]
    assert "library_size" not in strongest["total"]["flags"]
