"""What a user gave is refused with the name of the parameter, what was given and what to give instead."""

from typing import Literal

import numpy as np
import pytest

from modulae.core.checks import check_choice, check_integer, check_number, check_seed

Colour = Literal["red", "green"]


@pytest.mark.parametrize("value", [1, 3, np.int32(2)])
def test_an_integer_within_its_bounds_is_taken(value):
    check_integer("n", value, minimum=1, maximum=3)


@pytest.mark.parametrize("value", [0, 4, 2.0, True, "2", None, np.float64(2)])
def test_another_integer_is_refused(value):
    with pytest.raises(ValueError, match=r"^n is .*; give a whole number of at least 1\.$"):
        check_integer("n", value, minimum=1, maximum=3)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.25), np.int64(0)])
def test_a_number_within_its_bounds_is_taken(value):
    check_number("share", value, minimum=0, below=1, give="a share")


@pytest.mark.parametrize("value", [-0.1, 1, True, "0.5", None, 0.5j, np.complex64(0.5), float("nan")])
def test_another_number_is_refused(value):
    with pytest.raises(ValueError, match=r"^share is .*; give a share\.$"):
        check_number("share", value, minimum=0, below=1, give="a share")


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [({"minimum": 1}, 1, 0.5), ({"above": 1}, 1.5, 1), ({"maximum": 1}, 1, 1.5), ({"below": 1}, 0.5, 1)],
)
def test_each_bound_counts(bounds, good, bad):
    check_number("x", good, give="another", **bounds)
    with pytest.raises(ValueError, match="give another"):
        check_number("x", bad, give="another", **bounds)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_no_number_is_infinite(value):
    with pytest.raises(ValueError, match=r"x is -?inf; give another"):
        check_number("x", value, give="another")


def test_a_choice_is_one_of_those_of_its_type():
    check_choice("colour", "red", Colour)
    check_choice("colour", None, Colour, none="for grey")
    with pytest.raises(ValueError, match=r"^colour is 'blue'; choose one of \['red', 'green'\]\.$"):
        check_choice("colour", "blue", Colour)
    with pytest.raises(ValueError, match=r"^colour is None; choose one of \['red', 'green'\]\.$"):
        check_choice("colour", None, Colour)
    with pytest.raises(ValueError, match=r"^colour is 0; choose one of \['red', 'green'\], or None for grey\.$"):
        check_choice("colour", 0, Colour, none="for grey")


def test_the_largest_seed_is_taken():
    check_seed(2**32 - 1)
    with pytest.raises(ValueError, match="such as 0"):
        check_seed(2**32)
