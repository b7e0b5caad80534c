"""Where parts start: what is found or given, how it is read, and what decodes it."""

import numpy as np
import pytest
from scipy import optimize, sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.batch_factors import BatchEffects
from modulae.core.model.config import Config
from modulae.core.model.ridge import RIDGE_SHARE
from modulae.core.model.starts import decoder_for, find_activity, initial_parts, quiet
from modulae.core.training.train import split_cells, train


def settings(n_latent=4, **more):
    return Config(
        **{"architecture": "parts", "n_latent": n_latent, "learning_rate": 0.03, "orthogonality": 0.0, **more}
    )


@pytest.mark.parametrize("given", [False, True])
def test_activities_have_mean_square_one_and_are_those_of_the_parts(mixed, given):
    truth, cells = mixed
    loadings = np.kron(np.eye(4), np.ones(10)) * np.array([[1], [2], [3], [4]]) if given else None
    activity = find_activity(cells.sparse_inputs(), 4, 0, loadings)
    np.testing.assert_allclose((activity**2).mean(axis=0), 1, rtol=1e-5)
    r = np.corrcoef(activity.T, truth.T)[:4, 4:]
    assert (r.max(axis=0) > 0.85).all()
    if given:  # in the order that they are given in
        np.testing.assert_array_equal(r.argmax(axis=0), np.arange(4))


def test_the_decoder_is_non_negative_least_squares_gene_by_gene(mixed):
    inputs = mixed[1].sparse_inputs()
    activity = np.random.default_rng(1).gamma(0.5, size=(300, 3)).astype(np.float32)
    loadings, baseline = decoder_for(inputs, activity)
    with_one = np.column_stack([activity, np.ones(300)]).astype(float)
    for gene in (0, 7, 21, 39):
        expected, _ = optimize.nnls(with_one, inputs[:, [gene]].toarray()[:, 0].astype(float))
        np.testing.assert_allclose([*loadings[:, gene], baseline[gene]], expected, atol=1e-4)


def test_the_encoder_is_the_ridge_regression_and_the_decoder_knows_what_it_reads(mixed):
    cells = mixed[1]
    start = initial_parts(settings(), cells)
    dense = cells.inputs().astype(float)
    activity = find_activity(cells.sparse_inputs(), 4, 0)
    square = dense.T @ dense
    expected = np.linalg.solve(square + RIDGE_SHARE * np.trace(square) * np.eye(40), dense.T @ activity)
    np.testing.assert_allclose(start.encoder, expected.T, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(start.bias, 0)
    loadings, baseline = decoder_for(cells.sparse_inputs(), start.encode(cells.inputs()))
    np.testing.assert_allclose(start.loadings, loadings, atol=1e-4)
    np.testing.assert_allclose(start.baseline, baseline, atol=1e-4)


def test_what_all_cells_share_is_in_the_baseline(mixed):
    """Twenty genes that every cell has alike: no unit has to make them."""
    same = np.random.default_rng(2).poisson(3 * mixed[1].scale() * np.ones((1, 20))).astype(np.float32)
    cells = Cells(sparse.csr_matrix(sparse.hstack([mixed[1].counts, same]), dtype=np.float32), mixed[1].size_factors)
    network = initial_parts(settings(), cells, np.kron(np.eye(4), np.r_[np.ones(10)]) @ np.eye(40, 60))
    level = np.log1p(3)
    assert (network.baseline[40:] > 0.6 * level).all()
    assert (network.baseline[:40] < 0.4 * level).all()


def test_more_parts_than_there_are_leave_some_silent_for_good():
    """Inputs that are two parts exactly, and four units: two are left with nothing."""
    kinds = np.repeat(np.eye(2), 60, axis=0)
    both = Cells(
        sparse.csr_matrix((kinds @ np.kron(np.eye(2), np.ones((1, 8))) * 3).astype(np.float32)),
        np.ones(120, np.float32),
    )
    start = initial_parts(settings(), both, np.vstack([np.kron(np.eye(2), np.ones((1, 8))), np.zeros((2, 16))]))
    np.testing.assert_array_equal(start.loadings.any(axis=1), [True, True, False, False])
    config = settings(max_epochs=4, batch_size=32)
    run = train(
        both,
        split_cells(120, config),
        config,
        loadings=np.vstack([np.kron(np.eye(2), np.ones((1, 8))), np.zeros((2, 16))]),
    )
    np.testing.assert_allclose(encode(run.network, both)[:, 2:], 1e-4, rtol=1e-5)
    np.testing.assert_array_equal(mean_saliency(run.network, both)[0][:, 2:], 0)
    assert not run.held.any()
    assert np.isfinite(run.network.encoder).all()


def test_parts_do_not_tell_batches_apart(mixed):
    """Half of the cells count half of the genes four times as often; loadings are those of cells without batches."""
    cells = mixed[1]
    batch = np.arange(300) % 2
    four = np.where(batch[:, None] * (np.arange(40) % 2), 4, 1)
    with_batches = Cells(sparse.csr_matrix(cells.dense() * four, dtype=np.float32), cells.size_factors, batch)
    factors = BatchEffects.of(with_batches, 2).start()
    one, other = initial_parts(settings(), cells), initial_parts(settings(), with_batches, None, factors)
    r = np.corrcoef(one.encode(cells.inputs()).T, other.encode(with_batches.inputs()).T)[:4, 4:]
    assert (np.abs(r).max(axis=0) > 0.85).all()
    told = [
        np.abs(np.corrcoef(network.encode(with_batches.inputs()).T, batch)[-1, :-1]).max()
        for network in (other, initial_parts(settings(), with_batches))
    ]
    assert told[0] < 0.4 * told[1], told


def test_more_parts_than_cells_or_genes_are_refused(mixed):
    config = settings(41)
    with pytest.raises(ValueError, match=r"n_latent is 41; with 270 .* 40 genes .* Give n_latent=40 or less"):
        train(mixed[1], split_cells(300, config), config)


def test_a_given_unit_of_few_cells_starts_with_a_noise_floor_and_stays_as_it_is():
    rng = np.random.default_rng(0)
    given = np.kron(np.eye(2), np.ones(30))
    runs = np.stack([np.arange(600) < 12, rng.random(600) < 0.5], axis=1)
    cells = Cells(sparse.csr_matrix(rng.poisson(0.5 + 2.5 * runs @ given), dtype=np.float32), np.ones(600, np.float32))
    start = initial_parts(settings(n_latent=2), cells, given)
    sums = cells.inputs() @ start.encoder.T
    assert sums[~runs[:, 0], 0].mean() < -start.bias[0] < sums[runs[:, 0], 0].min()
    assert start.bias[1] == 0
    np.testing.assert_array_equal(quiet(start), [True, False])
    assert (start.encode(cells.inputs())[~runs[:, 0], 0] < 0.1).mean() > 0.7
    test = split_cells(600, settings(n_latent=2))
    run = train(cells, test, settings(n_latent=2, max_epochs=6, batch_size=32), loadings=given)
    np.testing.assert_array_equal(run.held, [True, False])
    again = initial_parts(settings(n_latent=2), cells.take(np.flatnonzero(~test)), given)
    np.testing.assert_allclose(run.network.encoder[0], again.encoder[0], rtol=1e-5, atol=1e-6)
