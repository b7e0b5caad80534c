"""Compile loops by calling them once, and keep them on disk for the next time where that can be."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numba

from .simd import WIDTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

COMPILED: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "nogil": True}
"""How loops are compiled."""

# copied into the stage that calls it: a call would count references to its arrays, slower than the work on a row
inline = numba.njit(inline="always", **COMPILED)
# called by what is compiled alone: what unpacks arguments from Python takes as long to compile as a stage itself
stage: Any = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **COMPILED)  # type: ignore[call-overload]


def digest(files: Iterable[Path]) -> int:
    """Of the text of these files, and the processor.

    Numba finds again what it has kept by the file of a function and by the variables around it; so one of these says
    what else the code is made of.
    """
    return int.from_bytes(
        blake2b(b"".join(file.read_bytes() for file in files) + bytes([WIDTH]), digest_size=7).digest()
    )


def first_call(module: Any, name: str, call: Callable[[], object]) -> str:  # noqa: ANN401
    """Compile a function of a module, or read it from disk, by a call that needs it; returns why it can't be kept.

    What was kept and is damaged is compiled again with `module.compiled(keep=False)`.
    """
    if not getattr(module, name).stats.cache_path:
        call()
        return "numba has found no folder that it may write to"
    try:
        call()
    except OSError as error:  # the loops are compiled before they are written
        call()
        return in_one_line(error)
    except Exception as error:  # noqa: BLE001 - what was kept is damaged
        setattr(module, name, module.compiled(keep=False))
        call()
        return in_one_line(error)
    return ""


def check_compiler() -> None:
    """Raise where numba compiles nothing."""
    if getattr(numba.config, "DISABLE_JIT", False):
        msg = "its compiler is off: numba.config.DISABLE_JIT, or NUMBA_DISABLE_JIT in the environment"
        raise RuntimeError(msg)


def in_one_line(error: Exception) -> str:
    """What an error says first."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
