"""Whether two trainings read the same cells."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .source import Source

CELLS_PER_BLOCK = 4096
"""Cells of which the fingerprint takes first all lengths, then all genes, then all counts."""


def fingerprint(cells: Source) -> str:
    """Hash of counts and size factors, the same wherever the counts lie."""
    result = hashlib.sha256(f"{len(cells)} {cells.n_genes}".encode())
    for _, block in cells.blocks(CELLS_PER_BLOCK):
        counts = block.counts
        for array in (np.diff(counts.indptr).astype(np.int64), counts.indices.astype(np.int64), counts.data):
            result.update(array.tobytes())
    result.update(b"" if cells.size_factors is None else cells.size_factors.tobytes())
    return result.hexdigest()
