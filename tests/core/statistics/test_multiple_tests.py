"""The false discovery rate of an array of p-values."""

import numpy as np

from modulae.core.statistics.multiple_tests import false_discovery_rates


def test_all_tests_of_an_array_count_together():
    """By hand: the k-th smallest of n is times n / k, and no larger than any that follows it."""
    p = np.array([[0.01, 0.04], [0.03, 0.5]])
    np.testing.assert_allclose(false_discovery_rates(p), [[0.04, 0.04 * 4 / 3], [0.04 * 4 / 3, 0.5]], rtol=1e-12)
