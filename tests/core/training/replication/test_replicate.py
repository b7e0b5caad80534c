"""How many units there are, and which, on data with planted programmes."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

import modulae as mo
from modulae.core.training.replication import replicate, side_by_side
from modulae.core.training.replication.agree import Agreed
from modulae.core.training.replication.halves import draw_halves
from modulae.core.training.replication.replicate import (
    MAX_MORE,
    MIN_LIKENESS,
    MOST_GENES,
    Replication,
    replicating,
    variable_genes,
)
from modulae.core.training.replication.tried import Tried

SMALL = {"n_cells": 700, "n_genes": 500}


def one_by_one(calls):
    return (function(*given) for function, given in calls)


def two_threads(calls):
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda call: call[0](*call[1]), calls)


def replication(counts, *, seed=0, n_splits=5, run=one_by_one):
    """Of log1p of counts by depth, the last tenth of the cells unseen."""
    counts = sparse.csr_matrix(counts, dtype=np.float32)
    depth = np.asarray(counts.sum(axis=1)).ravel() / np.median(np.asarray(counts.sum(axis=1)))
    inputs = sparse.csr_matrix(sparse.diags(1 / depth) @ counts, dtype=np.float32).log1p()
    n = int(0.9 * counts.shape[0])
    return Replication(
        inputs[:n],
        inputs[n:],
        (np.log(depth[:n]), np.log(depth[n:])),
        draw_halves(n, n_splits, seed),
        seed=seed,
        run=run,
        run_others=run,
    )


def alike(similarity):
    return np.nan_to_num(similarity).mean(axis=1) >= MIN_LIKENESS


def read(adata, loadings):
    """Units × programmes: how alike the activities are, by least squares and correlation of NumPy alone."""
    inputs = np.log1p(np.asarray(adata.X.todense()) / adata.obs["truth_depth"].to_numpy()[:, None])
    activity = np.linalg.lstsq(loadings.T.astype(float), inputs.T, rcond=None)[0]
    truth = adata.obsm["truth_activity"].T
    return np.corrcoef(activity, truth)[: len(activity), len(activity) :]


@pytest.fixture(scope="module", params=["easy", "together"])
def found(request):
    adata = mo.datasets.simulated(difficulty=request.param, **SMALL)
    return SimpleNamespace(adata=adata, result=replication(adata.X).search(None), kind=request.param)


def test_every_programme_has_a_unit_and_there_are_as_many_units(found):
    n_programmes = found.adata.obsm["truth_activity"].shape[1]
    assert abs(len(found.result.loadings) - (n_programmes + 1)) <= 1
    assert read(found.adata, found.result.loadings).max(axis=0).min() > 0.85


def test_what_is_known_of_the_units_fits_together(found):
    result = found.result
    n = len(result.loadings)
    assert result.loadings.shape == (n, 500)
    assert (result.loadings >= 0).all()
    assert result.loadings.any(axis=1).all()
    assert result.found.shape == (n, 5, 2)
    assert result.similarity.shape == (n, 5)
    np.testing.assert_array_equal(np.isnan(result.similarity), ~result.found.all(axis=2))
    assert (result.found.all(axis=2).sum(axis=1) >= 3).all()
    assert len(result.sizes) == len(result.n_units) == len(result.explained)
    assert result.size in result.sizes
    known = len(result.loadings) - result.n_few
    assert alike(result.similarity[:known]).sum() == result.n_units[result.sizes == result.size][0]
    assert (np.diff(result.sizes) > 0).all()
    taken = result.explained[result.sizes == result.size][0]
    assert 0.9 * result.explained.max() < taken < 1


def test_same_seed_same_numbers_in_any_number_of_threads(found):
    again = replication(found.adata.X, run=two_threads).search(None)
    for name in ("loadings", "found", "similarity", "sizes", "n_units", "explained"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found.result, name), err_msg=name)
    assert (again.size, again.n_few, again.n_single) == (found.result.size, found.result.n_few, found.result.n_single)


def test_another_seed_and_another_order_of_cells_find_the_same_programmes(found):
    order = np.random.default_rng(5).permutation(found.adata.n_obs)
    for result in (replication(found.adata.X, seed=1).search(None), replication(found.adata.X[order]).search(None)):
        assert abs(len(result.loadings) - len(found.result.loadings)) <= 1
        assert read(found.adata, result.loadings).max(axis=0).min() > 0.85


@pytest.mark.parametrize("n_latent", [1, 6])
def test_there_are_never_more_units_than_asked_for(found, n_latent):
    result = replication(found.adata.X).search(n_latent)
    assert 1 <= len(result.loadings) <= n_latent
    np.testing.assert_array_equal(result.sizes, [n_latent])
    assert result.size == n_latent


def test_more_than_the_cells_bear_is_not_looked_for():
    adata = mo.datasets.simulated(n_cells=60, n_genes=80, n_programmes=3, genes_per_programme=20)
    few = replication(adata.X)
    assert few.most == 13  # half of the 27 cells in a half
    assert few.search(500).sizes.tolist() == [13]
    assert few.search(None).sizes.max() <= 13


def test_the_largest_seed_is_a_seed():
    adata = mo.datasets.simulated(n_cells=60, n_genes=80, n_programmes=3, genes_per_programme=20)
    assert len(replication(adata.X, seed=2**32 - 1, n_splits=2).search(3).loadings)


def test_a_unit_that_is_missing_is_found_beside_the_others(found):
    """Of what halves find together one is taken away: it comes back, unless there is no room for it."""
    some = replication(found.adata.X)
    size = found.result.size
    agreed = some._try([size])[0].agreed
    others = agreed.take(np.arange(1, len(agreed.loadings)))
    counted = alike(others.similarity)
    less = Tried(size, others, counted, some._held_out.errors(others.loadings[counted]), 0)
    again = some._one_by_one(less, None, MIN_LIKENESS).agreed
    n = len(others.loadings)
    assert n < len(again.loadings) <= n + MAX_MORE
    np.testing.assert_array_equal(again.loadings[:n], others.loadings)
    assert cosine_similarity(again.loadings[n:], agreed.loadings[:1]).max() > 0.9
    assert len(some._one_by_one(less, n, MIN_LIKENESS).agreed.loadings) == n
    assert len(some._try([size], 3)[0].agreed.loadings) == 3


@pytest.mark.parametrize("mean", [0.2, 2.0])
def test_noise_has_no_units(mean):
    """Genes differ in level and cells in depth, and nothing else."""
    rng = np.random.default_rng(0)
    rates = mean * np.exp(rng.normal(size=(300, 1)) * 0.4) * np.exp(rng.normal(size=200))
    with pytest.raises(ValueError, match=r"no programme was found by both halves.*in 60% of the splits.*n_splits=0"):
        replication(rng.poisson(rates)).search(None)


def test_a_single_gene_is_no_unit():
    """Four units: even over 30 genes; one gene and a trace of others; even over two genes, and over four."""
    loadings = np.zeros((4, 40))
    loadings[0, :30] = 2.0
    loadings[1] = 0.001
    loadings[1, 5] = 3.0
    loadings[2, 8:10] = 1.0
    loadings[3, 20:24] = 1.0
    everywhere = np.zeros((4, 5, 2), dtype=np.intp)
    kept, n_single = replicating(Agreed(loadings, everywhere, np.ones((4, 5))))
    np.testing.assert_array_equal(kept.loadings, loadings[[0, 3]])
    assert n_single == 2


def test_units_of_too_few_splits_are_left_out():
    members = np.zeros((3, 5, 2), dtype=np.intp)
    members[1, :2, 0] = -1  # three of five splits
    members[2, :3, 1] = -1  # two
    kept, n_single = replicating(Agreed(np.ones((3, 8)), members, np.ones((3, 5))))
    np.testing.assert_array_equal(kept.members, members[:2])
    assert n_single == 0


ALIKE, UNLIKE = 0.9, 0.3
"""How alike the halves' units are."""


