"""What a start of more parts keeps apart, and what it lacks."""

import numpy as np
import pytest
from scipy import sparse

from modulae.core.model.ridge import RidgeReader
from modulae.core.training.replication.agree import Agreed
from modulae.core.training.replication.explained import HeldOut, explained
from modulae.core.training.replication.larger_starts import from_larger
from modulae.core.training.replication.tried import Tried

ALIKE = 0.9


@pytest.fixture(scope="module")
def cells():
    """Six programmes over 120 genes; the first two mostly run in the same cells."""
    rng = np.random.default_rng(0)
    loadings = np.kron(np.eye(6), np.ones(20)) * rng.uniform(0.5, 1.5, 120)
    activity = rng.random((400, 6)) * (rng.random((400, 6)) < 0.4)
    activity[:, 1] = np.where(rng.random(400) < 0.7, activity[:, 0], activity[:, 1])
    inputs = sparse.csr_matrix(activity @ loadings + rng.random((400, 120)) * 0.3, dtype=np.float32)
    depth = np.zeros(300), np.zeros(100)
    return loadings, inputs[:300], HeldOut(inputs[:300], inputs[300:], depth, RidgeReader(inputs[:300]))


def in_turn(calls):
    return (function(*given) for function, given in calls)


def merged(loadings):
    return np.concatenate([loadings[:2].sum(axis=0, keepdims=True), loadings[2:]])


def tried(size, loadings, cells):
    n = len(loadings)
    agreed = Agreed(np.asarray(loadings), np.zeros((n, 5, 2), dtype=np.intp), np.full((n, 5), ALIKE))
    return Tried(size, agreed, np.ones(n, dtype=bool), cells[2].errors(np.asarray(loadings)), 0)


def test_a_start_that_keeps_two_programmes_apart_is_taken(cells):
    loadings = cells[0]
    small, large = tried(8, merged(loadings), cells), tried(16, loadings, cells)
    assert explained(small.errors) < 0.99 * explained(large.errors)
    taken, (whole,) = from_larger(small, [large], *cells[1:], in_turn)
    assert taken is whole
    assert taken.size == 16
    np.testing.assert_array_equal(taken.agreed.loadings, loadings)


def test_what_the_larger_start_lacks_comes_along_from_the_small_one(cells):
    """The larger one has both of the first two, but not the last: what all the others lack is added to it."""
    loadings = cells[0]
    taken, whole = from_larger(
        tried(8, merged(loadings), cells),
        [tried(16, loadings[:5], cells), tried(24, loadings[:3], cells)],
        *cells[1:],
        in_turn,
    )
    assert taken.size == 16
    np.testing.assert_array_equal(taken.agreed.loadings, loadings)  # and not the two merged ones, which add nothing
    assert taken.counted.all()
    assert [each.size for each in whole] == [16, 24]
    assert len(whole[1].agreed.loadings) == 6  # with the last three of the taken ones
    assert taken.agreed.found.shape == (6, 5, 2)


def test_a_larger_start_of_the_same_units_is_not_taken(cells):
    loadings = cells[0]
    rng = np.random.default_rng(1)
    same = tried(8, loadings, cells)
    worse = tried(16, loadings * rng.uniform(0.7, 1.3, loadings.shape), cells)
    pieces = tried(
        24, np.concatenate([loadings[:5], *(loadings[5:] * (rng.random(120) < 0.5) for _ in range(3))]), cells
    )
    assert from_larger(same, [same, worse, pieces], *cells[1:], in_turn)[0] is same
    assert from_larger(same, [], *cells[1:], in_turn) == (same, [])


