"""AUC and the test by Mann and Whitney, beside SciPy's."""

import numpy as np
import pytest
from scipy import stats

from modulae.core.statistics.differences.ranks import rank_test


def others(values, groups, group, reference):
    return values[groups != group] if reference is None else values[groups == reference]


@pytest.mark.parametrize("reference", [None, 1])
@pytest.mark.parametrize("decimals", [0, 1, 7])
def test_auc_and_p_are_scipys(reference, decimals):
    """With many ties, some and none."""
    rng = np.random.default_rng(decimals)
    values = np.round(rng.normal(size=(120, 3)), decimals).astype(np.float32)
    groups = rng.integers(0, 4, 120)
    auc, p = rank_test(values, groups, 4, reference)
    for group in {0, 1, 2, 3} - {reference}:
        mine, theirs = values[groups == group], others(values, groups, group, reference)
        expected = stats.mannwhitneyu(mine.astype(float), theirs.astype(float), method="asymptotic")
        np.testing.assert_allclose(p[group], expected.pvalue, rtol=1e-10)
        np.testing.assert_allclose(auc[group], expected.statistic / (len(mine) * len(theirs)))


def test_nothing_to_compare_is_a_half_and_one():
    values = np.ones((6, 1), np.float32)
    auc, p = rank_test(values, np.array([0, 0, 0, 2, 2, 2]), 4, 0)
    np.testing.assert_array_equal(auc, 0.5)  # one value, no cell, the reference itself
    np.testing.assert_array_equal(p, 1.0)
