"""What follows a training, done by its processes together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .encode import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.stored_cells import Source
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks


def encode_together(network: Network, cells: Source, ranks: Ranks) -> NDArray[np.float32]:
    """The representation, cells × units, on every rank, of which each encodes a share of the cells."""
    if ranks.size == 1:
        return encode(network, cells)
    return ranks.joined(encode(network, cells.take(ranks.share(np.arange(len(cells))))))
