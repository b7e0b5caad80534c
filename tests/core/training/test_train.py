"""The training loop on planted structure: what it learns, keeps and refuses."""

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import denoise, encode
from modulae.core.model.config import Config
from modulae.core.training.count_scale import loss_unit, mean_rates
from modulae.core.training.numba.numba_engine import NumbaEngine
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES = 200, 30


@pytest.fixture(scope="module")
def truth():
    """Two kinds of cells with opposite genes, and depths that differ tenfold."""
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=N_CELLS)
    depth = rng.uniform(0.3, 3, size=(N_CELLS, 1))
    return kind, depth * np.where((np.arange(N_GENES) < 15)[None, :] == (kind == 0)[:, None], 4.0, 0.5)


@pytest.fixture(scope="module")
def cells(truth):
    counts = np.random.default_rng(1).poisson(truth[1]).astype(np.float32)
    totals = counts.sum(axis=1)
    return Cells(sparse.csr_matrix(counts), (totals / np.median(totals)).astype(np.float32))


CONFIG = Config(n_latent=6, n_hidden=12, max_epochs=60, batch_size=16)


def test_learns_the_rates_better_than_the_gene_means(cells, truth):
    test = split_cells(N_CELLS, CONFIG)
    run = train(cells, test, CONFIG)
    means = cells.scale() * mean_rates(cells)[None, :]
    error = np.abs(np.log(denoise(run.network, cells) / truth[1]))[test].mean()
    assert error < 0.5 * np.abs(np.log(means / truth[1]))[test].mean()


def test_keeps_the_weights_of_the_lowest_held_out_loss(cells):
    config = Config(n_latent=6, n_hidden=12, max_epochs=40, patience=3, learning_rate=0.3, batch_size=8)
    test = split_cells(N_CELLS, config)
    run = train(cells, test, config)
    history = run.history
    best = int(np.argmin(history.test_loss))
    assert history.best_epoch == history.epoch[best] < history.epoch[-1]
    assert history.stopped == "patience"
    assert history.epoch[-1] - history.best_epoch == 3
    kept = NumbaEngine(run.network, cells, config, 1).loss(cells.take(np.flatnonzero(test)))
    np.testing.assert_allclose(kept, history.test_loss[best], rtol=1e-6)


def test_same_seed_same_numbers_and_another_seed_others(cells):
    test = split_cells(N_CELLS, CONFIG)
    first, again = (train(cells, test, CONFIG).network for _ in range(2))
    other = train(cells, test, Config(n_latent=6, n_hidden=12, max_epochs=60, batch_size=16, seed=1)).network
    np.testing.assert_array_equal(first.w2, again.w2)
    assert np.abs(first.w2 - other.w2).max() > 0.01


def test_one_step_is_nesterovs(cells):
    """The first step of Nesterov's momentum is −lr·(1 + μ)·gradient."""
    config = Config(
        n_latent=3, n_hidden=4, max_epochs=1, batch_size=N_CELLS, learning_rate=0.01, snapshot_epochs=(0, 1)
    )
    test = split_cells(N_CELLS, config)
    run = train(cells, test, config)
    learn = cells.take(np.flatnonzero(~test))
    start = run.snapshots[0].to_torch("cpu", dtype=torch.float64, trained=True)
    x = torch.from_numpy(learn.dense().astype(float))
    y = torch.from_numpy(learn.scale().astype(float)) * start.decode(
        start.encode(torch.from_numpy(learn.inputs().astype(float)))
    )
    gap = torch.eye(3) - start.w2 @ start.w2.T
    ((y - x * (y + 1e-8).log()).mean() / x.mean().sqrt() + 0.05 * gap.norm()).backward()
    expected = start.w2.detach() - 0.01 * 1.9 * start.w2.grad
    np.testing.assert_allclose(run.snapshots[1].w2, expected, rtol=1e-5, atol=1e-7)


def test_the_penalty_makes_rows_orthogonal_unless_it_is_detached(cells):
    test = split_cells(N_CELLS, CONFIG)
    norms = {}
    for name, changed in {
        "with": {},
        "none": {"orthogonality": 0.0},
        "detached": {"orthogonality_gradient": False},
    }.items():
        config = Config(n_latent=6, n_hidden=12, max_epochs=20, batch_size=16, **changed)
        norms[name] = train(cells, test, config).history.orthogonality[-1]
    assert norms["with"] < 0.3 * norms["none"]
    assert norms["detached"] == norms["none"]


def test_ctrl_c_keeps_the_best_so_far(cells):
    def stop(epoch, _loss):
        if epoch == 5:
            raise KeyboardInterrupt

    run = train(cells, split_cells(N_CELLS, CONFIG), CONFIG, on_epoch=stop)
    assert run.history.stopped == "interrupted"
    assert run.history.best_epoch == run.history.epoch[np.argmin(run.history.test_loss)] <= 5


def test_a_diverging_loss_names_the_learning_rate_to_try(cells):
    config = Config(learning_rate=1e30, max_epochs=3, batch_size=16)
    with pytest.raises(FloatingPointError, match=r"stopped being finite in epoch 1.*learning_rate=2e\+29"):
        train(cells, split_cells(N_CELLS, config), config)


def test_split_holds_out_the_share_asked_for():
    assert split_cells(1000, Config(test_fraction=0.05)).sum() == 50
    assert split_cells(3, Config(test_fraction=0.01)).sum() == 1
    assert split_cells(2, Config(test_fraction=0.9)).sum() == 1
    with pytest.raises(ValueError, match="at least 2 cells"):
        split_cells(1, Config())


def test_depth_is_carried_by_the_size_factor_not_by_the_units(cells):
    """Doubling a cell's counts doubles its rates and leaves its units."""
    run = train(cells, split_cells(N_CELLS, CONFIG), CONFIG)
    doubled = Cells(cells.counts * np.float32(2), cells.size_factors * np.float32(2))
    np.testing.assert_allclose(encode(run.network, doubled), encode(run.network, cells), rtol=1e-4)
    np.testing.assert_allclose(denoise(run.network, doubled), 2 * denoise(run.network, cells), rtol=1e-4)


def test_batch_size_of_a_reading_step_changes_nothing(cells):
    run = train(cells, split_cells(N_CELLS, CONFIG), CONFIG)
    np.testing.assert_allclose(
        encode(run.network, cells, batch_size=7), encode(run.network, cells, batch_size=500), rtol=1e-5
    )


@pytest.mark.parametrize(("mean", "unit"), [(0.25, 0.25), (4.0, 2.0)])
def test_loss_is_divided_by_the_mean_count_or_above_one_by_its_root(mean, unit):
    counts = sparse.csr_matrix(np.array([[2 * mean, 0], [mean, mean]], dtype=np.float32))
    assert loss_unit(Cells(counts, None)) == unit
