"""A training by several processes: settings that they can train with, and what follows it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from modulae.core.array_backend import pick_device
from modulae.core.inference.encode import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks


def resolve_settings(config: Config, device: str, ranks: Ranks) -> tuple[Config, str]:
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


def encode_on_all_ranks(
    network: Network, cells: Source, ranks: Ranks, on_cells: Callable[[int], object] = lambda _n: None
) -> NDArray[np.float32]:
    """The representation, cells × units, on every rank, of which each encodes a share and tells how many it has."""
    if ranks.size == 1:
        return encode(network, cells, on_cells=on_cells)
    return ranks.joined(encode(network, cells.take(ranks.share(np.arange(len(cells)))), on_cells=on_cells))