@pytest.fixture
def planted(monkeypatch):
    """A search in which halves of each size find the programmes that `finds` names, as alike as it says."""
    adata = mo.datasets.simulated(n_cells=400, n_genes=120, n_programmes=4, genes_per_programme=20, n_groups=1)
    truth = adata.varm["truth_loadings"].T
    some, finds = replication(adata.X), {}

    def agreed(each):
        loadings, similarity = truth[[programme for programme, _ in each]], [how for _, how in each]
        members = np.zeros((len(each), 5, 2), dtype=np.intp)
        return Agreed(loadings[:, some._genes], members, np.tile(similarity, (5, 1)).T)

    monkeypatch.setattr(side_by_side, "find", lambda _, __, sizes: [finds.get(size, finds["else"]) for size in sizes])
    monkeypatch.setattr(side_by_side, "find_one_more", lambda _, __, ___: finds.get("beside", []))
    monkeypatch.setattr(side_by_side, "find_few", lambda *_: finds.get("few", []))
    monkeypatch.setattr(replicate, "agree", lambda found: agreed(found[0]))
    return SimpleNamespace(search=some, finds=finds, explained=lambda n: share_of(some, truth[:n]))


def share_of(some, loadings):
    return 1 - some._held_out.errors(loadings[:, some._genes]).mean()


