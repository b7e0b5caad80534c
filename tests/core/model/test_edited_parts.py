"""Units that are put together or taken out: what is left makes what was made."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from modulae.core.data.cells import Cells
from modulae.core.model.edited_parts import merged_parts, units_left, without_parts
from modulae.core.model.parts import PartsNetwork
from modulae.core.model.ridge import RIDGE_SHARE


@pytest.fixture
def cells():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1.0, 2.0, size=(60, 3)) @ rng.gamma(0.5, 1.0, size=(3, 20)) + 0.3)
    return Cells(sparse.csr_matrix(counts.astype(np.float32)), np.ones(60, dtype=np.float32))


@pytest.fixture
def network():
    rng = np.random.default_rng(1)
    encoder, loadings = rng.normal(0, 0.2, size=(4, 20)), rng.gamma(1.0, 0.3, size=(4, 20))
    arrays = (encoder, rng.normal(size=4), loadings, rng.gamma(1.0, 0.1, size=20))
    return PartsNetwork(*(array.astype(np.float32) for array in arrays))


def test_the_two_halves_of_a_unit_become_the_unit(network, cells):
    weak, strong = 0.25 * network.loadings[1], 0.75 * network.loadings[1]
    loadings = np.stack([network.loadings[0], weak, network.loadings[2], strong])
    encoder, bias = network.encoder[[0, 1, 2, 1]], network.bias[[0, 1, 2, 1]]
    split = replace(network, encoder=encoder, bias=bias, loadings=loadings)
    merged = merged_parts(split, [(3, 1)], cells, seed=0)
    assert merged.n_units == 3
    for name in ("encoder", "bias", "loadings"):
        np.testing.assert_array_equal(getattr(merged, name)[[0, 2]], getattr(split, name)[[0, 2]])
    inputs = cells.sparse_inputs()
    whole = np.asarray(network.encode(inputs))[:, 1].astype(np.float64)
    target = whole / np.sqrt((whole**2).mean())
    penalty = RIDGE_SHARE * (inputs.data.astype(np.float64) ** 2).sum()
    row = Ridge(alpha=penalty, fit_intercept=False, solver="cholesky").fit(inputs.toarray(), target).coef_
    np.testing.assert_allclose(merged.encoder[1], row, rtol=1e-3, atol=1e-5)
    read = np.asarray(merged.encode(inputs))[:, 1].astype(np.float64)
    scale = np.linalg.lstsq(read[:, None], whole, rcond=None)[0]
    np.testing.assert_allclose(merged.loadings[1], scale * network.loadings[1], rtol=1e-3)


def test_loadings_are_weighted_by_mean_activity(network, cells):
    merged = merged_parts(network, [(0, 2, 3)], cells, seed=0)
    mean = np.asarray(network.encode(cells.sparse_inputs())).mean(axis=0)[[0, 2, 3]].astype(np.float64)
    expected = mean @ network.loadings[[0, 2, 3]]
    np.testing.assert_allclose(
        merged.loadings[0] / np.linalg.norm(merged.loadings[0]), expected / np.linalg.norm(expected), rtol=1e-4
    )
    np.testing.assert_array_equal(merged.loadings[1], network.loadings[1])


def test_without_a_unit_cells_are_made_as_if_it_were_at_its_mean(network, cells):
    units = np.asarray(network.encode(cells.sparse_inputs()))
    less = without_parts(network, [1, 3], units)
    held = units.copy()
    held[:, [1, 3]] = units[:, [1, 3]].mean(axis=0)
    np.testing.assert_allclose(less.decode(units[:, [0, 2]]), network.decode(held), rtol=1e-4)


def test_units_left_are_the_first_of_each_group():
    assert units_left(6, [(4, 1)], [0]).tolist() == [1, 2, 3, 5]
