"""Controls of an explanation: what each keeps, what each destroys, and how alike two explanations are."""

import numpy as np
import pytest
from scipy import sparse, stats

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.training_summary import summarise
from modulae.core.model.config import Config
from modulae.core.model.fitted import Fitted
from modulae.core.sanity.compare import ExplanationSpec, compare, compare_with_expression, explain
from modulae.core.sanity.controls import draw_controls, gene_shuffled, untrained_network
from modulae.core.scores.correlation import column_correlation, correlation, match_units, rank_correlation
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES = 240, 40
CONFIG = Config(n_latent=5, n_hidden=9, max_epochs=6, batch_size=16)


@pytest.fixture(scope="module")
def cells():
    """Two kinds of cells, the second twice as deep: what goes together, and what depth alone brings along."""
    rng = np.random.default_rng(0)
    kind = np.arange(N_CELLS) % 2
    depth = np.where(kind == 0, 1.0, 2.0)[:, None] * rng.uniform(0.7, 1.4, size=(N_CELLS, 1))
    rates = depth * np.where((np.arange(N_GENES) < 20)[None, :] == (kind == 0)[:, None], 3.0, 0.3)
    counts = rng.poisson(rates).astype(np.float32)
    totals = counts.sum(axis=1)
    return Cells(sparse.csr_matrix(counts), (totals / np.median(totals)).astype(np.float32))


@pytest.fixture(scope="module")
def fitted(cells):
    test = split_cells(N_CELLS, CONFIG)
    run = train(cells, test, CONFIG)
    summary = summarise(run.network, cells, encode(run.network, cells), test, (np.array([], dtype=str), np.array([])))
    return Fitted(run.network, np.arange(N_GENES).astype(str), CONFIG, run.history, 1.0, test, summary)


def question(n_groups=1, **settings):
    sets = [np.arange(start, start + 5) for start in range(0, N_GENES, 5)]
    members = np.arange(N_CELLS)[None, :] % 2 == np.arange(n_groups)[:, None]
    defaults = {"method": "gradient", "signed": True, "aggregate": "mean", "batch_size": 64, "device": "cpu"}
    return ExplanationSpec(sets, members, ~members, **(defaults | settings))


def test_shuffling_keeps_every_genes_counts(cells):
    shuffled = gene_shuffled(cells, np.random.default_rng(1))
    before, after = (np.sort(x.counts.toarray(), axis=0) for x in (cells, shuffled))
    np.testing.assert_array_equal(before, after)
    assert (cells.counts != shuffled.counts).nnz > 0
    again = gene_shuffled(cells, np.random.default_rng(1))
    assert (again.counts != shuffled.counts).nnz == 0


def test_shuffling_keeps_depth_and_nothing_else(cells):
    """Genes of one kind go together before; after, only as far as deep cells have more of everything."""
    shuffled = gene_shuffled(cells, np.random.default_rng(1))
    assert stats.spearmanr(shuffled.size_factors, cells.size_factors).statistic > 0.6
    np.testing.assert_allclose(shuffled.size_factors.mean(), cells.size_factors.mean(), rtol=1e-4)
    totals = np.asarray(shuffled.counts.sum(axis=1)).ravel()
    assert stats.pearsonr(totals, shuffled.size_factors).statistic > 0.999

    def between_kinds(some):
        r = np.corrcoef(some.inputs().T)
        same = (r[:20, :20].sum() + r[20:, 20:].sum() - N_GENES) / (2 * 20 * 19)
        return same - r[:20, 20:].mean()

    assert between_kinds(cells) > 0.5
    assert abs(between_kinds(shuffled)) < 0.03


def test_shuffling_without_size_factors_and_with_an_empty_cell(cells):
    counts = cells.counts.toarray()
    counts[7] = 0
    raw = gene_shuffled(Cells(sparse.csr_matrix(counts), None), np.random.default_rng(2))
    assert raw.size_factors is None
    np.testing.assert_array_equal(np.sort(raw.counts.toarray(), axis=0), np.sort(counts, axis=0))
    factors = cells.size_factors.copy()
    factors[7] = 0
    sized = gene_shuffled(Cells(sparse.csr_matrix(counts), factors), np.random.default_rng(2))
    assert np.isfinite(sized.inputs()).all()


