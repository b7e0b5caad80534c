"""Processes that train one model together, through PyTorch's distributed package."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from modulae.core.array_backend import pick_device
from modulae.core.plain_torch import plain_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta

    from numpy.typing import NDArray

    from modulae.core.model.config import Config

T = TypeVar("T")

ROWS_AT_ONCE = 65_536
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

        found: list[Any] = [None] * self.size
        with self.watched():
            dist.all_gather_object(found, value)
        return found

    def each(self, do: Callable[[], T]) -> list[T]:
        """What `do` gives on every rank; an error on any of them is raised on all."""
        if self.size == 1:
            return [do()]
        done: tuple[T | None, Exception | None]
        try:
            done = do(), None
        except Exception as error:  # noqa: BLE001 - raised below, on every rank
            done = None, error
        found = self.gather(done)
        if done[1] is not None:
            raise done[1]  # its own, with where it was
        wrong = [failure for _, failure in found if failure is not None]
        if wrong:
            raise wrong[0]
        return [cast("T", value) for value, _ in found]

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
        for at in range(0, max(sizes), ROWS_AT_ONCE):  # in pieces, so that what is on its way stays small
            for start, piece in zip(starts, self.gather(mine[at : at + ROWS_AT_ONCE]), strict=True):
                whole[start + at : start + at + len(piece)] = piece
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
        found = self.gather(value)
        differ = [str(rank) for rank, other in enumerate(found) if other != found[0]]
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


def start_group(backend: str, timeout: timedelta | None = None) -> None:
    """Join the processes that `torchrun` started, so that :func:`end_group` can end the group's threads too.

    The functions of `torch.distributed.nn` take as a default the group that is there when they are defined, which
    keeps it. First imported by `DistributedDataParallel`, they would keep this one: its threads would outlive it, and
    one that drops its last tensor while Python ends aborts the process.
    """
    import torch.distributed as dist
    import torch.distributed.nn  # noqa: F401 - see above

    dist.init_process_group(backend, timeout=timeout)


def end_group() -> None:
    """Leave the group, with all that was trained in it gone.

    A `DistributedDataParallel` that outlives the group is what ends it, and waits for the group's threads without
    letting go of Python's lock, which a thread may need to drop its last tensor: both wait for ever.
    """
    import torch.distributed as dist

    gc.collect()  # one in a cycle of references
    dist.destroy_process_group()


def require_alone(what: str) -> None:
    """Refuse a process group where every process would do the same work, or the group would train a model at a time."""
    n = current_ranks().size
    if n > 1:
        msg = f"{what} works in one process, and torch.distributed has {n}. Call it without torchrun."
        raise ValueError(msg)


def settle(config: Config, device: str, ranks: Ranks) -> tuple[Config, str]:
    """Settings, and the device of this process, for a training by these ranks.

    Raises
    ------
    ValueError
        Settings that several processes can't train with.
    """
    picked = pick_device(device)
    if ranks.size == 1:
        return config, picked
    if config.engine == "numba":
        msg = f"engine='numba' trains in one process, and these are {ranks.size}. Use engine='torch', or start one."
        raise ValueError(msg)
    if config.batch_key is not None:
        msg = f"batch_key is for a training in one process, and these are {ranks.size}. Leave it out, or start one."
        raise ValueError(msg)
    if config.batch_size % ranks.size:
        multiple = -(-config.batch_size // ranks.size) * ranks.size
        msg = (
            f"batch_size is {config.batch_size}, the cells of a step in all processes together, and does not divide by "
            f"{ranks.size} processes. Give a multiple of {ranks.size}, such as batch_size={multiple}, or start another "
            "number of processes."
        )
        raise ValueError(msg)
    if picked == "mps":
        if device != "auto":
            msg = "device 'mps' trains in one process. Use device='cpu', or start one process."
            raise ValueError(msg)
        picked = "cpu"
    if picked == "cuda":  # one each; which, torchrun says
        picked = pick_device(f"cuda:{os.environ.get('LOCAL_RANK', ranks.rank)}")
    return replace(config, engine="torch"), picked
