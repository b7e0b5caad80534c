"""A training that does not end where a device fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modulae.core.fallback import Fallback
from modulae.core.processes.ranks import ALONE

from .train import train

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.processes.ranks import Ranks

    from .train import Training


def train_anywhere(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    *,
    device: str = "cpu",
    ranks: Ranks = ALONE,
    **how: Any,  # noqa: ANN401
) -> Training:
    """:func:`.train.train`, from its start or its last checkpoint on the CPU where the device fails, with a warning.

    Of several ranks none can go elsewhere alone: there, the error is raised.
    """
    if ranks.size > 1:
        return train(cells, test, config, device=device, ranks=ranks, **how)

    def attempt(*, device: str, parts: int) -> Training:  # noqa: ARG001 (steps have the size that was asked for)
        return train(cells, test, config, device=device, **how)

    return Fallback(device, smallest=1).run(attempt)
