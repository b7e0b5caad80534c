"""Each number is the best that it can be, given the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from modulae.core.factorisation import compiled_sweeps, sweeps
from modulae.core.factorisation.sweeps import sweep


@pytest.fixture(params=["compiled", "NumPy"])
def loops(request, monkeypatch):
    """Both ways to sweep."""
    if request.param == "NumPy":
        monkeypatch.setattr(sweeps, "descend", lambda *_: False)
    else:
        assert compiled_sweeps.loops() is not None


def problem(seed, n_parts, n_cells, n_genes=30):
    rng = np.random.default_rng(seed)
    loadings = rng.gamma(0.5, size=(n_parts, n_genes)).astype(np.float32)
    data = rng.normal(1, 2, size=(n_cells, n_genes)).astype(np.float32)
    return data, loadings, rng.gamma(1.0, size=(n_parts, n_cells)).astype(np.float32)


def by_hand(data, loadings, factor):
    """One number at a time: the non-negative minimum of a parabola, in float64."""
    data, loadings, factor = (one.astype(np.float64) for one in (data, loadings, factor.copy()))
    for cell in range(len(data)):
        for part, row in enumerate(loadings):
            rest = data[cell] - factor[:, cell] @ loadings + factor[part, cell] * row
            factor[part, cell] = max(0, rest @ row / (row @ row))
    return factor


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize("order", ["C", "F"])
def test_it_goes_through_the_parts_as_by_hand(order):
    data, loadings, factor = problem(0, 5, 13)
    expected = by_hand(data, loadings, by_hand(data, loadings, factor))
    sweep(factor, loadings @ loadings.T, np.asarray(loadings @ data.T, order=order), n_sweeps=2)
    np.testing.assert_allclose(factor, expected, rtol=1e-4, atol=1e-5)
    assert (expected == 0).any()


def test_blocks_change_nothing(monkeypatch):
    data, loadings, factor = problem(1, 6, 100)
    gram, products, other = loadings @ loadings.T, loadings @ data.T, factor.copy()
    monkeypatch.setattr(sweeps, "descend", lambda *_: False)
    sweep(factor, gram, products, n_sweeps=3)
    monkeypatch.setattr(sweeps, "BLOCK", 7)
    sweep(other, gram, products, n_sweeps=3)
    np.testing.assert_allclose(other, factor, rtol=1e-4, atol=1e-5)


def test_threads_change_nothing(monkeypatch):
    data, loadings, factor = problem(1, 5, 300)
    found = []
    monkeypatch.setattr(compiled_sweeps, "SHARED_FROM", 0)
    for n in (1, 2, 3):
        monkeypatch.setattr(compiled_sweeps, "n_threads", lambda n=n: n)
        found.append(factor.copy())
        sweep(found[-1], loadings @ loadings.T, loadings @ data.T, n_sweeps=3)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_it_ends_where_nothing_changes_any_more_and_not_before():
    """Parts that are nearly alike settle slowly; after many sweeps it is the non-negative minimum."""
    data, loadings, factor = problem(4, 3, 70)
    loadings[1] = loadings[0] + np.float32(0.3) * loadings[2]
    sweep(factor, loadings @ loadings.T, loadings @ data.T, n_sweeps=20_000)
    expected = np.array([nnls(loadings.T.astype(float), cell.astype(float))[0] for cell in data]).T
    left, best = (((data - one.T @ loadings) ** 2).sum(axis=1) for one in (factor, expected))
    np.testing.assert_allclose(left, best, rtol=1e-3)


@pytest.mark.usefixtures("loops")
def test_a_part_without_anything_on_the_other_side_stays_as_it_is():
    data, loadings, factor = problem(2, 4, 9)
    loadings[2] = 0
    before, kept = factor.copy(), [0, 1, 3]
    expected = by_hand(data, loadings[kept], factor[kept])
    sweep(factor, loadings @ loadings.T, loadings @ data.T)
    np.testing.assert_array_equal(factor[2], before[2])
    np.testing.assert_allclose(factor[kept], expected, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 12), st.floats(1e-3, 1e3))
def test_the_distance_never_grows_and_nothing_is_negative(seed, n_parts, n_cells, scale):
    data, loadings, factor = problem(seed, n_parts, n_cells)
    data *= np.float32(scale)

    def distance():
        return ((data.astype(np.float64) - factor.T.astype(np.float64) @ loadings) ** 2).sum()

    before = distance()
    for _ in range(3):
        sweep(factor, loadings @ loadings.T, loadings @ data.T)
        assert (factor >= 0).all()
        assert distance() <= before * (1 + 1e-4)
        before = distance()
