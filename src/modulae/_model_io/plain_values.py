"""Nested values as JSON can hold them, and their arrays beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def plain(values: Mapping[str, Any], prefix: str, tensors: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """What JSON can hold; arrays go to `tensors`, under the name of where they were."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            result[name] = plain(value, f"{prefix}/{name}", tensors)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
            result[name] = [str(text) for text in value]
        elif isinstance(value, np.ndarray):
            tensors[f"{prefix}/{name}"] = np.ascontiguousarray(value)
            result[name] = None
        else:
            result[name] = value.item() if isinstance(value, np.generic) else value
    return result


def filled(plain: Mapping[str, Any], prefix: str, tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Put back what :func:`plain` took out."""
    return {
        name: filled(value, f"{prefix}/{name}", tensors)
        if isinstance(value, dict)
        else tensors.get(f"{prefix}/{name}", value)
        for name, value in plain.items()
    }
