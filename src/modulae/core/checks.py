"""Numbers that a user gave, refused before they are used."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

SEEDS = 2**32
"""What scikit-learn and UMAP take as a seed lies below."""


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, Python's or NumPy's: loops over `np.arange` give the latter."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_integer(name: str, value: object, *, minimum: int) -> None:
    """Raise unless an integer, or too low a one."""
    if not is_integer(value) or value < minimum:
        msg = f"{name} is {value!r}; give a whole number of at least {minimum}."
        raise ValueError(msg)


def check_seed(seed: object) -> None:
    """Refuse what is no seed; `None` neither, as its numbers would not come back."""
    if not is_integer(seed) or not 0 <= seed < SEEDS:
        msg = f"seed is {seed!r}; give a whole number from 0 to {SEEDS - 1}, such as 0."
        raise ValueError(msg)


def check_block(size: object) -> None:
    """Refuse a number of cells per block with which some cells, or all, would be passed over."""
    if not is_integer(size) or size < 1:
        msg = "batch_size is no whole number of at least 1. Leave it out, or give one such as 128."
        raise ValueError(msg)
