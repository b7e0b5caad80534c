"""Simulated atlases of any size, written to disk a block of cells at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_GENES, N_GROUPS, NON_ZERO = 2000, 8, 0.07
CELLS_AT_ONCE = 4096


def blocks(n_cells: int, *, seed: int = 0, n_threads: int = 1) -> Iterator[tuple[sparse.csr_matrix, np.ndarray]]:
    """Counts and groups of cells, a block at a time; with several threads, all that are not yet asked for are kept.

    Eight groups of cells that differ in a tenth of the genes, and depths that differ about threefold. Cells of a group
    lie together in runs of 4096 (of a sixteenth of the cells where these are few), as samples do in a file that was
    put together from many: the worst for training in the order of the file.
    """
    rng = np.random.default_rng([seed, 0])
    base = rng.normal(0, 1.5, N_GENES)
    change = rng.normal(0, 1.2, (N_GROUPS, N_GENES)) * (rng.random((N_GROUPS, N_GENES)) < 0.1)
    rates = np.exp(base + change)
    depth = rng.lognormal(0, 0.4, 1000)
    scale, run = 1.0, min(CELLS_AT_ONCE, max(n_cells // 16, 1))
    for _ in range(30):  # to the share of counts that are not zero
        expected = np.mean([1 - np.exp(-scale * one * rates).mean() for one in depth[:50]])
        scale *= NON_ZERO / expected

    def block(number: int) -> tuple[sparse.csr_matrix, np.ndarray]:
        draw, start = np.random.default_rng([seed, 1, number]), number * CELLS_AT_ONCE
        n = min(CELLS_AT_ONCE, n_cells - start)
        groups = (start + np.arange(n)) // run % N_GROUPS
        expected = (scale * draw.lognormal(0, 0.4, (n, 1))).astype(np.float32) * rates[groups].astype(np.float32)
        return sparse.csr_matrix(draw.poisson(expected).astype(np.float32)), groups

    numbers = range(-(-n_cells // CELLS_AT_ONCE))
    if n_threads == 1:
        yield from map(block, numbers)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        yield from pool.map(block, numbers)


def write(path: Path, n_cells: int, *, seed: int = 0) -> None:
    """An `.h5ad` file or a `.zarr` folder that anndata reads, without ever holding more than a block."""
    import h5py
    import zarr
    from anndata.io import write_elem

    store: Any = h5py.File(path, "w") if path.suffix == ".h5ad" else zarr.open_group(path, mode="w", zarr_format=3)
    store.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
    matrix = store.create_group("X")
    matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": [n_cells, N_GENES]})
    ends, groups, filled = [np.zeros(1, dtype=np.int64)], [], 0
    arrays = {name: _growing(matrix, name, kind) for name, kind in (("data", "f4"), ("indices", "i4"))}
    for counts, of_block in blocks(n_cells, seed=seed):
        for name, array in arrays.items():
            array.resize((filled + counts.nnz,))
            array[filled:] = getattr(counts, name)
        ends.append(counts.indptr[1:] + filled)
        filled += counts.nnz
        groups.append(of_block)
    write_elem(matrix, "indptr", np.concatenate(ends))
    names = pd.Index([f"cell_{at}" for at in range(n_cells)])
    labels = pd.Categorical([f"group {at}" for at in range(N_GROUPS)])[np.concatenate(groups)]
    write_elem(store, "obs", pd.DataFrame({"group": labels}, index=names))
    write_elem(store, "var", pd.DataFrame(index=[f"gene_{at}" for at in range(N_GENES)]))
    for name in ("layers", "obsm", "varm", "obsp", "varp", "uns"):
        write_elem(store, name, {})
    if path.suffix == ".h5ad":
        store.close()


def _growing(group: Any, name: str, kind: str) -> Any:  # noqa: ANN401
    """An array that grows; chunks of about 2 MB."""
    if hasattr(group, "create_array"):
        return group.create_array(name, shape=(0,), chunks=(500_000,), dtype=kind)
    return group.create_dataset(name, shape=(0,), maxshape=(None,), chunks=(500_000,), dtype=kind)
