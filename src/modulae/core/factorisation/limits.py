"""When sweeps over the parts have nothing left to do: for compiled loops, NumPy and batches alike."""

from __future__ import annotations

import numpy as np

LOOK_EVERY = 8
"""Sweeps after which it is looked at whether the last one has changed anything."""

SETTLED = 1e-6
"""Changes of a sweep, beside the largest number, that end the sweeps."""

LEAST = float(np.finfo(np.float32).tiny)
"""A part whose other factor has less than this sum of squares is nothing, and stays as it is."""
