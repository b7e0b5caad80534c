"""How many threads a training step is worth."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_THREAD_BELOW = 10_000_000
"""Multiplications in the largest matrix product of a step (cells × genes × hidden) that one thread does faster.

On a busy machine, threads that wait for each other make such small steps ten times slower.
"""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Use one torch thread for small steps; what was set before comes back at the end."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < ONE_THREAD_BELOW else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
