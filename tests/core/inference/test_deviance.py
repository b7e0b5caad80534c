"""Deviances against their definition."""

import numpy as np
import pytest
from scipy import stats

from modulae.core.inference.deviance import expected_deviance, poisson_deviance


def test_deviance_is_twice_the_gap_to_the_saturated_likelihood():
    counts, rates = np.arange(12.0), np.linspace(0.1, 9, 12)
    gap = stats.poisson.logpmf(counts, np.maximum(counts, 1e-300)) - stats.poisson.logpmf(counts, rates)
    gap[0] = rates[0]  # log 0^0 = 0
    np.testing.assert_allclose(poisson_deviance(counts, rates), 2 * gap, atol=1e-10)


def test_no_count_at_no_rate_is_no_deviance():
    assert poisson_deviance(np.zeros(2), np.zeros(2)).tolist() == [0, 0]


@pytest.mark.parametrize("rate", [1e-9, 3e-4, 0.02, 0.5, 3.3, 40, 5000])
def test_expected_deviance_is_the_mean_over_poisson_counts(rate):
    counts = np.arange(0, rate + 15 * np.sqrt(rate) + 40)
    exact = stats.poisson.pmf(counts, rate) @ poisson_deviance(counts, np.full(len(counts), rate))
    assert expected_deviance(np.array([rate]))[0] == pytest.approx(exact, rel=5e-3)


def test_expected_deviance_keeps_the_dtype():
    assert expected_deviance(np.ones(3, dtype=np.float32)).dtype == np.float32
