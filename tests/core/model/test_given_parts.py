"""Programmes that are given: put on the scale of the model, and where a model of them starts."""

import numpy as np
import pytest
from scipy import optimize, sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.given_parts import as_loadings, fixed_decoder, given_activity
from modulae.core.model.starts import initial_parts
from modulae.core.training.train import split_cells, train

WEIGHTS = np.array([[2.0, 0.0, 1.0, 0.0], [0.0, 3.0, 1.0, 0.0]])


def small():
    counts = np.array([[2, 0, 4, 1], [0, 3, 2, 1], [6, 1, 0, 2], [1, 1, 1, 1]], dtype=np.float32)
    sizes = np.array([1, 0.5, 2, 1], dtype=np.float32)
    return counts / sizes[:, None], Cells(sparse.csr_matrix(counts), sizes)


@pytest.mark.parametrize("scale", ["weights", "log1p", "z_score", "counts", "tpm", "scaled"])
def test_loadings_by_hand(scale):
    rates, cells = small()
    usual = rates.mean(axis=0)[:3].sum()  # the last gene is in no programme
    expression = WEIGHTS * rates.std(axis=0) if scale == "scaled" else WEIGHTS * 7
    expected = {
        "weights": WEIGHTS,
        "log1p": WEIGHTS,
        "z_score": WEIGHTS * np.log1p(rates).std(axis=0),
    }.get(scale, np.log1p(expression / expression.sum(axis=1, keepdims=True) * usual))
    np.testing.assert_allclose(as_loadings(WEIGHTS, scale, cells, 0), expected, rtol=1e-5)


def test_activities_beside_a_baseline_are_the_least_squares(mixed):
    """The optimum of the joint problem, which another solver finds from its normal equations."""
    inputs = mixed[1].sparse_inputs()[:40]
    loadings = np.kron(np.eye(4), np.ones(10)) * np.linspace(1, 2, 40)
    activity, scaled = given_activity(inputs, loadings)
    np.testing.assert_allclose((activity**2).mean(axis=0), 1, rtol=1e-5)
    exact = inputs.toarray().astype(float)
    baseline = fixed_decoder(inputs, activity, scaled)[1]
    loss = ((exact - activity @ scaled - baseline) ** 2).sum()

    def of(values):
        w, b = values[:160].reshape(40, 4), values[160:]
        rest = w @ scaled + b - exact
        return (rest**2).sum(), 2 * np.concatenate([(rest @ scaled.T).ravel(), rest.sum(axis=0)])

    start = np.concatenate([activity.ravel(), baseline])
    best = optimize.minimize(of, start, jac=True, bounds=[(0, None)] * len(start), method="L-BFGS-B").fun
    without = ((exact - optimize_without(exact, scaled) @ scaled) ** 2).sum()
    assert loss < best + 0.1 * (without - best)


def optimize_without(exact, loadings):
    return np.array([optimize.nnls(loadings.T, cell)[0] for cell in exact])


def settings(**more):
    return Config(architecture="parts", n_latent=4, learning_rate=0.03, orthogonality=0.0, max_epochs=6, **more)


def test_fixed_loadings_stay_through_training_and_refined_ones_do_not(mixed):
    truth, cells = mixed
    given = np.kron(np.eye(4), np.ones(10)) * np.linspace(1, 2, 40)
    for how in ("fixed", "refined"):
        config = settings(loadings=how)
        network = train(cells, split_cells(len(cells), config), config, loadings=given).network
        ratio = network.loadings[given > 0].reshape(4, 10) / given[given > 0].reshape(4, 10)
        assert np.allclose(ratio, ratio[:, :1], rtol=1e-5) == (how == "fixed")
        assert (network.loadings[given == 0] == 0).all() == (how == "fixed")
        r = np.corrcoef(np.asarray(network.encode(cells.inputs())).T, truth.T)[:4, 4:]
        np.testing.assert_array_equal(r.argmax(axis=0), np.arange(4))
        assert (np.diag(r) > 0.85).all()


def test_the_baseline_of_a_fixed_decoder_is_what_the_units_leave(mixed):
    inputs = mixed[1].sparse_inputs()
    activity = np.abs(np.random.default_rng(0).normal(size=(300, 4)))
    loadings = np.kron(np.eye(4), np.ones(10)) * 0.2
    kept, baseline = fixed_decoder(inputs, activity, loadings)
    np.testing.assert_allclose(kept, loadings, rtol=1e-6)
    rest = inputs.toarray() - activity @ loadings
    np.testing.assert_allclose(baseline, np.maximum(rest.mean(axis=0), 0), rtol=1e-4, atol=1e-6)


def test_a_programme_that_is_nowhere_is_silent(mixed):
    cells = mixed[1]
    counts = sparse.hstack([cells.counts, sparse.csr_matrix((300, 2), dtype=np.float32)]).tocsr()
    given = np.zeros((4, 42))
    given[:3, :30] = np.kron(np.eye(3), np.ones(10))
    given[3, 40:] = 5, 10
    network = initial_parts(settings(loadings="fixed"), Cells(counts, cells.size_factors), given)
    np.testing.assert_allclose(network.loadings[3, 40:], [0.5, 1])
    units = np.asarray(network.encode(Cells(counts, cells.size_factors).inputs()))
    assert units[:, 3].max() < 1e-3 < units[:, 0].mean()


def test_settings_say_only_what_was_given():
    assert not {"loadings", "loadings_hash"} & set(settings().as_dict())
    assert Config.from_dict(settings(loadings="fixed", loadings_hash="a").as_dict()).loadings == "fixed"
