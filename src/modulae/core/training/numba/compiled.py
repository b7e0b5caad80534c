"""Whether numba can compile the steps of training here, and keep them on disk for the next time."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from modulae.core.compiled.first_call import check_compiler, first_call, in_one_line
from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork

if TYPE_CHECKING:
    from modulae.core.model.config import Architecture


@cache
def trouble(architecture: Architecture = "orthogonal") -> str:
    """Why the steps of a network can't be compiled here; empty where they can, and then they are.

    What can't be had, or can't be kept, is said once in a warning.
    """
    reason, not_kept = outcome(architecture)
    if reason:
        msg = (
            f"numba can't compile the training steps here ({reason}); torch takes them, which is slower. Repair numba, "
            "or silence this warning: engine='torch'."
        )
        warnings.warn(msg, UserWarning, stacklevel=3)
    elif not_kept:
        msg = (
            f"the compiled training steps can't be kept on disk ({not_kept}): each new session of Python compiles them "
            "again, which takes some five seconds. Set the environment variable NUMBA_CACHE_DIR to a folder with space "
            "that can be written."
        )
        warnings.warn(msg, UserWarning, stacklevel=3)
    return reason


@cache
def outcome(architecture: Architecture) -> tuple[str, str]:
    """Compile the steps, or read them from disk: why they can't be had, and why they can't be kept, if so."""
    try:
        check_compiler()
        return "", _compile_parts() if architecture == "parts" else _compile()
    except Exception as error:  # noqa: BLE001 - whatever a compiler meets, torch takes the same steps
        return in_one_line(error), ""


def _compile() -> str:
    """Call the steps with the types of every training; returns why they can't be kept."""
    from . import kernels
    from .numba_engine import NumbaEngine

    network = initial_network(Config(n_latent=1, n_hidden=1), np.ones(1), np.random.default_rng(0))
    return first_call(
        kernels, "epoch", lambda: NumbaEngine(network, None, Config(n_latent=1, n_hidden=1), 1.0).loss(_one_cell())
    )


def _compile_parts() -> str:
    from .parts import kernels
    from .parts.engine import NumbaPartsEngine

    one = np.ones(1, dtype=np.float32)
    network, config = PartsNetwork(one[:, None], one, one[:, None], one), Config(architecture="parts", batch_size=1)
    return first_call(kernels, "work", lambda: NumbaPartsEngine(network, None, config, 1.0).loss(_one_cell()))


def _one_cell() -> Cells:
    return Cells(sparse.csr_matrix(np.ones((1, 1), dtype=np.float32)), np.ones(1, dtype=np.float32))