def units(*similarity):
    return list(enumerate(similarity))


def test_a_size_is_judged_by_the_units_that_halves_find_alike(planted):
    """Of 8 parts three are alike; 12 and more add a fourth that is not, though it explains much."""
    planted.finds |= {
        4: units(ALIKE, ALIKE),
        8: units(ALIKE, ALIKE, ALIKE),
        12: units(ALIKE, UNLIKE, UNLIKE, UNLIKE),
        "else": units(ALIKE, ALIKE, ALIKE, UNLIKE),
    }
    result = planted.search.search(None)
    assert (result.size, len(result.loadings)) == (8, 3)
    np.testing.assert_array_equal(result.sizes, [4, 8, 12, 16, 24])  # no larger ones: 24 are no better than 8
    np.testing.assert_array_equal(result.n_units, [2, 3, 3, 3, 3])  # 12 with two of the units of 8, which they lack
    expected = [planted.explained(n) for n in (2, 3, 3, 3, 3)]
    assert expected[0] < 0.9 * expected[1]
    np.testing.assert_allclose(result.explained, expected, rtol=0.01)  # the order of the units matters a little


def test_units_that_are_less_alike_come_with_the_size(planted):
    planted.finds |= {4: units(ALIKE, ALIKE), "else": units(ALIKE, ALIKE, ALIKE, UNLIKE)}
    result = planted.search.search(None)
    assert (result.size, len(result.loadings)) == (8, 4)
    np.testing.assert_array_equal(result.similarity[:, 0], [ALIKE, ALIKE, ALIKE, UNLIKE])
    np.testing.assert_array_equal(result.n_units, [2, 3, 3, 3, 3])


def test_all_units_are_counted_where_none_of_any_size_is_alike(planted):
    planted.finds |= {4: units(UNLIKE), 8: units(*3 * [UNLIKE]), "else": units(*4 * [UNLIKE])}
    result = planted.search.search(None)
    assert (result.size, len(result.loadings)) == (12, 4)
    np.testing.assert_array_equal(result.n_units, [1, 3, 4, 4, 4])
    np.testing.assert_allclose(result.explained, [planted.explained(n) for n in (1, 3, 4, 4, 4)])


def test_sizes_grow_on_while_units_that_are_less_alike_explain_more_and_there_are_no_others(planted):
    planted.finds |= {24: units(*2 * [UNLIKE]), "else": units(UNLIKE), 48: units(*4 * [UNLIKE])}
    assert planted.search.search(None).size == 48


@pytest.mark.parametrize(("beside", "n"), [(ALIKE, 1), (UNLIKE, 0)])
def test_a_unit_beside_the_others_has_to_be_alike(planted, beside, n):
    planted.finds |= {"else": units(ALIKE, ALIKE, ALIKE), "beside": [(3, beside)]}
    result = planted.search.search(None)
    assert len(result.loadings) == 3 + n
    assert result.n_units[result.sizes == result.size] == 3 + n
    np.testing.assert_array_equal(result.similarity[3:, 0], [beside] * n)


def test_a_unit_beside_others_of_which_none_is_alike_need_not_be_either(planted):
    planted.finds |= {"else": units(UNLIKE, UNLIKE, UNLIKE), "beside": [(3, UNLIKE)]}
    assert len(planted.search.search(None).loadings) == 4


def test_the_genes_that_vary_most_in_their_order():
    rng = np.random.default_rng(0)
    n_genes = MOST_GENES + 40
    spread = np.where(np.isin(np.arange(n_genes), rng.permutation(n_genes)[:40]), 0.01, 1.0)
    dense = 5 + spread * rng.uniform(-1, 1, size=(30, n_genes))
    np.testing.assert_array_equal(variable_genes(sparse.csr_matrix(dense)), np.flatnonzero(spread == 1))
    np.testing.assert_array_equal(variable_genes(sparse.csr_matrix(dense[:, :50])), np.arange(50))


def test_genes_that_vary_little_have_no_loadings():
    adata = mo.datasets.simulated(n_cells=80, n_genes=100, n_programmes=3, genes_per_programme=20)
    counts = sparse.hstack([sparse.csr_matrix((80, MOST_GENES)), adata.X]).tocsr()  # the first are counted nowhere
    result = replication(counts).search(3)
    assert result.loadings.shape == (len(result.loadings), MOST_GENES + 100)
    assert not result.loadings[:, MOST_GENES - 100 : MOST_GENES].any()  # of those that vary alike, the first are taken
    assert result.loadings[:, MOST_GENES:].any(axis=1).all()
