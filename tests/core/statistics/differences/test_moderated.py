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
    prior, more = fit_prior(variances, np.full(40_000, 5.0), independent=40_000)
    assert prior == pytest.approx(3.0, rel=0.03)
    assert more == pytest.approx(8.0, rel=0.08)


def test_squeezed_variances_are_weighted_means_of_their_own_and_the_prior():
    rng = np.random.default_rng(1)
    freedom = np.repeat([2.0, 6.0], 200)
    variances = 4 / rng.chisquare(4, 400) * rng.chisquare(freedom) / freedom
    prior, more = fit_prior(variances, freedom, independent=400)
    found, d0 = squeeze(np.append(variances, np.nan), np.append(freedom, 3.0), independent=400)
    assert d0 == more
    assert 0 < more < np.inf
    np.testing.assert_allclose(found[:-1], (more * prior + freedom * variances) / (more + freedom))
    assert np.isnan(found[-1])


@pytest.mark.parametrize("n", [4, 30, 1000])
def test_variances_that_are_all_alike_are_known_as_well_as_their_number_allows(n):
    """d0 where trigamma(d0 / 2) is the standard error of the variance of log s², here of no variance at all."""
    found, more = squeeze(np.full(200, 2.0), np.full(200, 4.0), independent=n)
    error = np.sqrt((polygamma(3, 2) + 2 * polygamma(1, 2) ** 2) / (n - 1))
    assert polygamma(1, more / 2) == pytest.approx(error, rel=1e-6)
    np.testing.assert_allclose(found, found[0])


def test_the_standard_error_is_that_of_logarithms_of_drawn_variances():
    rng = np.random.default_rng(3)
    logs = np.log(rng.chisquare(4, (20_000, 30)) / 4)
    error = np.sqrt((polygamma(3, 2) + 2 * polygamma(1, 2) ** 2) / 29)
    assert logs.var(axis=1, ddof=1).std() == pytest.approx(error, rel=0.03)


def test_two_variances_stay_as_they_are():
    found, more = squeeze(np.array([1.0, 5.0]), np.array([3.0, 3.0]), independent=2)
    assert (found.tolist(), more) == ([1.0, 5.0], 0.0)


def test_a_typical_ratio_has_no_bias_of_few_degrees_of_freedom():
    ratios = 0.7 * np.random.default_rng(2).chisquare(2, 50_000) / 2
    assert typical_ratio(ratios, 2) == pytest.approx(0.7, rel=0.03)
    assert typical_ratio(np.zeros(3), 2) == 0
