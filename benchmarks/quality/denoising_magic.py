"""MAGIC on half of the counts, for benchmarks/quality/denoising.py.

Runs in an environment of its own (see benchmarks/peers/requirements.txt), without modulae:

    python benchmarks/quality/denoising_magic.py given.npz made.npz
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def smooth(given: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """The columns asked for, after each number of steps: what MAGIC's exact solver does, with a sparse matrix."""
    import magic

    seen = given["roots"].any(axis=0)
    spread = magic.MAGIC(n_jobs=1, random_state=0, verbose=0).fit(given["roots"][:, seen]).graph.diff_op
    smoothed, found = given["roots"][:, given["columns"]], []
    for step in range(1, max(given["steps"]) + 1):
        smoothed = spread @ smoothed
        if step in given["steps"]:
            found.append(smoothed)
    return np.array(found, dtype=np.float32)


if __name__ == "__main__":
    source, target = sys.argv[1:]
    np.savez(target, smoothed=smooth(np.load(source)))
