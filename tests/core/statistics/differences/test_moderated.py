"""Variances that borrow from each other."""

import numpy as np
import pytest
from scipy.special import polygamma

from modulae.core.statistics.differences.moderated import fit_prior, squeeze, trigamma_inverse, typical_ratio


@pytest.mark.parametrize("x", [1e-4, 0.02, 0.5, 3.0, 50.0, 2e4])
def test_trigamma_is_inverted(x):
    np.testing.assert_allclose(trigamma_inverse(float(polygamma(1, x))), x, rtol=1e-6)


def test_trigamma_at_the_ends():
    """Near 0 it is 1/x², far out 1/x."""
    np.testing.assert_allclose([trigamma_inverse(1e10), trigamma_inverse(1e-9)], [1e-5, 1e9])


def test_the_prior_that_variances_were_drawn_from_comes_back():
    """Smyth (2004): s² ~ s0² · F(d, d0), where 1/σ² ~ χ²(d0) / (d0 s0²)."""
    rng = np.random.default_rng(0)
    truth = 8 * 3.0 / rng.chisquare(8, 40_000)
    variances = truth * rng.chisquare(5, 40_000) / 5
    prior, more = fit_prior(variances, np.full(40_000, 5.0))
    assert prior == pytest.approx(3.0, rel=0.03)
    assert more == pytest.approx(8.0, rel=0.08)


def test_squeezed_variances_are_weighted_means_of_their_own_and_the_prior():
    rng = np.random.default_rng(1)
    freedom = np.repeat([2.0, 6.0], 200)
    variances = 4 / rng.chisquare(4, 400) * rng.chisquare(freedom) / freedom
    prior, more = fit_prior(variances, freedom)
    found, d0 = squeeze(np.append(variances, np.nan), np.append(freedom, 3.0))
    assert d0 == more
    assert 0 < more < np.inf
    np.testing.assert_allclose(found[:-1], (more * prior + freedom * variances) / (more + freedom))
    assert np.isnan(found[-1])


def test_variances_that_differ_by_chance_alone_become_one():
    found, more = squeeze(np.array([1.0, 1.01, 0.99, 1.0]), np.full(4, 4.0))
    assert more == np.inf
    np.testing.assert_allclose(found, 1.0)


def test_two_variances_stay_as_they_are():
    found, more = squeeze(np.array([1.0, 5.0]), np.array([3.0, 3.0]))
    assert (found.tolist(), more) == ([1.0, 5.0], 0.0)


def test_a_typical_ratio_has_no_bias_of_few_degrees_of_freedom():
    ratios = 0.7 * np.random.default_rng(2).chisquare(2, 50_000) / 2
    assert typical_ratio(ratios, 2) == pytest.approx(0.7, rel=0.03)
    assert typical_ratio(np.zeros(3), 2) == 0
