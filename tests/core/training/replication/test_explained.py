"""How much units explain of held-out cells, against dense non-negative least squares."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import nnls

from modulae.core.training.replication.explained import HeldOut, explained, within_noise

N_GENES = 40


class Reader:
    """Ridge regression with a penalty of its own, all dense."""

    def __init__(self, inputs):
        self._dense = inputs.toarray().astype(float)

    def solve(self, targets):
        dense = self._dense
        return np.linalg.solve(dense.T @ dense + 3.0 * np.eye(dense.shape[1]), dense.T @ targets)


@pytest.fixture(scope="module")
def cells():
    """Three parts and noise; thin cells have more zeros, so that all genes follow the depth as well."""
    rng = np.random.default_rng(0)
    loadings = np.zeros((3, N_GENES))
    for unit in range(3):
        loadings[unit, unit * 12 : unit * 12 + 12] = rng.gamma(3.0, size=12) / 3
    depth = rng.normal(size=260) * 0.4
    activity = rng.gamma(1.0, size=(260, 3)) * (rng.random((260, 3)) < 0.5)
    dense = activity @ loadings + 0.3 * np.exp(depth)[:, None] * rng.gamma(2.0, size=(260, N_GENES)) / 2
    dense *= rng.random(dense.shape) < 0.7
    inputs = sparse.csr_matrix(dense.astype(np.float32))
    seen, unseen = inputs[:200], inputs[200:]
    held_out = HeldOut(seen, unseen, (depth[:200], depth[200:]), Reader(seen))
    return SimpleNamespace(
        loadings=loadings, seen=seen, unseen=unseen, depth=(depth[:200], depth[200:]), held_out=held_out
    )


def derived(cells, loadings):
    """Squared error of each unseen cell, every step by itself and dense."""
    seen, unseen = cells.seen.toarray().astype(float), cells.unseen.toarray().astype(float)
    low, high = np.min(np.concatenate(cells.depth)), np.max(np.concatenate(cells.depth))
    of_depth = [
        np.column_stack([np.ones(len(d)), d - low, high - d, (d - low) ** 2, (high - d) ** 2]) for d in cells.depth
    ]
    columns = of_depth
    if len(loadings):
        activity = np.array([nnls(loadings.T, cell)[0] for cell in seen])
        weights = Reader(cells.seen).solve(activity)
        columns = [
            np.column_stack([np.maximum(each @ weights, 0), depth])
            for each, depth in zip((seen, unseen), of_depth, strict=True)
        ]
    decoder = np.array([nnls(columns[0], gene)[0] for gene in seen.T]).T
    return ((unseen - columns[1] @ decoder) ** 2).sum(axis=1)


@pytest.mark.parametrize("n_units", [0, 1, 3])
def test_errors_are_those_of_dense_least_squares(cells, n_units):
    loadings = cells.loadings[:n_units]
    expected = derived(cells, loadings) / derived(cells, cells.loadings[:0]).mean()
    errors = cells.held_out.errors(loadings.astype(np.float32))
    assert errors.shape == (60,)
    np.testing.assert_allclose(errors, expected, atol=0.04)  # 32 bits, and a descent that ends early
    assert explained(errors) == pytest.approx(1 - expected.mean(), abs=1e-3)


def test_no_units_explain_nothing_and_all_of_them_most(cells):
    def share(loadings):
        return explained(cells.held_out.errors(loadings.astype(np.float32)))

    assert share(cells.loadings[:0]) == pytest.approx(0, abs=1e-9)
    assert 0.1 < share(cells.loadings[:1]) < share(cells.loadings[:2]) < share(cells.loadings) < 1


def test_a_unit_that_is_only_depth_explains_next_to_nothing():
    """Every gene follows the depth, none anything else: a unit of all genes is another way to say it."""
    rng = np.random.default_rng(1)
    depth = rng.normal(size=400) * 0.4
    level = rng.gamma(2.0, size=N_GENES)
    inputs = sparse.csr_matrix(
        (np.log1p(np.exp(depth))[:, None] * level + 0.1 * rng.random((400, N_GENES))).astype(np.float32)
    )
    seen, unseen = inputs[:300], inputs[300:]
    held_out = HeldOut(seen, unseen, (depth[:300], depth[300:]), Reader(seen))
    exact = unseen.toarray().astype(float)
    variance = ((exact - seen.toarray().mean(axis=0)) ** 2).sum(axis=1).mean()
    left = held_out._nothing / variance  # the depth alone explains nearly all
    assert left < 0.02
    gained = explained(held_out.errors(level[None].astype(np.float32))) * left
    assert abs(gained) < 0.01  # of the variance


def test_errors_are_shares_of_what_is_left_without_units(cells):
    """Inputs ten times as large give the same shares."""
    larger = HeldOut(10 * cells.seen, 10 * cells.unseen, cells.depth, Scaled(cells.seen))
    loadings = cells.loadings.astype(np.float32)
    np.testing.assert_allclose(larger.errors(10 * loadings), cells.held_out.errors(loadings), rtol=1e-3, atol=1e-4)


class Scaled:
    """The reader of inputs ten times as large: weights a tenth."""

    def __init__(self, inputs):
        self._reader = Reader(inputs)

    def solve(self, targets):
        return self._reader.solve(targets) / 10


def test_within_noise_is_the_standard_error_of_the_difference():
    best = np.array([1.0, 2.0, 3.0, 4.0])
    spread = np.array([-0.1, 0.1, -0.1, 0.1])  # standard error 0.1 · √(4/3) / 2 = 0.0577
    assert within_noise(best, best)
    assert within_noise(best - 1, best)
    assert within_noise(best + spread + 0.05, best)
    assert not within_noise(best + spread + 0.07, best)
    assert within_noise(best + spread + 0.11, best, 2)
    assert not within_noise(best + spread + 0.12, best, 2)
    assert not within_noise(best + 0.05, best)  # the same in every cell is no noise


def test_one_held_out_cell_has_no_noise():
    assert within_noise(np.array([1.2]), np.array([1.2]))
    assert not within_noise(np.array([1.3]), np.array([1.2]))
