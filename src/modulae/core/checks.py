"""Numbers that a user gave, refused before they are used."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np

SEEDS = 2**32
"""What scikit-learn and UMAP take as a seed lies below."""


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, Python's or NumPy's: loops over `np.arange` give the latter."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_whole(name: str, value: object, *, least: int) -> None:
    """Refuse what is no whole number, or too low a one."""
    if not is_whole(value) or value < least:
        msg = f"{name} is {value!r}; give a whole number of at least {least}."
        raise ValueError(msg)


def check_seed(seed: object) -> None:
    """Refuse what is no seed; `None` neither, as its numbers would not come back."""
    if not is_whole(seed) or not 0 <= seed < SEEDS:
        msg = f"seed is {seed!r}; give a whole number from 0 to {SEEDS - 1}, such as 0."
        raise ValueError(msg)


def check_block(size: object) -> None:
    """Refuse a number of cells per block with which some cells, or all, would be passed over."""
    if not is_whole(size) or size < 1:
        msg = "batch_size is no whole number of at least 1. Leave it out, or give one such as 128."
        raise ValueError(msg)
