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
    result = np.asarray(value.compute(scheduler="synchronous"))
    if result.dtype.kind == "T":  # NumPy's text of any length
        result = result.astype(object)
    return result.item() if result.ndim == 0 else result
