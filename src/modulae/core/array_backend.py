"""The few operations that NumPy and PyTorch name differently, so that the network is written once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

SOFTPLUS_THRESHOLD = 20.0
"""Above it SoftPlus is the identity, as in `torch.nn.functional.softplus`."""

SHARE_OF_FREE = 32
"""Of a GPU's free memory a block of cells × genes gets one part in so many: a result needs several such arrays."""

MAX_BYTES = 2**28
"""Beyond it, a block keeps a GPU no busier."""


class Array(Protocol):
    """What arrays of NumPy and tensors of torch share, as far as the networks use it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many along each axis."""

    @property
    def dtype(self) -> Any:  # noqa: ANN401
        """Of the numbers."""

    @property
    def T(self) -> Array:  # noqa: N802
        """Axes the other way round."""

    def __getitem__(self, key: Any, /) -> Array: ...  # noqa: ANN401
    def __add__(self, other: Any, /) -> Array: ...  # noqa: ANN401
    def __radd__(self, other: Any, /) -> Array: ...  # noqa: ANN401
    def __mul__(self, other: Any, /) -> Array: ...  # noqa: ANN401
    def __rmul__(self, other: Any, /) -> Array: ...  # noqa: ANN401
    def __matmul__(self, other: Any, /) -> Array: ...  # noqa: ANN401
    def __gt__(self, other: Any, /) -> Array: ...  # noqa: ANN401


def is_torch(x: object) -> TypeGuard[torch.Tensor]:
    """Whether `x` is a tensor, without importing torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def softplus(x: Any, beta: float) -> Array:  # noqa: ANN401
    """Log(1 + exp(βx)) / β, the identity where βx > 20 (Dugas et al. 2001)."""
    if is_torch(x):
        from torch.nn import functional

        return functional.softplus(x, beta=beta, threshold=SOFTPLUS_THRESHOLD)
    scaled = x * beta
    soft = (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta
    return np.asarray(np.where(scaled > SOFTPLUS_THRESHOLD, x, soft))


def softplus_slope(x: Any, beta: float) -> Array:  # noqa: ANN401
    """Derivative of :func:`softplus`: 1 / (1 + exp(−βx)), and 1 where βx > 20."""
    scaled = x * beta
    if is_torch(x):
        return scaled.sigmoid().where(scaled <= SOFTPLUS_THRESHOLD, 1.0)  # type: ignore[no-any-return]
    # tanh does not overflow where exp would
    slope = np.where(scaled > SOFTPLUS_THRESHOLD, 1, 0.5 * (1 + np.tanh(0.5 * scaled)))
    return slope.astype(x.dtype, copy=False)


def expm1(x: Any) -> Array:  # noqa: ANN401
    """exp(x) − 1."""
    return x.expm1() if is_torch(x) else np.asarray(np.expm1(x))


def clamp_min(x: Any, minimum: float) -> Array:  # noqa: ANN401
    """The values, none below `least`."""
    return x.clamp_min(minimum) if is_torch(x) else np.asarray(np.maximum(x, x.dtype.type(minimum)))


def concatenate(parts: Sequence[Any]) -> Any:  # noqa: ANN401
    """Arrays one after the other along the first axis."""
    if len(parts) == 1 or not is_torch(parts[0]):
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    import torch

    return torch.cat(list(parts))


def inverse_softplus(y: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """The x > −∞ whose SoftPlus is `y` > 0."""
    scaled = y * beta
    return np.asarray(y + np.log(-np.expm1(-scaled)) / beta)


def to_numpy(x: Array) -> NDArray[Any]:
    """Bring a result back to host memory."""
    return np.asarray(x.detach().cpu().numpy() if is_torch(x) else x)


def cells_at_once(device: str, width: int, minimum: int) -> int:
    """How many cells to compute with at once, so that a GPU is kept busy: what a part of its free memory holds.

    Elsewhere, and where there is no more room, `least`. `width` is the most numbers that an array has of each cell.
    """
    if not device.startswith("cuda"):
        return minimum
    import torch

    with torch.cuda.device(device):  # which takes "cuda" for the current one in every version
        free, _ = torch.cuda.mem_get_info()
    return max(minimum, min(free // SHARE_OF_FREE, MAX_BYTES) // (4 * width))


def _may_have_gpu() -> bool:
    """Whether it is worth the seconds that torch takes to load to ask it for a GPU: does its driver's device exist."""
    if sys.platform != "linux":
        return True
    return any(
        Path(device).exists() for device in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg", "/dev/dri")
    )


def pick_device(device: str) -> str:
    """Resolve `"auto"` to the best device there is, and refuse one that is not there.

    The inference steps run on NumPy where the answer is `"cpu"`, so torch is loaded only for
    something else.
    """
    if device == "cpu" or (device == "auto" and "torch" not in sys.modules and not _may_have_gpu()):
        return "cpu"
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        msg = (
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]}). Use device='auto' or device='cpu'."
        )
        raise ValueError(msg) from error
    return device
