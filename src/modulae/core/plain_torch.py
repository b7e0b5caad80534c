"""Computing with torch as if nobody had set anything in it, whatever another package of the same program has set."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AUTOCAST_OF = ("cpu", "cuda", "mps")
"""Devices on which products may have been told to take half of the digits."""


class Shared:
    """What belongs to a whole process, set while any of its threads is inside.

    The first thread to come sets it, the last to go puts back what was there.
    """

    def __init__(self, settings: Callable[..., AbstractContextManager[Any]]) -> None:
        """`settings` sets it on entering, and puts back what was there on leaving."""
        self._lock, self._inside, self._before, self._settings = Lock(), 0, ExitStack(), settings

    @contextmanager
    def __call__(self, *how: Any) -> Iterator[None]:  # noqa: ANN401
        """Inside, with the settings of the first thread."""
        with self._lock:
            if not self._inside:
                self._before.enter_context(self._settings(*how))
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._before.close()


@contextmanager
def plain_torch() -> Iterator[None]:
    """Everything that computes with torch enters here, or a function that this decorates.

    Inside, gradients are recorded, tensors lie on the CPU unless told otherwise, numbers keep all their digits, also
    the smallest, and no operation is refused. Not for generators: what they yield to would run inside, too.
    """
    torch = sys.modules.get("torch")
    if torch is None:  # then nobody has set anything
        yield
        return
    with ExitStack() as stack:
        stack.enter_context(_of_process())
        for kind in AUTOCAST_OF:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(flush_denormal(on=False))
        yield


@contextmanager
def flush_denormal(*, on: bool) -> Iterator[None]:
    """Whether numbers below the smallest normal one count as 0, which spares a CPU a factor of ten; undone at the end.

    A matter of each thread.
    """
    import torch

    was_on = bool(torch.tensor([torch.finfo(torch.float32).tiny], device="cpu").div(4).item() == 0)
    torch.set_flush_denormal(on)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_on)


@contextmanager
def _process_settings() -> Iterator[None]:
    import torch

    dtype, less_exact = torch.get_default_dtype(), list(_less_exact(torch))
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(mode=False)
        for settings, _ in less_exact:
            settings.fp32_precision = "ieee"
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warn)
        for settings, before in less_exact:
            settings.fp32_precision = before


def _less_exact(torch: Any) -> Iterator[tuple[Any, str]]:  # noqa: ANN401
    """Settings, and what they are, by which products of float32 need not keep all digits."""
    for backend in (torch.backends.cuda, torch.backends.mkldnn):
        settings = getattr(backend, "matmul", None)
        before = getattr(settings, "fp32_precision", "none")  # torch has it since 2.9; before, a CPU is exact
        if before not in {"none", "ieee"}:
            yield settings, before


_of_process = Shared(_process_settings)
