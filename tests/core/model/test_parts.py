"""The parts-based network: encoding, decoding and gradients by hand; the settings that it has."""

import captum.attr
import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config, config_for
from modulae.core.model.fitted import read_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.scores.set_values import set_indicator, set_values

N_CELLS, N_GENES, N_UNITS = 9, 7, 4


@pytest.fixture
def network():
    """In float64, with a unit that is clamped in every cell."""
    rng = np.random.default_rng(0)
    bias = np.array([0.1, -0.2, 0.0, -9.0])
    encoder, loadings = rng.normal(size=(N_UNITS, N_GENES)), rng.gamma(1.0, size=(N_UNITS, N_GENES))
    return PartsNetwork(encoder, bias, loadings, rng.gamma(1.0, size=N_GENES))


@pytest.fixture
def cells():
    counts = np.random.default_rng(4).poisson(1.5, size=(N_CELLS, N_GENES)).astype(np.float32)
    return Cells(sparse.csr_matrix(counts), np.random.default_rng(5).uniform(0.5, 2, N_CELLS).astype(np.float32))


def test_encodes_and_decodes_as_written(network, cells):
    inputs = cells.inputs().astype(float)
    linear = np.maximum(inputs @ network.encoder.T + network.bias, -2.5)
    by_hand = np.log1p(np.exp(10 * linear)) / 10 + 1e-4
    units = network.encode(inputs)
    np.testing.assert_allclose(units, by_hand, rtol=1e-10)  # above 2 it is the identity, as in torch
    np.testing.assert_allclose(units[:, 3], 1e-4, rtol=1e-6)
    np.testing.assert_allclose(network.decode(units), np.exp(units @ network.loadings + network.baseline) - 0.9999)
    np.testing.assert_array_equal(network.gene_loadings(units), network.loadings.T)


def test_some_genes_are_decoded_as_before_with_their_share_of_the_baseline(network):
    kept = np.array([True, False, True, True, False, False, True])
    some = network.restricted(kept, network.encoder[:, kept], np.full(N_UNITS, 0.5))
    units = np.random.default_rng(1).random((5, N_UNITS))
    np.testing.assert_allclose(some.decode(units), network.decode(units)[:, kept])
    np.testing.assert_allclose(some.bias, network.bias + 0.5)
    assert np.abs(network.decode(units)[:, kept] - np.expm1(units @ network.loadings)[:, kept]).min() > 0.01


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
        network = PartsNetwork(np.ones((1, 1)), np.array([bias]), np.ones((1, 1)), np.ones(1))
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
    silent = PartsNetwork(np.zeros((2, 3)), np.zeros(2), np.ones((2, 3)), np.ones(3))
    np.testing.assert_allclose(silent.orthogonality_gap, np.sqrt(2))


def test_survives_a_dictionary(network):
    again = read_network(network.as_dict())
    assert isinstance(again, PartsNetwork)
    np.testing.assert_array_equal(again.loadings, network.loadings)
    np.testing.assert_array_equal(again.baseline, network.baseline)
    with pytest.raises(ValueError, match=r"lacks \['baseline'\].*Train again"):
        read_network({name: array for name, array in network.as_dict().items() if name != "baseline"})
    with pytest.raises(ValueError, match=r"architecture 'deep'.*train again"):
        read_network({**network.as_dict(), "architecture": "deep"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size_factors": None}, "needs size factors. Leave out size_factors=None, or take architecture='orthogonal'"),
    ],
)
def test_settings_that_are_not_for_parts(settings, message):
    with pytest.raises(ValueError, match=message):
        Config(architecture="parts", **settings)


@pytest.mark.parametrize(
    ("n_cells", "size", "epochs"),
    [(10, 16, 300), (156, 16, 34), (296, 32, 34), (800, 80, 34), (2638, 128, 16), (100_000, 128, 2)],
)
def test_few_cells_get_enough_steps_and_many_no_more_than_they_need(n_cells, size, epochs):
    config = config_for("parts", schedule="cosine", size_factors="total").for_cells(n_cells)
    assert (config.batch_size, config.max_epochs) == (size, epochs)
    assert config.for_cells(7) is config
    given = config_for("parts", schedule="cosine", size_factors="total", batch_size=7, max_epochs=3)
    assert given.for_cells(n_cells) is given
    half = config_for("parts", schedule="cosine", size_factors="total", batch_size=50).for_cells(n_cells)
    assert half.batch_size == 50
    assert half.max_epochs * -(-(n_cells - round(n_cells / 10)) // 50) >= 300


@pytest.mark.parametrize("name", ["batch_size", "max_epochs"])
def test_what_is_given_has_to_be_a_number_of_cells_or_epochs(name):
    with pytest.raises(ValueError, match=f"{name} is 0"):
        config_for("parts", schedule="cosine", size_factors="total", **{name: 0})
    with pytest.raises(ValueError, match=f"{name} is 0"):
        Config(**{name: 0})
