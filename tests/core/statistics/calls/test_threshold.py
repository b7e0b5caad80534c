"""How much evidence is enough, where it can be worked out from the normal distribution."""

import numpy as np
import pytest
from scipy import stats

from modulae.core.statistics.calls.threshold import threshold


def normal(n, deviation=1.0):
    """N values that are spread exactly as normal ones."""
    return deviation * stats.norm.ppf((np.arange(n) + 0.5) / n)


CONTROLS = normal(20_001)


def test_so_many_are_false_as_controls_say():
    """9000 cells off and 1000 on: 111 false calls of 1111 are a tenth, so P(off > t) = 111 / 9000."""
    found = threshold(np.r_[normal(9000), np.full(1000, 10.0)], CONTROLS, 0.1)
    assert found.value == pytest.approx(stats.norm.isf(1000 / 9 / 9000), abs=0.02)
    assert found.fdr == pytest.approx(0.1, abs=0.002)
    assert found.spread == pytest.approx(1, abs=0.01)


def test_where_the_cells_scatter_more_than_the_controls_more_is_asked():
    one, other = (
        threshold(np.r_[normal(9000, deviation), np.full(1000, 50.0)], CONTROLS, 0.1) for deviation in (1.0, 3.0)
    )
    assert other.value == pytest.approx(3 * one.value, rel=0.02)
    assert other.spread == pytest.approx(3 * one.spread, rel=0.02)


def test_where_they_scatter_less_it_stays():
    calm = threshold(np.r_[normal(9000, 0.5), np.full(1000, 10.0)], CONTROLS, 0.1)
    assert calm.spread == pytest.approx(1, abs=0.01)


def test_where_nearly_all_cells_are_on_those_with_little_evidence_are_not_called():
    found = threshold(np.linspace(0, 100, 1001), CONTROLS, 0.05)
    assert found.value == pytest.approx(stats.norm.isf(0.05), abs=0.11)
    assert found.fdr < 0.05


def test_a_unit_that_is_nowhere_on_is_never_called():
    found = threshold(normal(5000), CONTROLS, 0.05)
    assert np.isinf(found.value)
    assert np.isnan(found.fdr)


@pytest.mark.parametrize("evidence", [np.zeros(50), np.array([])])
def test_controls_that_say_nothing_allow_no_call(evidence):
    assert np.isinf(threshold(evidence, np.zeros(500), 0.05).value)
