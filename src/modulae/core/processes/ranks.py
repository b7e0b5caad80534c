"""Processes that train one model together, through PyTorch's distributed package."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


T = TypeVar("T")

ROWS_PER_MESSAGE = 65_536
"""Rows of a result that a rank sends to the others at once."""

LOST = ("gloo", "connection", "nccl", "socket", "tcpstore")
"""Words, one of which stands in every message of PyTorch about a process that has gone."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of how many processes this is. All of them call the methods in the same order."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes, warns and draws progress."""
        return self.rank == 0

    @plain_torch()
    def gather(self, value: T) -> list[T]:
        """What every rank gives, in the order of ranks."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        result: list[Any] = [None] * self.size
        with self.watched():
            dist.all_gather_object(result, value)
        return result

    def each(self, do: Callable[[], T]) -> list[T]:
        """What `do` gives on every rank; an error on any of them is raised on all."""
        if self.size == 1:
            return [do()]
        done: tuple[T | None, Exception | None]
        try:
            done = do(), None
        except Exception as error:  # noqa: BLE001 - raised below, on every rank
            done = None, error
        result = self.gather(done)
        if done[1] is not None:
            raise done[1]  # its own, with where it was
        wrong = [failure for _, failure in result if failure is not None]
        if wrong:
            raise wrong[0]
        return [cast("T", value) for value, _ in result]

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives on the first rank, or the error that it raises there; the others don't call it."""
        return cast("T", self.each(lambda: make() if self.first else None)[0])

    def total(self, part: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over ranks, the same to the last bit on all."""
        return np.asarray(sum(self.gather(part)))

    def share(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Consecutive ones of these rows for this rank; each is in the share of one rank."""
        return rows if self.size == 1 else np.array_split(rows, self.size)[self.rank]

    def joined(self, mine: NDArray[Any]) -> NDArray[Any]:
        """The rows of all ranks one below the other, on every rank."""
        if self.size == 1:
            return mine
        sizes = self.gather(len(mine))
        starts = np.cumsum([0, *sizes[:-1]])
        whole = np.empty((sum(sizes), *mine.shape[1:]), dtype=mine.dtype)
        for index in range(0, max(sizes), ROWS_PER_MESSAGE):  # in pieces, so that what is on its way stays small
            for start, piece in zip(starts, self.gather(mine[index : index + ROWS_PER_MESSAGE]), strict=True):
                whole[start + index : start + index + len(piece)] = piece
        return whole

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say in plain words that another process has ended, where PyTorch speaks of sockets."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not any(word in str(error).lower() for word in LOST):
                raise
            msg = (
                f"another process of this training has ended, or can't be reached any more ({_first_line(error)}); its "
                "own message says why. Start all of them again (with checkpoint=, the training goes on from there)."
            )
            raise ConnectionError(msg) from error

    def check_same(self, what: str, value: object) -> None:
        """Refuse ranks that were given different things: each would wait for what another never does."""
        result = self.gather(value)
        differ = [str(rank) for rank, other in enumerate(result) if other != result[0]]
        if differ:
            msg = (
                f"the processes were given different {what} (rank {', '.join(differ)} than rank 0). Call this with the "
                "same whole data and settings in every process: each takes its own share of the cells."
            )
            raise ValueError(msg)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


ALONE = Ranks()


def current_ranks() -> Ranks:
    """The process group that torch.distributed has, if it has one."""
    dist = sys.modules.get("torch.distributed")  # without it nobody has started a group
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return ALONE
    return Ranks(dist.get_rank(), dist.get_world_size())
