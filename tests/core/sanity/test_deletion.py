"""Deletion of genes: where one gene drives a unit, the unit falls to the floor without it."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import OrthogonalNetwork, initial_network
from modulae.core.sanity.deletion import MAX_SHARE, delete_genes, deletion_steps

N_CELLS, N_GENES, UNITS = 300, 200, 3


@pytest.fixture(scope="module")
def network():
    """Unit k listens to gene 10 · (k + 1) alone, through hidden neuron k; a steep SoftPlus, so almost linear."""
    w1 = np.zeros((UNITS, N_GENES), np.float32)
    w1[np.arange(UNITS), 10 * (np.arange(UNITS) + 1)] = 2.0
    zeros = np.zeros(UNITS, np.float32)
    return OrthogonalNetwork(
        w1, zeros, np.eye(UNITS, dtype=np.float32), zeros, *(np.zeros(1, np.float32),) * 4, betas=(50.0,) * 4
    )


@pytest.fixture(scope="module")
def cells():
    counts = np.random.default_rng(0).poisson(2.0, size=(N_CELLS, N_GENES)).astype(np.float32)
    return Cells(sparse.csr_matrix(counts), None)


def deletion(network, cells, saliency, n_draws=10):
    activity = network.encode(cells.inputs())
    return delete_genes(network, cells, saliency, activity, n_draws=n_draws, rng=np.random.default_rng(1))


def test_steps_go_from_one_gene_to_a_quarter():
    steps = deletion_steps(N_GENES)
    assert steps[:2].tolist() == [0, 1]
    assert steps[-1] == MAX_SHARE * N_GENES
    assert (np.diff(steps) > 0).all()
    assert deletion_steps(2).tolist() == [0, 1]


def test_a_unit_of_one_gene_is_gone_with_it(network, cells):
    found = deletion(network, cells, mean_saliency(network, cells)[0])
    floor = np.log(2) / 50  # SoftPlus at 0; before, the active units are at 8 and more
    assert found.top.shape == (UNITS, len(found.n_deleted))
    assert found.random.shape == (UNITS, 10, len(found.n_deleted))
    np.testing.assert_allclose(found.top[:, 0], 1)
    np.testing.assert_allclose(found.random[:, :, 0], 1)
    assert (found.top[:, 1:] < 3 * floor / 8).all()
    assert found.random[:, :, 1].mean() > 0.9
    assert (found.beaten() >= 0.8).all()  # where a draw puts the gene in its own place, it is a tie
    assert (found.score() > 0.5).all()


def test_curves_are_what_encoding_anew_gives(network, cells):
    rng = np.random.default_rng(4)
    drawn = {name: rng.normal(size=getattr(network, name).shape).astype(np.float32) / 5 for name in ("w1", "b1", "w2")}
    dense = OrthogonalNetwork(**drawn, b2=np.ones(UNITS, np.float32), **dict.fromkeys(("w3", "b3", "w4", "b4"), 0))
    saliency, inputs = mean_saliency(dense, cells)[0], cells.inputs()
    activity = dense.encode(inputs)
    found = deletion(dense, cells, saliency, n_draws=2)
    for unit in range(UNITS):
        active = np.argsort(-activity[:, unit])[:30]
        for step, n in enumerate(found.n_deleted):
            less = inputs[active].copy()
            less[:, np.argsort(-saliency[:, unit])[:n]] = 0
            expected = dense.encode(less)[:, unit].mean() / activity[active, unit].mean()
            np.testing.assert_allclose(found.top[unit, step], expected, rtol=1e-4)


def test_saliency_that_says_nothing_beats_no_draw(network, cells):
    """Genes ranked at random: no unit falls further than with other random genes, but by chance."""
    rng = np.random.default_rng(5)
    w1 = np.abs(rng.normal(size=(UNITS, N_GENES))).astype(np.float32)
    dense = OrthogonalNetwork(w1, network.b1, network.w2, network.b2, *(network.b3,) * 4, betas=network.betas)
    shares = np.concatenate(
        [deletion(dense, cells, rng.normal(size=(N_GENES, UNITS)), n_draws=20).beaten() for _ in range(20)]
    )
    assert 0.3 < shares.mean() < 0.7
    assert (shares == 1).mean() < 0.2


def test_the_random_genes_are_as_much_expressed(network):
    """A unit of the ten highest genes: others of their expression take as much away."""
    rng = np.random.default_rng(6)
    rates = np.where(np.arange(N_GENES) < 50, 20.0, 0.05)
    cells = Cells(sparse.csr_matrix(rng.poisson(rates, size=(N_CELLS, N_GENES)).astype(np.float32)), None)
    same = np.ones((UNITS, N_GENES), np.float32)
    flat = OrthogonalNetwork(same, network.b1, network.w2, network.b2, *(network.b3,) * 4, betas=network.betas)
    saliency = np.repeat((np.arange(N_GENES) < 10)[:, None], UNITS, axis=1) + rng.random((N_GENES, UNITS)) / 10
    found = deletion(flat, cells, saliency)
    step = np.searchsorted(found.n_deleted, 8)
    np.testing.assert_allclose(found.top[:, step], found.random[:, :, step].mean(axis=1), atol=0.05)
    assert found.top[:, step].max() < 0.9


def test_a_unit_that_listens_to_nothing_beats_nothing(network, cells):
    deaf = OrthogonalNetwork(network.w1 * 0, network.b1, network.w2, network.b2, *(network.b3,) * 4)
    found = deletion(deaf, cells, np.zeros((N_GENES, UNITS)))
    np.testing.assert_array_equal(found.top, 1)
    np.testing.assert_array_equal(found.beaten(), 0)
    np.testing.assert_array_equal(found.score(), 0)


def test_an_untrained_network_passes_too(cells):
    """Deletion says that the saliency describes the network, not that the network has learnt anything."""
    untrained = initial_network(Config(n_latent=8, n_hidden=16), np.ones(N_GENES), np.random.default_rng(0))
    found = deletion(untrained, cells, mean_saliency(untrained, cells)[0])
    assert (found.beaten() == 1).all()
