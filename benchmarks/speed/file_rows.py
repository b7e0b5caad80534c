"""Rows of counts in a file: modulae's reading against anndata's own, a block of consecutive rows at a time.

`python -m benchmarks.speed.file_rows`. A file of 100 000 cells × 2000 genes, a tenth of the counts above 0, as h5ad
without compression and as zarr as anndata writes it; all rows in order, 4096 at a time, and random blocks of 256 rows.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
import zarr
from anndata.io import sparse_dataset
from scipy import sparse

from benchmarks.table import lines_of
from modulae._counts.file_rows import FileRows

from .rounds import median, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, GENES, SHARE = 100_000, 2000, 0.1
BLOCK, RANDOM_BLOCK, N_RANDOM = 4096, 256, 200
ROUNDS = 3


def counts(n_rows: int) -> sparse.csr_matrix:
    """Random counts, a tenth of them above 0."""
    rng = np.random.default_rng(0)
    return sparse.random(
        n_rows, GENES, SHARE, "csr", np.float32, rng, lambda size: rng.poisson(2, size).astype(np.float32) + 1
    )


def read_all(read: Callable[[slice], Any], blocks: list[slice]) -> None:
    """Read every block, and keep none."""
    for rows in blocks:
        read(rows)


def readers(path: Path) -> dict[str, Callable[[slice], Any]]:
    """Ways to read rows of a file, by what they are called."""
    store: Any = h5py.File(path, "r")["X"] if path.suffix == ".h5ad" else zarr.open(path, mode="r")["X"]
    theirs: Any = sparse_dataset(store)
    lazy: Any = ad.experimental.read_lazy(path).X
    return {
        "modulae": FileRows(theirs).__getitem__,
        "anndata, sparse_dataset": theirs.__getitem__,
        "anndata, read_lazy": lambda rows: lazy[rows].compute(scheduler="synchronous"),
    }


def rows_of_table() -> list[dict[str, str]]:
    """Write the files, and read them."""
    matrix = counts(ROWS)
    in_order = [slice(start, min(start + BLOCK, ROWS)) for start in range(0, ROWS, BLOCK)]
    starts = np.random.default_rng(1).integers(0, ROWS - RANDOM_BLOCK, size=N_RANDOM)
    at_random = [slice(int(start), int(start) + RANDOM_BLOCK) for start in starts]
    orders = {"in order": in_order, f"{N_RANDOM} random blocks": at_random}
    result = []
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("h5ad", "zarr"):
            path = Path(folder) / f"counts.{ending}"
            getattr(ad.AnnData(matrix), f"write_{ending}")(path)
            ways = readers(path)
            times = {
                order: take_turns({way: partial(read_all, read, blocks) for way, read in ways.items()}, n_rounds=ROUNDS)
                for order, blocks in orders.items()
            }
            result += [
                {
                    "file": ending,
                    "read by": way,
                    **{f"{order}, s": f"{median(times[order][way]):.2f}" for order in orders},
                }
                for way in ways
            ]
    return result


if __name__ == "__main__":
    print("\n".join(lines_of(rows_of_table())))
