"""The parts-based network: encoding, decoding and gradients by hand; where it starts and how it is trained."""

import captum.attr
import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import denoise, encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model import starts
from modulae.core.model.config import Config
from modulae.core.model.fitted import read_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.model.starts import RIDGE_SHARE, factorise, initial_parts, ridge, sparsity
from modulae.core.plain_torch import flush_denormal
from modulae.core.scores.set_values import set_indicator, set_values
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES, N_UNITS = 9, 7, 4
SETTINGS = {"architecture": "parts", "n_latent": 4, "batch_size": 32, "learning_rate": 1e-3, "max_epochs": 6}
CONFIG = Config(**SETTINGS)


@pytest.fixture
def network():
    """In float64, with a unit that is clamped in every cell."""
    rng = np.random.default_rng(0)
    bias = np.array([0.1, -0.2, 0.0, -9.0])
    return PartsNetwork(rng.normal(size=(N_UNITS, N_GENES)), bias, rng.gamma(1.0, size=(N_UNITS, N_GENES)))


@pytest.fixture
def cells():
    counts = np.random.default_rng(4).poisson(1.5, size=(N_CELLS, N_GENES)).astype(np.float32)
    return Cells(sparse.csr_matrix(counts), np.random.default_rng(5).uniform(0.5, 2, N_CELLS).astype(np.float32))


@pytest.fixture(scope="module")
def mixed():
    """Four parts of ten genes each, in cells of tenfold depth; activities and their counts."""
    rng = np.random.default_rng(0)
    activity = rng.gamma(1.0, size=(300, 4)) * (rng.random((300, 4)) < 0.4)
    depth = rng.uniform(0.4, 4, size=(300, 1))
    rates = depth * (0.05 + activity @ np.kron(np.eye(4), np.ones(10)) * 2)
    counts = rng.poisson(rates).astype(np.float32)
    return activity, Cells(sparse.csr_matrix(counts), depth[:, 0].astype(np.float32))


def test_encodes_and_decodes_as_written(network, cells):
    inputs = cells.inputs().astype(float)
    linear = np.maximum(inputs @ network.encoder.T + network.bias, -2.5)
    by_hand = np.log1p(np.exp(10 * linear)) / 10 + 1e-4
    units = network.encode(inputs)
    np.testing.assert_allclose(units, by_hand, rtol=1e-10)  # above 2 it is the identity, as in torch
    np.testing.assert_allclose(units[:, 3], 1e-4, rtol=1e-6)
    np.testing.assert_allclose(network.decode(units), np.exp(units @ network.loadings) - 1 + 1e-4, rtol=1e-12)
    np.testing.assert_array_equal(network.gene_loadings, network.loadings.T)


def test_numpy_and_torch_agree(network, cells):
    tensors = network.to_torch("cpu")
    units = network.encode(cells.inputs().astype(float))
    np.testing.assert_allclose(tensors.encode(torch.from_numpy(cells.inputs()).double()), units, rtol=1e-12)
    np.testing.assert_allclose(tensors.decode(torch.from_numpy(units)), network.decode(units), rtol=1e-12)
    assert tensors.on("cpu").encoder.dtype == np.float64
    single = PartsNetwork(*(getattr(network, name).astype(np.float32) for name in network.weights))
    assert single.encode(cells.inputs()).dtype == single.decode(units.astype(np.float32)).dtype == np.float32


def reference(network, inputs, method):
    """Cells × genes × units by autograd and Captum."""

    def encoder(x):
        linear = x @ torch.from_numpy(network.encoder).T + torch.from_numpy(network.bias)
        return torch.nn.functional.softplus(linear.clamp_min(-2.5), beta=10)

    x = torch.from_numpy(inputs.astype(np.float64))
    explain = {
        "gradient": lambda k: torch.autograd.grad(encoder(x.requires_grad_())[:, k].sum(), x)[0],
        "guided": lambda k: torch.autograd.grad(encoder(x.requires_grad_())[:, k].sum(), x)[0],
        "input_x_gradient": lambda k: captum.attr.InputXGradient(encoder).attribute(x.requires_grad_(), target=k),
        "integrated_gradients": lambda k: captum.attr.IntegratedGradients(encoder).attribute(
            x, target=k, n_steps=500, method="gausslegendre"
        ),
    }[method]
    return np.stack([explain(k).detach().numpy() for k in range(N_UNITS)], axis=-1)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "absolute"])
@pytest.mark.parametrize("method", ["gradient", "guided", "input_x_gradient", "integrated_gradients"])
def test_saliency_is_what_autograd_says(network, cells, method, signed):
    per_cell = reference(network, cells.inputs(), method)
    expected = (per_cell if signed else np.abs(per_cell)).mean(axis=0)
    # the path of integrated gradients bends within a hundredth of its length, which 32 points see coarsely
    tolerance = 3e-2 if method == "integrated_gradients" else 1e-6
    found = mean_saliency(network, cells, method=method, signed=signed, batch_size=2)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    assert np.abs(expected[:, :3]).max() > 0.3
    np.testing.assert_array_equal(found[:, 3], 0)  # clamped


