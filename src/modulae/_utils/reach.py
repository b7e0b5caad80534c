"""Tests that can find nothing, whatever the data."""

from __future__ import annotations

import warnings

from .stacklevel import user_stacklevel

SIGNIFICANT = 0.05
"""What q is usually held against."""


def warn_out_of_reach(smallest: float, *, why: str, p: str = "p", instead: str) -> None:
    """Warn where the smallest p that any data could give is above the level: then no q is below it either.

    Parameters
    ----------
    smallest
        The smallest p of the most favourable of all tests.
    why
        Why it is no smaller: the beginning of a sentence.
    p
        Name of the p-value.
    instead
        The next step, a sentence.
    """
    if smallest > SIGNIFICANT:
        q = f"q{p[1:]}"
        warnings.warn(
            f"{why}: no {p} can be below {smallest:.2g}, so that no {q} reaches {SIGNIFICANT:g} whatever the data. "
            f"{instead}",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
