"""From genes to sets, and the scales, against numbers worked out by hand."""

import numpy as np

from modulae.core.scores.impact import aggregate_sets, scale_difference, scale_strength

SALIENCY = np.array([[1.0, -4.0], [3.0, 0.0], [8.0, 2.0]])  # genes × units
SETS = [np.array([0, 1, 2]), np.array([2])]


def test_mean_and_median_over_the_genes_of_a_set():
    np.testing.assert_allclose(aggregate_sets(SALIENCY, SETS), [[4, -2 / 3], [8, 2]])
    np.testing.assert_allclose(aggregate_sets(SALIENCY, SETS, aggregate="median"), [[3, 0], [8, 2]])
    np.testing.assert_allclose(aggregate_sets(SALIENCY[None], SETS)[0], aggregate_sets(SALIENCY, SETS))


def test_strength_is_min_max_scaled_over_all_or_over_each_set():
    values = np.array([[4.0, -2.0], [8.0, 2.0]])
    np.testing.assert_allclose(scale_strength(values), [[1 / 3, 0], [1, 0]])
    np.testing.assert_allclose(scale_strength(values, scale="set"), [[1, 0], [1, 0]])
    np.testing.assert_array_equal(scale_strength(np.full((2, 2), 3.0)), np.zeros((2, 2)))


def test_differences_keep_their_zero_and_sign():
    np.testing.assert_allclose(scale_difference(np.array([[[0.0, -4.0], [2.0, 1.0]]])), [[[0, -1], [0.5, 0.25]]])
    np.testing.assert_array_equal(scale_difference(np.zeros((1, 2, 2))), np.zeros((1, 2, 2)))
