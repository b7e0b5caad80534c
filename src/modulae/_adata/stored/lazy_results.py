"""Results that a lazily read file leaves on disk."""

from __future__ import annotations

from typing import Any

import numpy as np


def loaded(value: Any) -> Any:  # noqa: ANN401
    """A result with the arrays in it in memory, which a lazily read file leaves on disk."""
    if isinstance(value, dict):
        return {name: loaded(part) for name, part in value.items()}
    if not hasattr(value, "compute"):
        return value
    found = np.asarray(value.compute(scheduler="synchronous"))
    if found.dtype.kind == "T":  # NumPy's text of any length
        found = found.astype(object)
    return found.item() if found.ndim == 0 else found
