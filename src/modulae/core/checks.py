"""Numbers and choices that a user gave, refused before they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

SEEDS = 2**32
"""What scikit-learn and UMAP take as a seed lies below."""

INFINITE = float("inf")


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, Python's or NumPy's: loops over `np.arange` give the latter."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_integer(
    name: str, value: object, *, minimum: int, maximum: float = INFINITE, give: str | None = None
) -> None:
    """Raise unless an integer in these bounds; `give` is what the message says to give instead."""
    if not is_integer(value) or not minimum <= value <= maximum:
        msg = f"{name} is {value!r}; give {give or f'a whole number of at least {minimum}'}."
        raise ValueError(msg)


def check_number(
    name: str,
    value: object,
    *,
    give: str,
    minimum: float = -INFINITE,
    above: float = -INFINITE,
    below: float = INFINITE,
    maximum: float = INFINITE,
) -> None:
    """Raise unless a finite number in these bounds; `give` is what the message says to give instead."""
    number = is_integer(value) or isinstance(value, float | np.floating)
    if not (number and minimum <= value <= maximum and above < value < below):  # type: ignore[operator]
        msg = f"{name} is {value!r}; give {give}."
        raise ValueError(msg)


def check_choice(name: str, value: object, choices: Any, *, none: str = "") -> None:  # noqa: ANN401
    """Raise unless one of a `Literal`'s values; where `none` says what it stands for, `None` may be given too."""
    if value not in get_args(choices) and not (none and value is None):
        msg = f"{name} is {value!r}; choose one of {list(get_args(choices))}{none and f', or None {none}'}."
        raise ValueError(msg)


def given_list(given: Sequence[T], parameter: str) -> Sequence[T]:
    """What was given, refused where it is no list, or an empty one."""
    if isinstance(given, str) or not hasattr(given, "__len__"):
        what = "the text " if isinstance(given, str) else ""
        msg = f"{parameter} is {what}{given!r}; give a list: {parameter}=[{given!r}]."
        raise TypeError(msg)
    if len(given) == 0:
        msg = f"{parameter} is empty. Name some, or leave it out."
        raise ValueError(msg)
    return given


def check_seed(seed: object) -> None:
    """Refuse what is no seed; `None` neither, as its numbers would not come back."""
    check_integer("seed", seed, minimum=0, maximum=SEEDS - 1, give=f"a whole number from 0 to {SEEDS - 1}, such as 0")
