"""The loss and its gradient against derivations by hand, in float64."""

import numpy as np
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.losses import EPSILON, gene_means_loss, orthogonality_penalty, poisson_loss
from modulae.core.model.orthogonal import WEIGHTS, initial_network

RNG = np.random.default_rng(0)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def softplus(a):
    return np.log1p(np.exp(a))


def test_poisson_loss_is_the_formula():
    rates, counts = torch.tensor([[0.5, 2.0], [1.0, 4.0]]), torch.tensor([[0.0, 3.0], [1.0, 2.0]])
    by_hand = (0.5 + (2 - 3 * np.log(2)) + 1.0 + (4 - 2 * np.log(4))) / 4
    np.testing.assert_allclose(float(poisson_loss(rates, counts)), by_hand, rtol=1e-6)


def test_loss_of_gene_means_is_that_of_their_rates():
    counts = sparse.random(30, 8, density=0.4, format="csr", rng=RNG)
    counts.data = np.ceil(counts.data * 5)
    rates, factors = RNG.gamma(1.0, size=8), RNG.gamma(2.0, size=30)
    for given, used in ((factors, factors), (None, np.ones(30))):
        expected = poisson_loss(torch.tensor(used[:, None] * rates), torch.tensor(counts.toarray()))
        np.testing.assert_allclose(gene_means_loss(rates, counts, given), float(expected), rtol=1e-12)


def test_penalty_is_the_norm_not_its_square():
    weight = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # I − WWᵀ = diag(−3, 0)
    np.testing.assert_allclose(float(orthogonality_penalty(weight)), 3.0)


def test_penalty_has_a_gradient_and_none_that_is_nan_where_it_is_zero():
    weight = torch.tensor([[2.0, 0.0]], requires_grad=True)  # |1 − 4| = 3, derivative of |1 − w²| is 2w = 4
    orthogonality_penalty(weight).backward()
    np.testing.assert_allclose(weight.grad, [[4.0, 0.0]])
    flat = torch.eye(2, requires_grad=True)
    orthogonality_penalty(flat).backward()
    np.testing.assert_array_equal(flat.grad, np.zeros((2, 2)))


def test_the_whole_gradient_equals_a_derivation_by_hand():
    """Backpropagation written out for loss/m + λ‖I − W₂W₂ᵀ‖, size factors included, in float64."""
    config = Config(n_latent=3, n_hidden=4)
    net = initial_network(config, np.array([0.5, 1.0, 2.0, 0.2, 1.5]), RNG).to_torch(
        "cpu", dtype=torch.float64, trained=True
    )
    x = RNG.poisson(2.0, size=(6, 5)).astype(float)
    s = RNG.uniform(0.5, 2, size=(6, 1))
    unit, lam = 0.7, 0.3
    u = np.log1p(x / s)
    rates = torch.tensor(s) * net.decode(net.encode(torch.tensor(u)))
    (poisson_loss(rates, torch.tensor(x)) / unit + lam * orthogonality_penalty(net.w2)).backward()

    w1, b1, w2, b2, w3, b3, w4, b4 = (getattr(net, name).detach().numpy() for name in WEIGHTS)
    a1 = u @ w1.T + b1
    a2 = softplus(a1) @ w2.T + b2
    a3 = softplus(a2) @ w3.T + b3
    a4 = softplus(a3) @ w4.T + b4
    y = s * softplus(a4)
    d4 = (1 - x / (y + EPSILON)) * s * sigmoid(a4) / x.size / unit
    d3 = d4 @ w4 * sigmoid(a3)
    d2 = d3 @ w3 * sigmoid(a2)
    d1 = d2 @ w2 * sigmoid(a1)
    gap = np.eye(3) - w2 @ w2.T
    expected = {
        "w4": d4.T @ softplus(a3), "b4": d4.sum(0),
        "w3": d3.T @ softplus(a2), "b3": d3.sum(0),
        "w2": d2.T @ softplus(a1) - lam * 2 * gap @ w2 / np.linalg.norm(gap), "b2": d2.sum(0),
        "w1": d1.T @ u, "b1": d1.sum(0),
    }  # fmt: skip
    for name, by_hand in expected.items():
        np.testing.assert_allclose(getattr(net, name).grad, by_hand, rtol=1e-10, atol=1e-14, err_msg=name)


def test_inputs_are_log1p_of_size_corrected_counts_and_an_empty_cell_reads_as_zeros():
    from scipy import sparse

    counts = sparse.csr_matrix(np.array([[0, 4], [3, 0], [0, 0]], dtype=np.float32))
    cells = Cells(counts, np.array([2.0, 1.0, 0.0], dtype=np.float32))
    np.testing.assert_allclose(cells.inputs(), [[0, np.log(3)], [np.log(4), 0], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(Cells(counts, None).inputs(), counts.toarray())
