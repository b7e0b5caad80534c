"""The processes of `torchrun`, joined to a group that trains together."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from modulae.core.processes.group import end_group, start_group
from modulae.core.processes.ranks import ALONE, Ranks, current_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = timedelta(days=7)
"""How long a process waits for another: longer than any work that one does alone, as torchrun ends all with the first
that ends badly."""


def n_processes() -> int:
    """How many processes `torchrun` started for this command."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The group, until the end of the block; after an error it is left to end with the process, which waits for nobody.

    Gradients go through NCCL where each process has a GPU, everything else through Gloo.
    """
    if n_processes() == 1:
        yield ALONE
        return
    import torch

    backend = "gloo"
    if device.startswith(("auto", "cuda")) and torch.cuda.is_available():
        here, there_are = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if here >= there_are:
            msg = (
                f"there are more processes on this machine than its {there_are} GPUs. Start one a GPU: "
                f"torchrun --nproc-per-node {there_are} …; or train on the CPU: --device cpu."
            )
            raise ValueError(msg)
        torch.cuda.set_device(here)
        backend = "cpu:gloo,cuda:nccl"
    start_group(backend, PATIENCE)
    yield current_ranks()
    end_group()


def refuse_many(command: str) -> None:
    """Commands besides `train` write the same files in every process."""
    if n_processes() > 1:
        msg = f"{command} works in one process, and torchrun started {n_processes()}. Start it without torchrun."
        raise ValueError(msg)
