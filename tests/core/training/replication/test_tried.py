"""Which size of start is large enough, and when more units are worth it."""

import numpy as np
import pytest

from modulae.core.training.replication.agree import Agreed
from modulae.core.training.replication.tried import Tried, fewest_enough

FLAT = np.full(100, 0.5)
NOISE = np.tile([-0.1, 0.1], 50)  # standard error of a difference: 0.01


def tried(size, errors, n_units=1):
    units = Agreed(np.ones((n_units, 4)), np.zeros((n_units, 2, 2), dtype=np.intp), np.ones((n_units, 2)))
    return Tried(size, units, np.ones(n_units, dtype=bool), np.asarray(errors, dtype=float), 0)


def test_the_smallest_size_that_is_as_good_as_the_best():
    assert fewest_enough([tried(4, FLAT + 0.1), tried(8, FLAT + 0.02 + NOISE), tried(16, FLAT)]).size == 16
    assert fewest_enough([tried(4, FLAT + 0.1), tried(8, FLAT + 0.008 + NOISE), tried(16, FLAT)]).size == 8
    assert fewest_enough([tried(4, FLAT + 0.1), tried(8, FLAT + 0.004), tried(16, FLAT)]).size == 8  # 0.496 of 0.5
    assert fewest_enough([tried(4, FLAT + 0.1), tried(8, FLAT + 0.006), tried(16, FLAT)]).size == 16
    assert fewest_enough([tried(4, FLAT), tried(8, FLAT + 0.3)]).size == 4


def test_the_fewest_units_of_all_sizes_that_are_good_enough():
    good, bad = FLAT + 0.004, FLAT + 0.1
    assert fewest_enough([tried(4, good, 4), tried(8, good, 3), tried(16, FLAT, 5), tried(24, bad, 2)]).size == 8
    assert fewest_enough([tried(4, good, 3), tried(8, FLAT, 3)]).size == 4


@pytest.mark.parametrize("n_cells", [1, 2, 30])
def test_also_where_units_explain_less_than_nothing(n_cells):
    """Of one held-out cell as well, which has no standard error."""
    worse = np.full(n_cells, 1.2)
    assert fewest_enough([tried(4, worse + 0.1), tried(8, worse), tried(16, worse + 0.3)]).size == 8


def test_more_units_are_worth_it_beyond_noise_and_a_hundredth():
    now = tried(8, FLAT)
    assert now.worth_it(tried(8, FLAT - 0.006))  # 0.506 of the variance in place of 0.5
    assert not now.worth_it(tried(8, FLAT - 0.004))
    assert now.worth_it(tried(8, FLAT - 0.011 + NOISE))
    assert not now.worth_it(tried(8, FLAT - 0.009 + NOISE))
    assert not now.worth_it(tried(8, FLAT + 0.1))


def test_one_unit_more_counts():
    class HeldOut:
        def errors(self, loadings):
            return np.full(3, float(len(loadings)))

    one = Agreed(np.full((1, 4), 2.0), np.ones((1, 2, 2), dtype=np.intp), np.full((1, 2), 0.3))
    given = Tried(8, one.joined(one), np.array([True, False]), np.zeros(3), 1)
    more = given.with_unit(Agreed(np.ones((1, 4)), np.zeros((1, 2, 2), dtype=np.intp), np.ones((1, 2))), HeldOut())
    assert (more.size, more.n_single) == (8, 1)
    np.testing.assert_array_equal(more.counted, [True, False, True])
    np.testing.assert_array_equal(more.agreed.loadings, [[2] * 4, [2] * 4, [1] * 4])
    np.testing.assert_array_equal(more.errors, [2, 2, 2])  # of the two that count
