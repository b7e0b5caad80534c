"""The group of processes that PyTorch's distributed package keeps: joined, left, and refused."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from .ranks import current_ranks

if TYPE_CHECKING:
    from datetime import timedelta


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
