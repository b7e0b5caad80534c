"""Steps recorded once and played back: on a GPU, a small step costs mostly the start of its kernels, one by one."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from .resident_cells import Batch, ResidentCells

STEPS_BEFORE_RECORDING = 3
"""Steps taken one by one before one is recorded, in which libraries and optimiser set themselves up."""

WORTH = 64
"""Steps that have to be left in an epoch, or to have been taken, for a recording to pay."""

_RECORDING = Lock()
"""One at a time: trainings may run in threads, and who starts to record waits for a GPU, which must not record then."""


class Replay:
    """The steps of an epoch, which find their cells, and leave their losses, in tensors that stay where they are.

    So one step does for all, as a CUDA graph, and nothing is read back before the end of the epoch. The first steps,
    and the last with fewer cells, are taken one by one: they move the weights like any other.
    """

    def __init__(self, size: int, device: str) -> None:
        """Take `size` cells per step."""
        self._size, self._device = size, device
        self._ahead = torch.arange(size, device=device)
        self._at = torch.zeros((), dtype=torch.int64, device=device)
        self._total = torch.zeros((), dtype=torch.float64, device=device)
        self._stream = torch.cuda.Stream(device) if device.startswith("cuda") else None  # type: ignore[no-untyped-call]
        self.forget()

    def read(self, train_cells: ResidentCells) -> None:
        """The cells that the next steps learn from."""
        self._train_cells = train_cells
        self._order = torch.zeros(train_cells.n_cells, dtype=torch.int64, device=self._device)
        self.forget()

    def forget(self) -> None:
        """Record anew: cells, weights, or what the optimiser remembers of them, lie elsewhere now."""
        self._play: Callable[[], None] | None = None
        self._taken = 0
        self._may_record = self._stream is not None

    def epoch(self, order: NDArray[np.intp], step: Callable[[Batch], torch.Tensor]) -> float:
        """Step through the cells in this order, with `step`, which returns a mean loss; returns their summed losses."""
        n_steps, rest = divmod(len(order), self._size)
        self._order[: len(order)].copy_(torch.from_numpy(order))
        self._at.zero_()
        self._total.zero_()
        with _on(self._stream):
            for turn in range(n_steps):
                worth = max(n_steps - turn, self._taken) >= WORTH
                if self._may_record and self._taken >= STEPS_BEFORE_RECORDING and worth:
                    self._play, self._may_record = self._recorded(step), False
                if self._play is None:
                    self._next(step)
                else:
                    self._play()
                self._taken += 1
            if rest:
                rows = self._order[len(order) - rest : len(order)]
                self._total += step(self._train_cells.padded(rows)) * rest
            return float(self._total)

    def _next(self, step: Callable[[Batch], torch.Tensor]) -> None:
        rows = self._order[self._at + self._ahead]
        self._total += step(self._train_cells.padded(rows)) * self._size
        self._at += self._size

    def _recorded(self, step: Callable[[Batch], torch.Tensor]) -> Callable[[], None] | None:
        """What repeats the step, which is not taken here."""
        graph = torch.cuda.CUDAGraph()
        try:
            # what other threads ask of the GPU meanwhile is neither recorded nor refused
            with _RECORDING, torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._next(step)
        except RuntimeError as error:
            said = next(iter(str(error).splitlines()), "")
            msg = f"training steps can't be recorded as a CUDA graph, and are taken one by one, which is slower: {said}"
            warnings.warn(msg, UserWarning, stacklevel=2)
            return None
        return graph.replay


@contextmanager
def _on(stream: torch.cuda.Stream | None) -> Iterator[None]:
    """Compute in a stream of its own, which a recording needs, after what was asked for before, and before the rest."""
    if stream is None:
        yield
        return
    around = torch.cuda.current_stream(stream.device)
    stream.wait_stream(around)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:  # also of an interrupted epoch, whose last steps are still under way while their memory is freed
        around.wait_stream(stream)
