"""What every architecture promises to those who read it."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config, config_for
from modulae.core.model.orthogonal import OrthogonalNetwork
from modulae.core.model.parts import PartsNetwork
from modulae.core.sanity.controls import untrained_network

RNG = np.random.default_rng(0)
GENES, HIDDEN, UNITS = 12, 7, 4


def normal(*shape):
    return RNG.normal(size=shape)


NETWORKS = {
    "orthogonal": OrthogonalNetwork(
        normal(HIDDEN, GENES), normal(HIDDEN), normal(UNITS, HIDDEN), normal(UNITS),
        normal(HIDDEN, UNITS), normal(HIDDEN), normal(GENES, HIDDEN), normal(GENES), betas=(1.0, 2.0, 1.0, 1.0),
    ),
    "parts": PartsNetwork(normal(UNITS, GENES), normal(UNITS), np.abs(normal(UNITS, GENES)), np.abs(normal(GENES))),
}  # fmt: skip
EACH = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


@EACH
def test_a_unit_of_the_first_sums_is_that_of_the_encoder(network):
    inputs = np.abs(normal(9, GENES))
    sums, units = inputs @ network.input_weights.T, network.encode(inputs)
    for unit in range(UNITS):
        np.testing.assert_allclose(network.unit_from_preactivation(sums, unit), units[:, unit], rtol=1e-12)


@EACH
def test_redrawing_changes_what_gives_the_units_and_nothing_else(network):
    redrawn = network.redrawn(np.random.default_rng(1))
    changed = [name for name in network.weights if not np.array_equal(getattr(network, name), getattr(redrawn, name))]
    assert changed == [{"orthogonal": "w2", "parts": "encoder"}[network.architecture]]
    drawn = getattr(redrawn, changed[0])
    bound = np.sqrt(6 / sum(drawn.shape))
    assert 0.8 * bound < np.abs(drawn).max() <= bound


@pytest.mark.parametrize(
    "config", [Config(n_latent=3), config_for("parts", schedule="cosine", size_factors="total", n_latent=3)],
    ids=lambda config: config.architecture,
)  # fmt: skip
def test_an_untrained_network_knows_no_cell(config):
    """Only the mean of each gene may be known: dealing the cells anew changes nothing."""
    counts = np.random.default_rng(0).poisson(2.0, size=(30, GENES)).astype(np.float32)
    dealt = np.random.default_rng(1).permuted(counts, axis=0)
    one, two = (
        untrained_network(Cells(sparse.csr_matrix(x), np.ones(30, np.float32)), config) for x in (counts, dealt)
    )
    assert one.architecture == config.architecture
    for name in one.weights:
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-6)
