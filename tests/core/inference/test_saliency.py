"""Closed-form saliencies against autograd and Captum, on small networks in float64."""

import captum.attr
import numpy as np
import pytest
import torch
from scipy import sparse
from threadpoolctl import threadpool_limits

from modulae.core.data.cells import Cells
from modulae.core.inference import saliency
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import WEIGHTS, initial_network

N_CELLS, N_GENES, N_UNITS, N_HIDDEN = 9, 7, 5, 6


@pytest.fixture(params=[1.0, "width"], ids=["beta 1", "beta width"])
def network(request):
    config = Config(n_latent=N_UNITS, n_hidden=N_HIDDEN, activation_beta=request.param)
    drawn = initial_network(config, np.ones(N_GENES), np.random.default_rng(3))
    return type(drawn)(**{name: getattr(drawn, name).astype(np.float64) * 2 for name in WEIGHTS}, betas=drawn.betas)


@pytest.fixture
def cells():
    counts = np.random.default_rng(4).poisson(1.5, size=(N_CELLS, N_GENES)).astype(np.float32)
    return Cells(sparse.csr_matrix(counts), np.random.default_rng(5).uniform(0.5, 2, N_CELLS).astype(np.float32))


class Encoder(torch.nn.Module):
    """The encoder as modules, which Captum can hook, independent of modulae's own forward pass."""

    def __init__(self, network):
        super().__init__()
        self.first, self.second = torch.nn.Linear(N_GENES, N_HIDDEN), torch.nn.Linear(N_HIDDEN, N_UNITS)
        self.double()
        for layer, weight, bias in ((self.first, network.w1, network.b1), (self.second, network.w2, network.b2)):
            layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
        self.act1, self.act2 = (torch.nn.Softplus(beta=beta) for beta in network.betas[:2])
        self.clip = False

    def forward(self, x):
        hidden = self.act1(self.first(x))
        if self.clip and hidden.requires_grad:
            hidden.register_hook(lambda gradient: gradient.clamp(min=0))
        units = self.act2(self.second(hidden))
        if self.clip and units.requires_grad:
            units.register_hook(lambda gradient: gradient.clamp(min=0))
        return units


def reference(network, inputs, method):
    """Cells × genes × units."""
    encoder, x = Encoder(network), torch.from_numpy(inputs.astype(np.float64))
    if method == "guided":
        encoder.clip = True
    explain = {
        "gradient": lambda k: captum.attr.Saliency(encoder).attribute(x.requires_grad_(), target=k, abs=False),
        "input_x_gradient": lambda k: captum.attr.InputXGradient(encoder).attribute(x.requires_grad_(), target=k),
        "integrated_gradients": lambda k: captum.attr.IntegratedGradients(encoder).attribute(
            x, target=k, n_steps=200, method="gausslegendre"
        ),
        "guided": lambda k: torch.autograd.grad(encoder(x.requires_grad_())[:, k].sum(), x)[0],
    }[method]
    return np.stack([explain(k).detach().numpy() for k in range(N_UNITS)], axis=-1)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "absolute"])
@pytest.mark.parametrize("method", ["gradient", "guided", "input_x_gradient", "integrated_gradients"])
def test_equals_captum_or_clipped_autograd(network, cells, method, signed):
    if network.betas[0] != 1 and method == "integrated_gradients":
        pytest.skip("with β = width the path has kinks, where two quadratures differ")
    per_cell = reference(network, cells.inputs(), method)
    expected = (per_cell if signed else np.abs(per_cell)).mean(axis=0)
    np.testing.assert_allclose(
        mean_saliency(network, cells, method=method, signed=signed)[0], expected, rtol=0, atol=1e-6
    )
    assert np.abs(expected).max() > 1e-2


def test_guided_clips_what_plain_gradients_keep(network, cells):
    plain, guided = (mean_saliency(network, cells, method=method) for method in ("gradient", "guided"))
    assert np.abs(plain - guided).max() > 0.01


def test_integrated_gradients_add_up_to_the_change_of_the_unit(network, cells):
    """Completeness: the attributions of a cell sum to its activity less that of an input of zeros."""
    if network.betas[0] != 1:
        pytest.skip("with β = width the path has kinks")
    total = mean_saliency(network, cells, method="integrated_gradients")[0].sum(axis=0)
    change = network.encode(cells.inputs()).mean(axis=0) - network.encode(np.zeros((1, N_GENES)))[0]
    np.testing.assert_allclose(total, change, atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "guided", "input_x_gradient", "integrated_gradients"])
@pytest.mark.parametrize("signed", [True, False])
def test_groups_come_from_one_pass_and_blocks_change_nothing(network, cells, method, signed):
    members = np.zeros((3, N_CELLS), dtype=bool)
    members[0, [1, 4, 8]] = members[1, [4, 5]] = True  # they overlap; the third is empty
    together = mean_saliency(network, cells, method=method, signed=signed, membership=members, batch_size=2)
    for row, group in zip(members[:2], together[:2], strict=True):
        alone = mean_saliency(network, cells.take(np.flatnonzero(row)), method=method, signed=signed)
        np.testing.assert_allclose(group, alone[0], rtol=1e-5, atol=1e-8)
    assert np.isnan(together[2]).all()


@pytest.mark.parametrize(
    ("method", "signed", "n_groups", "width"),
    [
        ("gradient", True, 1, N_GENES),
        ("guided", True, 3, 3 * N_UNITS),
        ("gradient", False, 3, N_UNITS + N_HIDDEN),
        ("input_x_gradient", True, 3, N_UNITS + N_HIDDEN),
        ("integrated_gradients", True, 3, 32 * (N_UNITS + N_HIDDEN)),
    ],
)
def test_a_gpu_makes_room_for_the_widest_array(monkeypatch, network, cells, method, signed, n_groups, width):
    asked = []
    monkeypatch.setattr("modulae.core.inference.saliency.cells_at_once", lambda *given: asked.append(given) or 128)
    members = np.ones((n_groups, N_CELLS), dtype=bool)
    mean_saliency(network, cells, method=method, signed=signed, membership=members)
    assert asked == [("cpu", width, 128)]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("signed", [True, False], ids=["signed", "absolute"])
@pytest.mark.parametrize("method", ["gradient", "guided", "input_x_gradient", "integrated_gradients"])
def test_neither_threads_nor_blocks_change_anything_beyond_rounding(
    network, cells, monkeypatch, method, signed, n_threads
):
    membership = np.random.default_rng(0).random((3, N_CELLS)) < 0.5
    settings = {"method": method, "signed": signed, "membership": membership}
    at_once = mean_saliency(network, cells, **settings, batch_size=N_CELLS)
    monkeypatch.setattr(saliency, "BLOCKS_OF_INPUTS", 1)
    monkeypatch.setattr(saliency, "BLOCKS_OF_SLOPES", 2)
    with threadpool_limits(n_threads, user_api="blas"):
        np.testing.assert_allclose(mean_saliency(network, cells, **settings, batch_size=2), at_once, rtol=1e-6)
