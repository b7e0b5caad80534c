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

N_GENES, N_GROUPS, NON_ZERO = 2000, 8, 0.08
N_COMMON, N_RARE = 10, 10
COMMON, RARE = 0.25, 0.005
"""Share of the cells in which a programme is active."""

CELLS_AT_ONCE = 4096


def programmes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log rates of the genes where nothing runs, and loadings, programmes × genes; the last are of the groups."""
    rng = np.random.default_rng([seed, 0])
    base = rng.normal(0, 1.5, N_GENES)
    free = np.flatnonzero(base > np.quantile(base, 0.3))  # in a gene that is hardly counted nothing is seen
    loadings = np.zeros((N_COMMON + N_RARE + N_GROUPS, N_GENES))
    for at, of_programme in enumerate(loadings):
        rare = N_COMMON <= at < N_COMMON + N_RARE
        genes = rng.choice(free, rng.integers(*((60, 100) if rare else (30, 60)), endpoint=True), replace=False)
        of_programme[genes] = rng.uniform(*((2.2, 3.4) if rare else (1.2, 2.2)), len(genes))
    return base, loadings


def activity(number: int, n: int, groups: np.ndarray, seed: int = 0) -> np.ndarray:
    """Cells × programmes of a block: how active each is, those of the groups last."""
    draw, shares = np.random.default_rng([seed, 3, number]), np.repeat([COMMON, RARE], [N_COMMON, N_RARE])
    runs = draw.random((n, len(shares))) < shares
    active = np.where(runs, draw.lognormal(-0.045, 0.3, runs.shape), 0)
    return np.concatenate([active, np.eye(N_GROUPS)[groups]], axis=1).astype(np.float32)


def groups_of(number: int, n_cells: int) -> np.ndarray:
    """Group of each cell of a block."""
    start, run = number * CELLS_AT_ONCE, min(CELLS_AT_ONCE, max(n_cells // 16, 1))
    return (start + np.arange(min(CELLS_AT_ONCE, n_cells - start))) // run % N_GROUPS


def truth(n_cells: int, *, seed: int = 0) -> np.ndarray:
    """:func:`activity` of all cells."""
    numbers = range(-(-n_cells // CELLS_AT_ONCE))
    groups = ((number, groups_of(number, n_cells)) for number in numbers)
    return np.concatenate([activity(number, len(here), here, seed) for number, here in groups])


def blocks(n_cells: int, *, seed: int = 0, n_threads: int = 1) -> Iterator[tuple[sparse.csr_matrix, np.ndarray]]:
    """Counts and groups of cells, a block at a time; with several threads, all that are not yet asked for are kept.

    Eight groups of cells, ten programmes that are active in a quarter of the cells and ten in 0.5 % of them, and depths
    that differ about threefold. Cells of a group lie together in runs of 4096 (of a sixteenth of the cells where these
    are few), as samples do in a file that was put together from many: the worst for training in the order of the file.
    """
    base, loadings = programmes(seed)
    rng, scale = np.random.default_rng([seed, 2]), 1.0
    some = np.exp(base + activity(-1 % 2**32, 800, np.arange(800) % N_GROUPS, seed) @ loadings)
    some *= rng.lognormal(0, 0.4, (800, 1))
    for _ in range(30):  # to the share of counts that are not zero
        scale *= NON_ZERO / (1 - np.exp(-scale * some).mean())

    def block(number: int) -> tuple[sparse.csr_matrix, np.ndarray]:
        draw, groups = np.random.default_rng([seed, 1, number]), groups_of(number, n_cells)
        active = activity(number, len(groups), groups, seed)
        depth = scale * draw.lognormal(0, 0.4, (len(groups), 1))
        expected = np.exp((active @ loadings + base).astype(np.float32)) * depth.astype(np.float32)
        return sparse.csr_matrix(draw.poisson(expected).astype(np.float32)), groups

    numbers = range(-(-n_cells // CELLS_AT_ONCE))
    if n_threads == 1:
        yield from map(block, numbers)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        yield from pool.map(block, numbers)


def write(path: Path, n_cells: int, *, seed: int = 0, n_threads: int = 1) -> None:
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
    for counts, of_block in blocks(n_cells, seed=seed, n_threads=n_threads):
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
