"""From how alike halves are to how surely a unit comes back."""

import numpy as np
import pytest

from modulae.core.training.replication.reproducibility import INTERCEPT, LEVEL, SLOPE, reproducibility


def test_a_half_without_the_unit_counts_as_not_alike():
    nan = np.nan
    found = reproducibility(np.array([[0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, nan], [nan, nan, nan, nan]]))
    chances = [np.log(p / (1 - p)) for p in found]
    np.testing.assert_allclose(chances, [INTERCEPT + SLOPE * mean for mean in (0.9, 0.675, 0)])


def test_the_surer_the_more_alike_and_never_out_of_bounds():
    found = reproducibility(np.linspace(-1, 1, 21)[:, None])
    assert (np.diff(found) > 0).all()
    assert found[0] > 0
    assert found[-1] < 1
    assert found[-1] > LEVEL > found[0]


@pytest.mark.parametrize("n_units", [0, 1])
def test_few_units(n_units):
    assert reproducibility(np.full((n_units, 5), 0.8)).shape == (n_units,)


def test_units_of_few_cells_promise_less():
    alike = np.full((2, 5), 0.8)
    often, seldom = reproducibility(alike, few_cells=np.array([False, True]))
    assert often == pytest.approx(1 / (1 + np.exp(2.377 - 6.101 * 0.8)))
    assert seldom == pytest.approx(1 / (1 + np.exp(2.377 + 2.4 - 6.101 * 0.8)))
