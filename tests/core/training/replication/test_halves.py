"""Halves of the cells, and of donors."""

import numpy as np
import pytest

from modulae.core.training.replication.halves import FEWEST_DONORS, draw_halves

DONORS = np.random.default_rng(0).permutation(np.repeat([3, 5, 6, 8, 11], [10, 20, 5, 40, 26]))


@pytest.mark.parametrize("donors", [None, DONORS], ids=["cells", "donors"])
def test_every_cell_is_in_one_half_of_each_split(donors):
    halves = draw_halves(101, 7, 0, donors)
    assert len(halves) == 7
    for first, second in halves:
        np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(101))
        for rows in (first, second):
            np.testing.assert_array_equal(rows, np.sort(rows))


def test_halves_of_cells_are_equal_and_differ_from_split_to_split():
    halves = draw_halves(101, 20, 0)
    assert {(len(first), len(second)) for first, second in halves} == {(50, 51)}
    assert len({first.tobytes() for first, _ in halves}) == 20
    often = np.bincount(np.concatenate([first for first, _ in halves]), minlength=101)
    assert often.min() > 0  # no cell is always in the second half: by chance once in 10⁴ such draws
    assert often.max() < 20


def test_a_donor_is_in_one_half_and_all_donors_change_sides():
    halves = draw_halves(len(DONORS), 12, 0, DONORS)
    firsts = [set(DONORS[first].tolist()) for first, _ in halves]
    for donors, (_, second) in zip(firsts, halves, strict=True):
        assert donors.isdisjoint(DONORS[second].tolist())
        assert len(donors) == 2  # of five
    assert set.union(*firsts) == {3, 5, 6, 8, 11}
    assert not set.intersection(*firsts)


@pytest.mark.parametrize("donors", [None, DONORS], ids=["cells", "donors"])
def test_the_seed_decides(donors):
    def flat(seed):
        return np.concatenate([rows for split in draw_halves(101, 8, seed, donors) for rows in (*split, [-1])])

    np.testing.assert_array_equal(flat(4), flat(4))
    assert flat(4).tolist() != flat(5).tolist()


def test_more_splits_begin_with_the_same_ones():
    few, many = draw_halves(50, 2, 1), draw_halves(50, 5, 1)
    for one, other in zip(few, many, strict=False):
        np.testing.assert_array_equal(one[0], other[0])


def test_too_few_donors_are_refused():
    donors = np.arange(40) % (FEWEST_DONORS - 1)
    with pytest.raises(ValueError, match=r"has 3 donors among the training cells.*need 4 or more\. Leave out"):
        draw_halves(40, 5, 0, donors)
    assert len(draw_halves(40, 5, 0, np.arange(40) % FEWEST_DONORS)) == 5