def test_a_redrawn_last_layer_changes_nothing_else(fitted):
    redrawn = fitted.network.redrawn(np.random.default_rng(0))
    for name in ("w1", "b1", "b2", "w3", "b3", "w4", "b4"):
        np.testing.assert_array_equal(getattr(redrawn, name), getattr(fitted.network, name))
    assert np.abs(redrawn.w2).max() <= np.sqrt(6 / 14)
    assert abs(np.corrcoef(redrawn.w2.ravel(), fitted.network.w2.ravel())[0, 1]) < 0.5
    assert redrawn.w2.dtype == fitted.network.w2.dtype


def test_the_untrained_network_is_where_training_started(cells, fitted):
    test = split_cells(N_CELLS, CONFIG)
    start = train(cells, test, Config(n_latent=5, n_hidden=9, max_epochs=1, snapshot_epochs=(0,))).snapshots[0]
    np.testing.assert_array_equal(untrained_network(cells, CONFIG).w1, start.w1)
    np.testing.assert_array_equal(untrained_network(cells, CONFIG).w2, start.w2)


def test_rank_correlation_is_scipys():
    one, other = np.random.default_rng(0).normal(size=(2, 30, 4))
    one[:, 1] = np.round(one[:, 1])  # ties
    expected = [stats.spearmanr(one[:, at], other[:, at]).statistic for at in range(4)]
    np.testing.assert_allclose(rank_correlation(one, other), expected, rtol=1e-10)
    np.testing.assert_allclose(np.diagonal(correlation(one, other)), column_correlation(one, other), rtol=1e-10)
    one[:, 2] = 7.1
    assert rank_correlation(one, other)[2] == 0
    assert (correlation(one, other)[2] == 0).all()


def test_units_are_matched_whatever_their_order_and_direction():
    activity = np.random.default_rng(0).normal(size=(50, 6))
    order = np.array([3, 0, 5, 1, 4, 2])
    other = np.empty_like(activity)
    other[:, order] = activity * [1, -1, 1, 1, -2, 3] + 4
    partner, r = match_units(activity, other)
    np.testing.assert_array_equal(partner, order)
    np.testing.assert_allclose(r, [1, -1, 1, 1, -1, 1])


def test_the_same_network_agrees_fully(cells, fitted):
    asked = question(2)
    own = explain(fitted.network, cells, asked)
    for same_units in (True, False):
        found = compare(own, own, same_units=same_units, signed=True)
        np.testing.assert_array_equal(found.partner, np.arange(5))
        for name in ("units", "activity", "effect", "strength"):
            np.testing.assert_allclose(getattr(found, name), 1, atol=1e-6, err_msg=name)
        assert found.effect.shape == (3,)


def test_a_unit_that_runs_the_other_way_says_the_same(cells, fitted):
    """Its signed saliency is turned; one without a sign is not. Units may stand in any order."""
    own = explain(fitted.network, cells, question(0))
    order = np.array([2, 0, 4, 1, 3])
    turned = type(own)(-own.activity[:, order] + 3, -own.saliency[:, order], own.impact)
    found = compare(own, turned, same_units=False, signed=True)
    np.testing.assert_array_equal(order[found.partner], np.arange(5))
    np.testing.assert_allclose(found.activity, -1, atol=1e-6)
    np.testing.assert_allclose(found.units, 1, atol=1e-6)
    np.testing.assert_allclose(compare(own, turned, same_units=False, signed=False).units, -1, atol=1e-6)


