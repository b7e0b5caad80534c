"""Planted programmes: the counts follow the truth that comes with them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

import modulae as mo


@pytest.fixture(scope="module")
def adata():
    return mo.datasets.simulated(seed=3)


def rates(adata):
    """Work the rates out from the truth, by the formula of the docstring."""
    log_rate = adata.var["truth_baseline"].to_numpy() + adata.obsm["truth_activity"] @ adata.varm["truth_loadings"].T
    return adata.obs["truth_depth"].to_numpy()[:, None] * np.exp(log_rate)


def test_counts_as_sparse_float32(adata):
    assert adata.shape == (1000, 600)
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))


def test_counts_are_poisson_around_the_true_rates(adata):
    """Poisson counts have a dispersion of 1 around their rates: Σ (x − r)² / r is χ² with as many degrees as values."""
    r, x = rates(adata), adata.X.toarray()
    dispersion = ((x - r) ** 2 / r).mean()
    spread = np.sqrt((2 + 1 / r).mean() / r.size)  # the variance of (x − r)² / r is 2 + 1 / r
    assert abs(dispersion - 1) < 5 * spread
    assert abs((x - r).sum()) < 5 * np.sqrt(r.sum())


@pytest.mark.parametrize("mean_counts", [50.0, 2000.0])
def test_mean_total_of_a_cell(mean_counts):
    adata = mo.datasets.simulated(mean_counts=mean_counts)
    np.testing.assert_allclose(rates(adata).sum(axis=1).mean(), mean_counts, rtol=1e-5)


def test_gene_sets_are_the_genes_with_loadings(adata):
    sets = mo.read_gene_sets(adata.uns["gene_sets"])
    assert list(sets) == list(adata.uns["truth"]["programmes"])
    for p, genes in enumerate(sets.values()):
        assert set(adata.var_names[adata.varm["truth_loadings"][:, p] > 0]) == set(genes)
        assert len(genes) == 30
    inside = adata.varm["truth_loadings"][adata.varm["truth_loadings"] > 0]
    assert 0.5 <= inside.min() < 0.6
    assert 1.4 < inside.max() <= 1.5


def test_genes_of_a_programme_are_scattered(adata):
    """A result matched by position must come out wrong."""
    for p in range(8):
        assert (np.diff(np.flatnonzero(adata.varm["truth_loadings"][:, p])) > 1).any()


def test_programmes_run_where_the_truth_says(adata):
    truth, groups = adata.uns["truth"], adata.obs["group"].cat.codes.to_numpy()
    runs = adata.obsm["truth_activity"] > 0
    for g, shares in enumerate(truth["running"]):
        observed = runs[groups == g].mean(axis=0)
        np.testing.assert_array_equal(observed[shares != 0.5], shares[shares != 0.5])
        assert (abs(observed[shares == 0.5] - 0.5) < 0.15).all()
    assert (truth["running"] == 1).sum(axis=0).tolist() == [1] * 6 + [0] * 2
    assert (truth["running"] == 0.5).all(axis=0).tolist() == [False] * 6 + [True] * 2
    assert adata.obsm["truth_activity"][runs].mean() == pytest.approx(1, abs=0.05)


def test_groups_are_equal_in_size_and_shuffled(adata):
    assert adata.obs["group"].value_counts().tolist() == [250] * 4
    assert stats.kendalltau(adata.obs["group"].cat.codes, np.arange(1000)).pvalue > 1e-3


def test_names_sort_in_order(adata):
    assert list(adata.var_names) == sorted(adata.var_names)
    assert list(adata.obs_names) == sorted(adata.obs_names)
    assert list(adata.obs["group"].cat.categories) == ["group_0", "group_1", "group_2", "group_3"]


def test_same_seed_same_counts(adata):
    again, other = mo.datasets.simulated(seed=3), mo.datasets.simulated(seed=4)
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())
    assert (other.X != adata.X).nnz > 0


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own default
@pytest.mark.parametrize("form", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_the_truth_survives_a_file(adata, tmp_path, form):
    path = tmp_path / f"a.{form}"
    getattr(adata, f"write_{form}")(path)
    again = getattr(ad, f"read_{form}")(path)
    assert mo.read_gene_sets(again.uns["gene_sets"]) == mo.read_gene_sets(adata.uns["gene_sets"])
    assert list(again.uns["truth"]["groups"]) == list(adata.uns["truth"]["groups"])
    np.testing.assert_array_equal(again.uns["truth"]["running"], adata.uns["truth"]["running"])
    np.testing.assert_array_equal(rates(again), rates(adata))
    assert again.obs["group"].equals(adata.obs["group"])


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_cells": 1, "n_genes": 1, "n_programmes": 1, "genes_per_programme": 1, "n_groups": 1},
        {"n_cells": 3, "n_groups": 5},
        {"n_programmes": 2, "n_groups": 3},
        {"n_programmes": 20, "genes_per_programme": 30},
    ],
    ids=["smallest", "more groups than cells", "more groups than programmes", "every gene in a programme"],
)
def test_unusual_sizes(sizes):
    adata = mo.datasets.simulated(**sizes)
    assert (adata.obsm["truth_activity"].shape[1], adata.varm["truth_loadings"].shape[1]) == (
        sizes.get("n_programmes", 8),
    ) * 2
    assert np.isfinite(adata.X.data).all()


@pytest.mark.parametrize(
    "name", ["n_cells", "n_genes", "n_programmes", "genes_per_programme", "n_groups", "mean_counts"]
)
@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_sizes_that_are_not_positive(name, size):
    with pytest.raises(ValueError, match=rf"{name} is {size}; give a number above 0"):
        mo.datasets.simulated(**{name: size})


def test_more_programme_genes_than_genes():
    with pytest.raises(
        ValueError, match=r"8 programmes of 30 genes need 240 genes, and n_genes is 100\. Raise n_genes"
    ):
        mo.datasets.simulated(n_genes=100)


# Programmes across cell types


DIFFICULTIES = ["easy", "hard", "together", "rare"]


@pytest.fixture(scope="module", params=DIFFICULTIES)
def planted(request):
    sizes = {"n_programmes": 10, "n_groups": 5, "n_cells": 6000, "n_genes": 400}
    return mo.datasets.simulated(difficulty=request.param, **sizes, seed=1)


@pytest.fixture(scope="module")
def together():
    return mo.datasets.simulated(difficulty="together", n_cells=6000, n_genes=400, seed=1)


def on(adata):
    """Cells × programmes, where each runs, with names."""
    return pd.DataFrame(
        adata.obsm["truth_activity"] > 0, index=adata.obs_names, columns=list(adata.uns["truth"]["programmes"])
    )


@pytest.mark.parametrize("difficulty", [None, *DIFFICULTIES])
@pytest.mark.parametrize("kind", ["log-additive", "additive"])
def test_counts_are_poisson_around_the_rates_of_the_formula(difficulty, kind):
    """As above, for every kind; the other formula fits far worse, so the two do differ."""
    adata = mo.datasets.simulated(difficulty=difficulty, rates=kind, n_cells=400, n_genes=300, seed=2)
    adata.X = adata.X.toarray()
    baseline, depth = np.exp(adata.var["truth_baseline"].to_numpy()), adata.obs["truth_depth"].to_numpy()[:, None]
    activity, loadings = adata.obsm["truth_activity"], adata.varm["truth_loadings"]
    effect = {
        "additive": 1 + activity @ np.expm1(loadings).T,
        "log-additive": np.exp(activity @ loadings.T),
    }
    off = {}
    for name, factor in effect.items():
        r = depth * baseline * factor
        spread = np.sqrt((2 + 1 / r).mean() / r.size)
        off[name] = abs(((adata.X - r) ** 2 / r).mean() - 1) / spread
    assert off[kind] < 5
    assert off["additive" if kind == "log-additive" else "log-additive"] > 20


def test_sizes_of_the_serious_data():
    adata = mo.datasets.simulated(difficulty="hard")
    totals = np.asarray(adata.X.sum(axis=1)).ravel()
    assert adata.shape == (2000, 2000)
    assert 1350 < np.median(totals) < 1650
    assert 0.3 < np.log(totals).std() < 0.55
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    assert adata.obs["group"].nunique() == 5
    assert list(adata.uns["truth"]["programmes"]) == [f"programme_{p}" for p in range(10)] + [
        f"group_{g}" for g in range(5)
    ]
    n_genes = [len(genes) for genes in adata.uns["gene_sets"].values()]
    assert 20 <= min(n_genes) < 30
    assert 50 < max(n_genes) <= 60
    n_programmes = (adata.varm["truth_loadings"] > 0).sum(axis=1)
    assert 0.1 < (n_programmes > 1).sum() / (n_programmes > 0).sum() < 0.4
    housekeeping = adata.var["truth_housekeeping"].to_numpy()
    assert housekeeping.sum() == 100
    assert (n_programmes[housekeeping] == 0).all()
    assert adata.var["truth_baseline"][housekeeping].mean() > adata.var["truth_baseline"][~housekeeping].mean() + 1
    inside = adata.var["truth_baseline"][n_programmes > 0]
    assert inside.min() > np.quantile(adata.var["truth_baseline"], 0.29)


def test_identities_run_in_all_cells_of_their_type_and_in_no_other(planted):
    runs, truth = on(planted), planted.uns["truth"]
    groups = planted.obs["group"]
    for name in truth["groups"]:
        np.testing.assert_array_equal(runs[name], groups == name)
    assert truth["identity"].tolist() == [False] * 10 + [True] * 5
    sizes = groups.value_counts().loc[list(truth["groups"])].to_numpy()
    assert (np.diff(sizes) < 0).all()
    assert sizes[0] / sizes[-1] == pytest.approx(2.5, abs=0.05)


def test_activities_are_never_close_to_zero_where_a_programme_runs(planted):
    """So that which cells are on is well defined."""
    activity = planted.obsm["truth_activity"]
    assert activity[activity > 0].min() > 0.2
    assert activity[activity > 0].mean() == pytest.approx(1, abs=0.01)


def test_programmes_run_as_often_as_the_truth_says(planted):
    runs, truth = on(planted).to_numpy(), planted.uns["truth"]
    for g, name in enumerate(truth["groups"]):
        inside = (planted.obs["group"] == name).to_numpy()
        share = truth["running"][g]
        spread = np.sqrt(share * (1 - share) / inside.sum())
        assert (np.abs(runs[inside].mean(axis=0) - share) <= 5 * spread).all()


def test_easy_programmes_run_on_their_own():
    adata = mo.datasets.simulated(difficulty="easy", n_cells=6000, n_genes=400, seed=1)
    r = np.corrcoef(on(adata).iloc[:, :10].to_numpy().T)
    assert np.abs(r[np.triu_indices(10, k=1)]).max() < 0.06
    np.testing.assert_array_equal(adata.uns["truth"]["running"][:, :10], 0.25)
    assert adata.uns["truth"]["co_active"].shape == (0, 2)
    assert adata.uns["truth"]["and"].shape == (0, 3)


def test_hard_programmes_hang_together_as_the_truth_says():
    adata = mo.datasets.simulated(difficulty="hard", n_cells=6000, n_genes=400, seed=1)
    runs, truth = on(adata), adata.uns["truth"]
    ((first, second, third),) = truth["and"]
    np.testing.assert_array_equal(runs[third], runs[first] & runs[second])
    assert abs(np.corrcoef(runs[first], runs[second])[0, 1]) < 0.06
    assert 0.15 < runs[third].mean() < 0.25
    assert truth["co_active"].tolist() == [["programme_3", "programme_4"], ["programme_5", "programme_6"]]
    r = runs.astype(float).corr()
    assert all(0.7 < r.loc[first, second] < 0.95 for first, second in truth["co_active"])
    for a in ("programme_0", "programme_3", "programme_5", "programme_7", "programme_8", "programme_9"):
        for b in ("programme_0", "programme_3", "programme_5", "programme_7", "programme_8", "programme_9"):
            assert a == b or abs(r.loc[a, b]) < 0.25
    shares = truth["running"][:, 3:10]
    assert (np.ptp(shares, axis=0) > 0.1).all()


def test_sizes_of_the_data_with_pairs():
    adata = mo.datasets.simulated(difficulty="together")
    truth = adata.uns["truth"]
    assert adata.shape == (2000, 2000)
    assert adata.obsm["truth_activity"].shape == (2000, 14 + 6)
    assert truth["identity"].tolist() == [False] * 14 + [True] * 6
    assert truth["co_active"].tolist() == [[f"programme_{p:02d}", f"programme_{p + 1:02d}"] for p in (0, 2, 4)]
    assert truth["rates"] == "additive"
    assert not truth["rare"].any()
    assert len(truth["and"]) == 0


def test_pairs_run_together_in_60_percent_of_the_cells_that_have_one(together):
    """Four of a binomial's standard deviations; each programme runs in a quarter of the cells all the same."""
    runs, truth = on(together).iloc[:, :14], together.uns["truth"]
    for first, second in truth["co_active"]:
        both, either = (runs[first] & runs[second]).sum(), (runs[first] | runs[second]).sum()
        assert abs(both / either - 0.6) < 4 * np.sqrt(0.6 * 0.4 / either)
    assert (np.abs(runs.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 6000)).all()
    np.testing.assert_array_equal(truth["running"][:, :14], 0.25)
    r = runs.astype(float).corr().to_numpy()
    apart = np.array([[a // 2 != b // 2 or a >= 6 for a in range(14)] for b in range(14)]) & ~np.eye(14, dtype=bool)
    assert np.abs(r[apart]).max() < 0.07


def test_activities_of_a_pair_are_their_own_where_both_run(together):
    """They share when they run, not how strongly: else no method could tell them apart."""
    activity = pd.DataFrame(together.obsm["truth_activity"], columns=list(together.uns["truth"]["programmes"]))
    for first, second in together.uns["truth"]["co_active"]:
        both = activity[(activity[first] > 0) & (activity[second] > 0)]
        assert abs(np.corrcoef(both[first], both[second])[0, 1]) < 5 / np.sqrt(len(both))


def test_counts_of_programmes_that_run_together_add_up(together):
    """Each gene of both: the count over all cells with both is the sum of three parts, as far as Poisson counts go."""
    depth, activity = together.obs["truth_depth"].to_numpy(), together.obsm["truth_activity"].astype(float)
    loadings, names = together.varm["truth_loadings"].astype(float), list(together.uns["truth"]["programmes"])
    baseline, counts = np.exp(together.var["truth_baseline"].to_numpy()), together.X.toarray()
    for first, second in together.uns["truth"]["co_active"]:
        a, b = names.index(first), names.index(second)
        cells = (activity[:, [a, b]] > 0).all(axis=1)
        genes = (loadings[:, [a, b]] > 0).any(axis=1)
        parts = [np.outer(depth[cells], baseline[genes])]
        parts += [
            np.outer(depth[cells] * activity[cells, p], baseline[genes] * np.expm1(loadings[genes, p]))
            for p in range(len(names))
        ]
        expected = sum(part.sum() for part in parts)
        observed = counts[np.ix_(cells, genes)].sum()
        assert abs(observed - expected) < 5 * np.sqrt(expected)
        multiplied = np.exp(np.log(baseline[genes]) + activity[cells] @ loadings[genes].T)
        assert abs(observed - (depth[cells, None] * multiplied).sum()) > 50 * np.sqrt(expected)


def test_depths_spread_most_in_the_data_with_pairs(planted):
    spread = {"easy": 0.3, "hard": 0.4, "together": 0.5, "rare": 0.3}[planted.uns["truth"]["difficulty"]]
    found = np.log(planted.obs["truth_depth"]).std()
    assert abs(found - spread) < 5 * spread / np.sqrt(2 * 6000)  # standard error of a normal's standard deviation


def test_rare_programmes_run_in_exactly_so_many_cells():
    adata = mo.datasets.simulated(difficulty="rare", seed=4)
    truth, runs = adata.uns["truth"], on(adata)
    assert truth["rare"].tolist() == [False] * 5 + [True] * 5 + [False] * 5
    assert truth["rates"] == "log-additive"
    ratio = 4 ** (1 / 4)  # from 0.5 % to 2 % in four steps
    assert runs.loc[:, truth["rare"]].sum().tolist() == [round(10 * ratio**step) for step in range(5)]
    np.testing.assert_allclose(truth["running"][:, truth["rare"]], [[0.005 * ratio**step for step in range(5)]] * 5)
    np.testing.assert_array_equal(truth["running"][:, :5], 0.25)


def test_rare_programmes_run_in_cells_of_whatever_type():
    adata = mo.datasets.simulated(difficulty="rare", n_cells=20_000, n_genes=200, seed=2)
    rare = adata.obsm["truth_activity"][:, adata.uns["truth"]["rare"]] > 0
    for g, share in enumerate(adata.obs["group"].value_counts(normalize=True, sort=False)):
        inside = rare[adata.obs["group"].cat.codes == g].sum(axis=0)
        n = rare.sum(axis=0)
        assert (np.abs(inside - n * share) < 5 * np.sqrt(n * share * (1 - share))).all()


@pytest.mark.parametrize("n_cells", [1, 7, 60])
def test_a_rare_programme_runs_in_one_cell_at_least(n_cells):
    adata = mo.datasets.simulated(difficulty="rare", n_cells=n_cells, n_genes=130, n_programmes=1, n_groups=1)
    assert adata.uns["truth"]["rare"].tolist() == [True, False]
    assert (adata.obsm["truth_activity"][:, 0] > 0).sum() == 1


@given(
    difficulty=st.sampled_from([None, *DIFFICULTIES]),
    kind=st.sampled_from([None, "log-additive", "additive"]),
    n_cells=st.integers(1, 60),
    n_programmes=st.integers(6, 12),
    n_groups=st.integers(1, 7),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_whatever_is_asked_for_the_truth_fits_the_cells(difficulty, kind, n_cells, n_programmes, n_groups, size, seed):
    asked = {"difficulty": difficulty, "rates": kind, "n_cells": n_cells, "n_genes": 260, "n_programmes": n_programmes}
    asked |= {"n_groups": n_groups, "genes_per_programme": size, "seed": seed}
    adata = mo.datasets.simulated(**asked)
    truth, activity = adata.uns["truth"], adata.obsm["truth_activity"]
    n_units = n_programmes + (0 if difficulty is None else n_groups)
    assert activity.shape == (n_cells, n_units)
    assert truth["running"].shape == (n_groups, n_units)
    assert ((truth["running"] >= 0) & (truth["running"] <= 1)).all()
    assert (activity >= 0).all()
    assert not activity[truth["running"][adata.obs["group"].cat.codes] == 0].any()
    assert [len(genes) for genes in adata.uns["gene_sets"].values()] == [size] * n_units
    assert (adata.X.data > 0).all()
    if difficulty is not None:
        assert set(truth["co_active"].ravel()) <= set(truth["programmes"][~truth["identity"]])
        assert len(truth["co_active"]) == {"hard": (n_programmes - 3) // 3, "together": n_programmes // 4}.get(
            difficulty, 0
        )
        assert truth["rare"].sum() == (difficulty == "rare") * (n_programmes - n_programmes // 2)
    again = mo.datasets.simulated(**asked)
    np.testing.assert_array_equal(again.X.toarray(), adata.X.toarray())


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own default
@pytest.mark.parametrize("form", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_the_truth_of_every_difficulty_survives_a_file(tmp_path, form):
    for difficulty in DIFFICULTIES:
        adata = mo.datasets.simulated(difficulty=difficulty, rates="additive", n_cells=50, n_genes=200, seed=1)
        path = tmp_path / f"{difficulty}.{form}"
        getattr(adata, f"write_{form}")(path)
        again = getattr(ad, f"read_{form}")(path)
        assert set(again.uns["truth"]) == set(adata.uns["truth"])
        for name, value in adata.uns["truth"].items():
            np.testing.assert_array_equal(again.uns["truth"][name], value)
        assert mo.read_gene_sets(again.uns["gene_sets"]) == mo.read_gene_sets(adata.uns["gene_sets"])
        assert again.var["truth_housekeeping"].equals(adata.var["truth_housekeeping"])
        np.testing.assert_array_equal(again.obsm["truth_activity"], adata.obsm["truth_activity"])


def test_same_seed_same_hard_counts():
    sizes = {"difficulty": "hard", "n_cells": 60, "n_genes": 150}
    first, again, other = (mo.datasets.simulated(**sizes, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.X.toarray(), again.X.toarray())
    assert (first.X != other.X).nnz > 0


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_cells": 1, "n_groups": 1},
        {"n_cells": 3, "n_groups": 7},
        {"n_programmes": 6, "genes_per_programme": 1},
        {"n_programmes": 30, "n_genes": 120, "genes_per_programme": [1, 60]},
    ],
    ids=["one cell", "more types than cells", "smallest", "programmes that overlap much"],
)
def test_unusual_sizes_of_hard_data(sizes):
    adata = mo.datasets.simulated(difficulty="hard", **({"n_cells": 40, "n_genes": 200} | sizes))
    n_programmes = sizes.get("n_programmes", 10) + sizes.get("n_groups", 5)
    assert adata.obsm["truth_activity"].shape[1] == adata.varm["truth_loadings"].shape[1] == n_programmes
    assert len(adata.uns["truth"]["programmes"]) == n_programmes
    assert np.isfinite(adata.X.data).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"difficulty": "medium"},
            r"difficulty is 'medium'; choose one of \['easy', 'hard', 'together', 'rare'\]",
        ),
        ({"rates": "multiplicative"}, r"rates is 'multiplicative'; choose one of \['log-additive', 'additive'\]"),
        ({"difficulty": "hard", "n_programmes": 5}, "n_programmes is 5; the hard data need 6, .* Raise n_programmes"),
        (
            {"difficulty": "together", "n_programmes": 3},
            "n_programmes is 3; the together data need 4, .* Raise n_programmes",
        ),
        ({"rates": ""}, "rates is ''; choose one of"),
        ({"difficulty": "easy", "n_genes": 100}, "60 genes needs twice as many .* n_genes is 100. Raise n_genes"),
        ({"difficulty": "easy", "genes_per_programme": (9, 3)}, "the fewest first, then the most"),
        (
            {"difficulty": "easy", "genes_per_programme": (0, 3)},
            r"genes_per_programme is \(0, 3\); give a number above",
        ),
        ({"genes_per_programme": (3, 9)}, "a range, which only data with a difficulty have. Give one number"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ValueError, match=message):
        mo.datasets.simulated(**settings)