def test_a_clamped_unit_has_no_slope_at_all():
    for bias, silent in ((-2.4, False), (-2.6, True)):
        network = PartsNetwork(np.ones((1, 1)), np.array([bias]), np.ones((1, 1)))
        assert (network.accumulate_slopes(np.zeros((1, 1)), np.ones((1, 1))) == 0) == silent


def test_set_values_are_means_over_the_genes_of_a_set(network, cells):
    per_cell = reference(network, cells.inputs(), "gradient")
    sets = [np.array([0, 2, 5]), np.array([1])]
    (rows, values), *_ = set_values(network, cells, set_indicator(sets, N_GENES))
    assert rows == slice(0, N_CELLS)
    for at, genes in enumerate(sets):
        np.testing.assert_allclose(values[:, at, :-1], per_cell[:, genes].mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(values[:, :, -1], values[:, :, :-1].sum(axis=2), atol=1e-6)


def test_orthogonality_is_that_of_the_encoders_directions(network):
    rows = network.encoder / np.linalg.norm(network.encoder, axis=1, keepdims=True)
    np.testing.assert_allclose(network.orthogonality_gap, np.sqrt(((np.eye(N_UNITS) - rows @ rows.T) ** 2).sum()))
    silent = PartsNetwork(np.zeros((2, 3)), np.zeros(2), np.ones((2, 3)))
    np.testing.assert_allclose(silent.orthogonality_gap, np.sqrt(2))


def test_survives_a_dictionary(network):
    again = read_network(network.as_dict())
    assert isinstance(again, PartsNetwork)
    np.testing.assert_array_equal(again.loadings, network.loadings)
    with pytest.raises(ValueError, match=r"lacks \['bias'\].*Train again"):
        read_network({name: array for name, array in network.as_dict().items() if name != "bias"})
    with pytest.raises(ValueError, match=r"architecture 'deep'.*train again"):
        read_network({**network.as_dict(), "architecture": "deep"})


def test_factors_have_mean_square_one_and_the_same_product(mixed):
    inputs = mixed[1].sparse_inputs()
    activity, loadings = factorise(inputs, 4, seed=0)
    np.testing.assert_allclose((activity**2).mean(axis=0), 1, rtol=1e-5)
    assert (activity >= 0).all()
    assert (loadings >= 0).all()
    error = np.linalg.norm(inputs.toarray() - activity @ loadings) / np.linalg.norm(inputs.toarray())
    assert error < 0.6


def test_more_parts_than_there_are_leave_some_silent_for_good(monkeypatch):
    """Two kinds of cells, six units: a unit that nothing is left for has neither loadings nor saliency."""
    monkeypatch.setattr(starts, "SPARSE", 0.05)  # so few genes have little that a part could be left for
    rng = np.random.default_rng(0)
    rates = np.kron(np.eye(2), np.ones((60, 8))) * 3 + 0.01
    counts = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    both = Cells(counts, np.ones(120, dtype=np.float32))
    activity, loadings = factorise(both.sparse_inputs(), 6, seed=0)
    used = activity.any(axis=0)
    assert 2 <= used.sum() < 6
    np.testing.assert_array_equal(loadings.any(axis=1), used)
    np.testing.assert_allclose((activity**2).mean(axis=0), used, rtol=1e-5)
    config = Config(**{**SETTINGS, "n_latent": 6, "seed": 0})
    run = train(both, split_cells(120, config), config)
    silent = ~run.network.loadings.any(axis=1)
    assert silent.any()
    np.testing.assert_allclose(encode(run.network, both)[:, silent], 1e-4, rtol=1e-5)
    np.testing.assert_array_equal(mean_saliency(run.network, both)[0][:, silent], 0)
    assert np.isfinite(run.network.encoder).all()


@pytest.mark.parametrize("shape", [(12, 30), (30, 12)], ids=["fewer cells", "fewer genes"])
@pytest.mark.parametrize("direct", [True, False])
def test_ridge_is_the_textbooks(shape, direct, monkeypatch):
    if not direct:
        monkeypatch.setattr("modulae.core.model.starts.DIRECT_UP_TO", 0)  # as large data are solved
    rng = np.random.default_rng(0)
    inputs = sparse.random_array(shape, density=0.4, rng=rng, dtype=np.float32).tocsr()
    targets = rng.random((shape[0], 3))
    dense = inputs.toarray().astype(float)
    penalty = RIDGE_SHARE * (dense**2).sum()
    expected = np.linalg.solve(dense.T @ dense + penalty * np.eye(shape[1]), dense.T @ targets)
    np.testing.assert_allclose(ridge(sparse.csr_matrix(inputs), targets), expected, rtol=1e-4, atol=1e-5)


def test_learns_the_parts_and_their_depth(mixed):
    activity, cells = mixed
    run = train(cells, split_cells(300, CONFIG), CONFIG)
    r = np.abs(np.corrcoef(encode(run.network, cells).T, activity.T)[:4, 4:])
    assert (r.max(axis=0) > 0.85).all()
    assert len(set(r.argmax(axis=0))) == 4
    doubled = Cells(cells.counts * np.float32(2), cells.size_factors * np.float32(2))
    np.testing.assert_allclose(denoise(run.network, doubled), 2 * denoise(run.network, cells), rtol=1e-4)


def test_training_lowers_the_loss_and_keeps_loadings_non_negative_and_their_length(mixed):
    config = Config(**{**SETTINGS, "snapshot_epochs": (0, 3)})
    run = train(mixed[1], split_cells(300, config), config)
    history = run.history
    assert history.test_loss[0] > history.test_loss.min()
    assert history.best_epoch == history.epoch[history.test_loss.argmin()]
    start = run.snapshots[0].loadings
    for network in (run.snapshots[3], run.network):
        assert (network.loadings >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(network.loadings, axis=1), np.linalg.norm(start, axis=1), rtol=1e-5)
        assert np.abs(network.loadings - start).max() > 1e-3
    np.testing.assert_allclose(history.orthogonality[-1], run.network.orthogonality_gap, rtol=1e-5)


def test_the_first_steps_are_adams_warmed_up(mixed):
    """Adam's first step has the length of the learning rate in every weight: here a thirtieth of it."""
    cells = mixed[1]
    config = Config(**{**SETTINGS, "batch_size": 300, "max_epochs": 1, "snapshot_epochs": (0, 1)})
    run = train(cells, split_cells(300, config), config)
    step = run.snapshots[1].encoder - run.snapshots[0].encoder
    learn = cells.take(np.flatnonzero(~split_cells(300, config)))
    start = run.snapshots[0].to_torch("cpu", trained=True)
    rates = torch.from_numpy(learn.scale()) * start.decode(start.encode(torch.from_numpy(learn.inputs())))
    (rates - torch.from_numpy(learn.dense()) * (rates + 1e-8).log()).mean().backward()
    gradient = start.encoder.grad.numpy()
    clear = np.abs(gradient) > 1e-5  # of a gradient near 0, rounding may choose the sign
    assert clear.mean() > 0.9
    np.testing.assert_allclose(step[clear], -np.sign(gradient)[clear] * 1e-3 / 30, rtol=1e-2)


def test_same_seed_same_numbers_bit_by_bit_and_another_seed_others(mixed):
    cells = mixed[1]
    first, again = (train(cells, split_cells(300, CONFIG), CONFIG).network for _ in range(2))
    for name in first.weights:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    config = Config(**SETTINGS, seed=1)
    other = train(cells, split_cells(300, config), config).network
    assert np.abs(first.encoder - other.encoder).max() > 0.01


def test_ctrl_c_keeps_the_best_so_far(mixed):
    def stop(epoch, _loss):
        if epoch == 2:
            raise KeyboardInterrupt

    run = train(mixed[1], split_cells(300, CONFIG), CONFIG, on_epoch=stop)
    assert run.history.stopped == "interrupted"
    assert run.history.best_epoch <= 2


def test_denormal_numbers_are_flushed_only_while_training(mixed):
    def denormal():
        return bool(torch.tensor([1e-38]).div(8).item() > 0)

    assert denormal()
    with flush_denormal(on=True):
        assert not denormal()
    assert denormal()
    engine = PartsEngine(initial_parts(CONFIG, mixed[1]), mixed[1], CONFIG, 1.0, "cpu")
    engine.epoch(np.arange(300), 1e-3)
    assert denormal()


def test_a_diverging_loss_names_the_learning_rate_to_try(mixed):
    config = Config(**{**SETTINGS, "learning_rate": 1e4})
    with pytest.raises(FloatingPointError, match=r"stopped being finite in epoch 1.*learning_rate=2000"):
        train(mixed[1], split_cells(300, config), config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_factors": None}, "needs size factors. Leave out size_factors=None, or take architecture='orthogonal'"),
        ({"engine": "numba"}, "engine='numba' trains architecture='orthogonal' only. Take engine='auto'"),
    ],
)
def test_settings_that_are_not_for_parts(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(**SETTINGS, **settings)


def test_more_parts_than_cells_or_genes_are_refused(mixed):
    config = Config(**{**SETTINGS, "n_latent": 41})
    with pytest.raises(ValueError, match=r"n_latent is 41; with 270 .* 40 genes .* Give n_latent=40 or less"):
        train(mixed[1], split_cells(300, config), config)


def test_the_sparsity_penalty_weighs_the_same_whatever_the_unit_of_the_input(mixed):
    """‖κE − √κW·√κH‖² is κ² times as large, so the penalty on √κW, which is √κ times as large, needs κ^1.5."""
    inputs = mixed[1].sparse_inputs()
    np.testing.assert_allclose(sparsity(inputs * np.float32(9)), 27 * sparsity(inputs), rtol=1e-5)
    kept = [np.mean(factorise(inputs * np.float32(unit), 8, seed=0)[0] > 1e-6) for unit in (1, 9)]
    assert kept[0] < 0.7  # few parts a cell
    np.testing.assert_allclose(*kept, atol=0.05)
