"""Where a device fails, a GPU without memory above all: smaller blocks of cells, and then the CPU."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from modulae.core.array_backend import pick_device

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

SMALLER = 8
"""Times that blocks get smaller where memory is short."""

SMALLEST = 64
"""Times that they are smaller at most; then the CPU computes."""


def in_parts(size: int, parts: int) -> int:
    """Cells of a block, where blocks have to be smaller by `parts`; what was asked for where not."""
    return size if parts == 1 else max(size // parts, 1)


class Fallback:
    """A device until it fails; from then on, what is run here is computed where the last work succeeded."""

    def __init__(self, device: str, *, smallest: int = SMALLEST) -> None:
        """Start on this device; `smallest` is 1 for work whose blocks cannot be made smaller."""
        self.device, self.parts, self._smallest = pick_device(device), 1, smallest

    def run(self, work: Callable[..., T]) -> T:
        """`work(device=, parts=)`, which takes blocks smaller by `parts`, again and again until it succeeds.

        What fails on a CPU is raised. One warning says that the CPU computes instead, and why.
        """
        while True:
            device, parts = self.device, self.parts
            try:
                return work(device=device, parts=parts)
            except RuntimeError as error:
                if device == "cpu":
                    raise
                if (device, parts) == (self.device, self.parts):  # else another thread has seen to it
                    self._give_way(error)
            _release_memory()  # only here, as the error held on to what was on the device

    def _give_way(self, error: RuntimeError) -> None:
        if _of_memory(error) and self.parts < self._smallest:
            self.parts *= SMALLER
            return
        failed, self.device, self.parts = self.device, "cpu", 1
        said = next(iter(str(error).splitlines()), type(error).__name__)
        msg = (
            f"device {failed!r} failed, and the CPU computes instead, which is slower: {said}. To compute there from "
            "the start: device='cpu'."
        )
        warnings.warn(msg, UserWarning, stacklevel=3)


def _of_memory(error: RuntimeError) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)


def _release_memory() -> None:
    """Give back what torch keeps for later; a GPU that is broken refuses that, too."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        with suppress(RuntimeError):
            torch.cuda.empty_cache()