def test_impact_is_group_minus_reference_and_strength_ignores_the_sign(cells, fitted):
    own = explain(fitted.network, cells, question(2))
    np.testing.assert_allclose(own.impact[1], -own.impact[2], atol=1e-6)  # two groups, each the other's reference
    np.testing.assert_allclose(own.effect()[0], own.impact[0].sum(axis=1))
    np.testing.assert_allclose(own.strength()[1] ** 2, (own.impact[2] ** 2).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(
        own.impact[0], [own.saliency[genes].mean(axis=0) for genes in question().sets], rtol=1e-4, atol=1e-7
    )


def test_controls_come_in_order_and_skip_the_models_own_seed(cells, fitted):
    given = {"n_seeds": 2, "max_epochs": 3, "device": "cpu", "on_epoch": lambda *_: None}
    controls = list(draw_controls(fitted, cells, seed=0, **given))
    assert [control.kind for control in controls] == [
        "other seeds",
        "other seeds",
        "shuffled counts",
        "untrained, same start",
        *["untrained, other start"] * 2,
        *["last layer redrawn"] * 2,
        "expression alone",
    ]
    assert [control.name for control in controls][:2] == ["seed 1", "seed 2"]
    assert len({control.name for control in controls}) == 9
    assert controls.pop().network is None
    networks = [control.network.w2 for control in controls]
    assert all(np.abs(a - b).max() > 1e-3 for i, a in enumerate(networks) for b in networks[:i])
    for again, control in zip(draw_controls(fitted, cells, seed=0, **given), controls, strict=False):
        np.testing.assert_array_equal(again.network.w1, control.network.w1)


def test_the_same_seed_would_train_the_same_network(cells, fitted):
    """What "other seeds" does, with the model's own: agreement is 1."""
    run = train(cells, fitted.test_cells, CONFIG)
    own, twin = (explain(network, cells, question(1)) for network in (fitted.network, run.network))
    found = compare(own, twin, same_units=False, signed=True)
    np.testing.assert_allclose(found.units, 1, atol=1e-4)


def test_expression_alone_is_the_mean_input(cells, fitted):
    asked = question(1)
    own = explain(fitted.network, cells, asked)
    inputs, group = cells.inputs().astype(float), asked.members[0]
    means = np.stack([inputs.mean(axis=0), inputs[group].mean(axis=0) - inputs[~group].mean(axis=0)])
    by_set = np.array([means[:, genes].mean(axis=1) for genes in asked.sets]).T
    found = compare_with_expression(own, cells, asked)
    for at in (0, 1):
        np.testing.assert_allclose(found.effect[at], stats.spearmanr(own.effect()[at], by_set[at]).statistic, atol=1e-6)
        expected = stats.spearmanr(own.strength()[at], np.abs(by_set[at])).statistic
        np.testing.assert_allclose(found.strength[at], expected, atol=1e-6)
    expected = [stats.spearmanr(own.saliency[:, unit], means[0]).statistic for unit in range(5)]
    np.testing.assert_allclose(found.units, expected, atol=1e-6)


def test_units_of_a_redrawn_last_layer_agree_with_none():
    """With hidden neurons that have nothing in common, the genes of a unit are those of its last weights."""
    rng = np.random.default_rng(3)
    n_genes, hidden, units = 400, 200, 12
    from modulae.core.model.orthogonal import OrthogonalNetwork

    network = OrthogonalNetwork(
        rng.normal(size=(hidden, n_genes)).astype(np.float32) * 0.02,
        np.zeros(hidden, np.float32),
        (rng.normal(size=(units, hidden)) / 10).astype(np.float32),
        np.zeros(units, np.float32),
        *(np.zeros(1, np.float32),) * 4,
    )
    some = Cells(sparse.csr_matrix(rng.poisson(1, size=(60, n_genes)).astype(np.float32)), None)
    asked = ExplanationSpec(
        [np.arange(9)], np.zeros((0, 60), bool), np.zeros((0, 60), bool), "gradient", True, "mean", 64, "cpu"
    )
    own, other = (explain(n, some, asked) for n in (network, network.redrawn(rng)))
    found = compare(own, other, same_units=True, signed=True)
    assert np.abs(found.units).mean() < 0.15
