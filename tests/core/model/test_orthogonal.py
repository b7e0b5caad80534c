"""Forward pass and activation, NumPy against torch; where the network starts."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from modulae.core.array_backend import inverse_softplus, pick_device, softplus, softplus_slope
from modulae.core.model.config import SMALL_BIAS, Config
from modulae.core.model.orthogonal import OrthogonalNetwork, initial_network

POINTS = np.array([-400.0, -30, -1, 0, 1e-3, 3, 19.9, 20.1, 400])


@pytest.mark.parametrize("beta", [1.0, 64.0])
def test_softplus_and_its_slope_are_torchs(beta):
    x = torch.tensor(POINTS, requires_grad=True)
    y = functional.softplus(x, beta=beta)
    y.sum().backward()
    np.testing.assert_allclose(softplus(POINTS, beta), y.detach(), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(softplus_slope(POINTS, beta), x.grad, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(softplus_slope(x.detach(), beta), x.grad, rtol=1e-12, atol=1e-300)


def test_inverse_softplus_undoes_softplus():
    rates = np.array([1e-5, 0.01, 1.0, 30.0])
    np.testing.assert_allclose(softplus(inverse_softplus(rates, 1.0), 1.0), rates, rtol=1e-9)


def test_numpy_and_torch_agree():
    network = initial_network(Config(n_latent=5, n_hidden=7), np.ones(11), np.random.default_rng(0))
    inputs = np.random.default_rng(1).normal(size=(4, 11)).astype(np.float32)
    tensors = network.to_torch("cpu")
    units = network.encode(inputs)
    np.testing.assert_allclose(units, tensors.encode(torch.from_numpy(inputs)), rtol=1e-5)
    np.testing.assert_allclose(network.decode(units), tensors.decode(torch.from_numpy(units)), rtol=1e-5)
    assert units.dtype == np.float32


def test_loadings_are_slopes_of_the_decoder():
    """Against autograd: the mean over the cells of d log1p(rate) / d unit, times the spread of the unit."""
    config = Config(n_latent=3, n_hidden=7, activation_beta=2.0)
    network = initial_network(config, np.ones(11), np.random.default_rng(0))
    units = np.random.default_rng(1).gamma(1.0, size=(6, 3))
    tensors = network.to_torch("cpu", dtype=torch.float64)
    slopes = [torch.autograd.functional.jacobian(lambda z: tensors.decode(z).log1p(), z) for z in torch.tensor(units)]
    expected = torch.stack(slopes).mean(dim=0).numpy() * units.std(axis=0)
    np.testing.assert_allclose(network.gene_loadings(units), expected, rtol=1e-4)
    many = np.concatenate([units] * 400)  # of these some stand for all, and they come in blocks
    np.testing.assert_allclose(network.gene_loadings(many), expected, rtol=0.1, atol=0.02 * np.abs(expected).max())


def test_starts_at_the_gene_means_with_xavier_weights():
    rates = np.array([0.01, 1.0, 5.0])
    config = Config(n_latent=40, n_hidden=60, output_bias="gene_means")
    network = initial_network(config, rates, np.random.default_rng(0))
    np.testing.assert_allclose(softplus(network.b4.astype(float), 1.0), rates, rtol=1e-4)
    bound = np.sqrt(6 / (40 + 60))
    assert 0.95 * bound < np.abs(network.w2).max() <= bound
    np.testing.assert_allclose(network.w2.std(), np.sqrt(2 / 100), rtol=0.05)
    np.testing.assert_array_equal(network.b1, np.full(60, SMALL_BIAS, dtype=np.float32))


def test_halfway_is_half_of_the_bias_that_gives_the_gene_means():
    rates = np.array([0.01, 1.0, 5.0, 0.0])
    whole, half = (
        initial_network(Config(output_bias=start), rates, np.random.default_rng(0)).b4
        for start in ("gene_means", "halfway")
    )
    np.testing.assert_allclose(half, whole / 2)


def test_the_papers_start_is_a_small_constant_everywhere():
    network = initial_network(Config(output_bias="constant"), np.array([0.01, 5.0]), np.random.default_rng(0))
    np.testing.assert_array_equal(network.b4, np.full(2, SMALL_BIAS, dtype=np.float32))


def test_width_as_beta_is_nearly_a_relu():
    config = Config(n_latent=64, n_hidden=128, activation_beta="width")
    network = initial_network(config, np.ones(9), np.random.default_rng(0))
    assert network.betas == (128, 64, 128, 9)
    inputs = np.random.default_rng(1).normal(size=(4, 9)).astype(np.float32)
    hidden = np.maximum(inputs @ network.w1.T + network.b1, 0)
    np.testing.assert_allclose(network.encode(inputs), np.maximum(hidden @ network.w2.T + network.b2, 0), atol=0.05)


def test_survives_a_dictionary():
    network = initial_network(Config(n_latent=3, n_hidden=4), np.ones(5), np.random.default_rng(0))
    again = OrthogonalNetwork.from_dict(network.as_dict())
    assert again.betas == network.betas
    np.testing.assert_array_equal(again.w4, network.w4)
    with pytest.raises(ValueError, match=r"lacks \['w4'\].*Train again"):
        OrthogonalNetwork.from_dict({k: v for k, v in network.as_dict().items() if k != "w4"})


def test_unknown_device_says_what_to_use():
    with pytest.raises(ValueError, match=r"device 'cuda:99'.*Use device='auto'"):
        pick_device("cuda:99")
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("learning_rate", 0, "learning_rate is 0; give a number above 0"),
        ("learning_rate", float("nan"), "learning_rate is nan; give a number"),
        ("orthogonality", -1, "give 0 \\(no penalty\\) or more"),
        ("momentum", 1, "momentum is 1; give a number from 0"),
        ("test_fraction", 1.0, "test_fraction is 1.0; give the share"),
        ("activation_beta", "wide", "activation_beta is 'wide'; give a number"),
        ("loss_scale", "sum", "loss_scale is 'sum'; choose one of"),
        ("output_bias", "zero", "output_bias is 'zero'; choose one of"),
        ("architecture", "vae", "architecture is 'vae'; choose one of"),
        ("n_latent", 0, "n_latent is 0; give a whole number of at least 1"),
        ("batch_size", 2.5, "batch_size is 2.5; give a whole number"),
        ("snapshot_epochs", (-1,), "every entry of snapshot_epochs is -1"),
    ],
)
def test_settings_that_can_not_be_are_refused_with_what_to_give(setting, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Config(**{setting: value})
