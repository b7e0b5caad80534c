"""How long steps are, and for which epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modulae.core.model.config import Config

DECODER_SHARE = 0.4
"""Share of the epochs in which the decoder learns alone."""


def learning_rate(epoch: int, config: Config) -> float:
    """Step size in an epoch, counted from 1: constant, or falling from the first epoch to the last on a half cosine."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / config.max_epochs))


def decoder_epochs(config: Config) -> int:
    """How many epochs the decoder learns alone."""
    return max(1, round(DECODER_SHARE * config.max_epochs))


def falling_rate(epoch: int, done: float, config: Config) -> float:
    """Step size of parts in an epoch, counted from 1, of which a share is done.

    Constant, or falling in either phase from full to 0 on a half cosine.
    """
    if config.schedule == "constant":
        return config.learning_rate
    first = decoder_epochs(config)
    before, length = (0, first) if epoch <= first else (first, config.max_epochs - first)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch - 1 - before + done) / length))