def test_each_unit_more_must_explain_a_hundredth_more_and_as_many_must_explain_more_for_sure(cells):
    """Errors are set by hand: three cells, which are better by the same amount, or by one that differs a lot."""
    loadings = cells[0]

    class Fixed:
        def __init__(self, errors):
            self._errors = np.asarray(errors)

        def errors(self, _loadings):
            return self._errors

    def given(size, n, errors):
        agreed = Agreed(loadings[:n], np.zeros((n, 5, 2), dtype=np.intp), np.full((n, 5), ALIKE))
        return Tried(size, agreed, np.ones(n, dtype=bool), np.asarray(errors), 0)

    small = given(8, 5, [0.5, 0.5, 0.5])

    def size(n, errors):
        return from_larger(small, [given(16, n, errors)], cells[1], Fixed(np.ones(3)), in_turn)[0].size

    assert size(5, [0.499, 0.499, 0.499]) == 16
    assert size(6, [0.499, 0.499, 0.499]) == 8
    assert size(6, [0.49, 0.49, 0.49]) == 16
    small = given(8, 4, [0.5, 0.5, 0.5])
    assert size(6, [0.494, 0.494, 0.494]) == 8  # 1.2 % more, and two units more
    assert size(6, [0.489, 0.489, 0.489]) == 16
    small = given(8, 5, [0.5, 0.5, 0.5])
    assert size(5, [0.4, 0.45, 0.5]) == 8  # better by 0.05, with a standard error of 0.029
    assert size(5, [0.40, 0.41, 0.42]) == 16


def test_what_does_not_count_is_replaced_by_what_does(cells):
    """The last unit of the larger start is too unlike in two halves: that of the small one stands in."""
    loadings = cells[0]
    small, large = tried(8, merged(loadings), cells), tried(16, loadings, cells)
    weak = np.array([True] * 5 + [False])
    large = Tried(16, large.agreed, weak, cells[2].errors(loadings[weak]), 0)
    taken, (whole,) = from_larger(small, [large], *cells[1:], in_turn)
    assert taken is whole
    assert whole.counted.all()
    np.testing.assert_array_equal(whole.agreed.loadings, loadings)
    other = np.where(np.arange(120) % 7 == 0, 1.0, 0.0)[None]  # like none of them, and not counted either: it stays
    both = Agreed(np.concatenate([loadings, other]), np.zeros((7, 5, 2), dtype=np.intp), np.full((7, 5), ALIKE))
    large = Tried(16, both, np.append(weak, False), cells[2].errors(loadings[weak]), 0)
    _, (whole,) = from_larger(small, [large], *cells[1:], in_turn)
    np.testing.assert_array_equal(whole.counted, [True] * 6 + [False])
    np.testing.assert_array_equal(whole.agreed.loadings, both.loadings)


def test_only_units_that_count_and_explain_more_are_added(cells):
    """The small start has a unit of genes that do not go together, or its last unit does not count."""
    loadings = cells[0]
    nothing = np.where(np.arange(120) % 7 == 0, 1.0, 0.0)[None]
    large = tried(16, loadings, cells)
    _, (whole,) = from_larger(
        tried(8, np.concatenate([merged(loadings), nothing]), cells), [large], *cells[1:], in_turn
    )
    np.testing.assert_array_equal(whole.agreed.loadings, loadings)
    small = tried(8, merged(loadings), cells)
    small = Tried(8, small.agreed, np.array([True] * 4 + [False]), small.errors, 0)
    _, (whole,) = from_larger(small, [tried(16, loadings[:5], cells)], *cells[1:], in_turn)
    np.testing.assert_array_equal(whole.agreed.loadings, loadings[:5])


def test_only_the_next_best_of_what_is_missing_is_tried_again(cells):
    """The larger start has the first programme alone. The five others come along by what each explains, in turn."""
    loadings, inputs, held_out = cells

    class Counted:
        n = 0

        def errors(self, given):
            self.n += 1
            return held_out.errors(given)

    counted, all_at_once = Counted(), []

    def run(calls):
        all_at_once.append(len(calls))
        return in_turn(calls)

    small, large = tried(8, loadings, cells), tried(16, loadings[:1], cells)
    _, (whole,) = from_larger(small, [large], inputs, counted, run)
    assert all_at_once == [5]
    assert 5 + 4 <= counted.n < 5 + 4 + 3 + 2 + 1
    rest = [loadings[i : i + 1] for i in range(1, 6)]
    expected = loadings[:1]
    while rest:  # by trying all that are left each time
        errors = [held_out.errors(np.concatenate([expected, one])).mean() for one in rest]
        expected = np.concatenate([expected, rest.pop(int(np.argmin(errors)))])
    np.testing.assert_array_equal(whole.agreed.loadings, expected)
