"""Whether numba can compile the steps of training here, and keep them on disk for the next time."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network


@cache
def trouble() -> str:
    """Why the steps can't be compiled here; empty where they can, and then they are.

    What can't be had, or can't be kept, is said once in a warning.
    """
    reason = not_kept = ""
    try:
        not_kept = _compile()
    except Exception as error:  # noqa: BLE001 - whatever a compiler meets, torch takes the same steps
        reason = _line(error)
    if reason:
        msg = (
            f"numba can't compile the training steps here ({reason}); torch takes them, which is slower. Repair numba, "
            "or say engine='torch' to be told no more."
        )
        warnings.warn(msg, UserWarning, stacklevel=3)
    elif not_kept:
        msg = (
            f"the compiled training steps can't be kept on disk ({not_kept}): each new session of Python compiles them "
            "again, which takes some ten seconds. Set the environment variable NUMBA_CACHE_DIR to a folder with space "
            "that can be written."
        )
        warnings.warn(msg, UserWarning, stacklevel=3)
    return reason


def _compile() -> str:
    """Compile the steps, or read them from disk; returns why they can't be kept."""
    import numba

    if getattr(numba.config, "DISABLE_JIT", False):
        msg = "its compiler is off: numba.config.DISABLE_JIT, or NUMBA_DISABLE_JIT in the environment"
        raise RuntimeError(msg)
    from . import kernels

    if not kernels.epoch.stats.cache_path:
        _try()
        return "numba has found no folder that it may write to"
    try:
        _try()
    except OSError as error:  # the steps are compiled before they are written
        _try()
        return _line(error)
    except Exception as error:  # noqa: BLE001 - what was kept is damaged
        kernels.epoch = kernels.compiled(keep=False)
        _try()
        return _line(error)
    return ""


def _try() -> None:
    """Call the steps with the types of every training."""
    from .numba_engine import NumbaEngine

    config = Config(n_latent=1, n_hidden=1)
    cells = Cells(sparse.csr_matrix(np.ones((1, 1), dtype=np.float32)), None)
    network = initial_network(config, np.ones(1), np.random.default_rng(0))
    NumbaEngine(network, None, config, 1.0).loss(cells)


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
