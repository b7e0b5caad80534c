"""What scikit-learn's NMF and cNMF take for the same cells, and what they find."""

from __future__ import annotations

import json
import os
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import atlas
from .memory import peak_mb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

N_PARTS = 32
N_PROGRAMMES = atlas.N_COMMON + atlas.N_RARE + atlas.N_GROUPS
RUNS = 20
PEERS = Path(__file__).parents[1] / "peers" / "peers.py"

WORDS = (
    f"Others on the same cells, in memory. `NMF({N_PARTS})` is scikit-learn's with its defaults, of log-normalised "
    "counts. It is fitted to all cells, and peaks are of the whole process. `CPU, times train` is beside the "
    "processor's seconds of `train` above, of counts in memory: these hold on a busy machine too, the clock's do not."
)
WORDS_OF_CNMF = (
    f"cNMF is told the number of programmes, {N_PROGRAMMES}, and takes {RUNS} runs in one thread; the processor's "
    "seconds are from its preparation to its consensus, the clock's those of the whole process, beside other work."
)


def words() -> str:
    """What the second table shows."""
    return f"{WORDS} {WORDS_OF_CNMF}" if os.environ.get("MODULAE_PEERS") else WORDS


def nmf(path: str) -> None:
    """scikit-learn; prints what it took and found."""
    import scanpy as sc
    from sklearn.decomposition import NMF

    from .scale import recall

    warnings.simplefilter("ignore")
    adata = sc.read_h5ad(path)
    adata.X.indptr = adata.X.indptr.astype(adata.X.indices.dtype)  # scanpy takes no other
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    start, cpu = time.perf_counter(), time.process_time()
    units = NMF(N_PARTS, random_state=0).fit_transform(adata.X)
    seconds = {"seconds": time.perf_counter() - start, "CPU": time.process_time() - cpu}
    print(json.dumps(seconds | {"MB": peak_mb()} | recall(units)))


def cnmf(path: Path, python: str) -> dict[str, float]:
    """Consensus NMF in its own environment, whose process is waited for alone: so its peak is known."""
    import anndata as ad

    from .scale import recall

    cells, result = (path.with_name(f"{path.stem}-cnmf.{kind}") for kind in ("h5ad", "npz"))
    adata = ad.read_h5ad(path)
    adata.obs["learn"] = True
    adata.write_h5ad(cells)
    del adata
    how = ["--units", str(N_PROGRAMMES), "--runs", str(RUNS)]
    start = time.perf_counter()
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = os.posix_spawn(python, [python, str(PEERS), "cNMF", str(cells), str(result), *how], one_thread)
    _, status, used = os.wait4(process, 0)
    if status:
        msg = f"cNMF ended with {os.waitstatus_to_exitcode(status)}; its own message is above"
        raise RuntimeError(msg)
    with np.load(result) as found:
        about = {"seconds": time.perf_counter() - start, "CPU": float(found["seconds"])}
        units = np.asarray(found["units"])
    cells.unlink()
    result.unlink()
    return about | {"MB": used.ru_maxrss * 1024 / 1e6} | recall(units)


def rows_of_others(folder: Path, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """One row a size and method."""
    from .scale import atlas_in, in_its_own_process, kept

    python = os.environ.get("MODULAE_PEERS")
    for n_cells in sizes:
        path = atlas_in(folder, n_cells, "h5ad")
        code = f"from benchmarks.speed.scale_others import nmf; nmf({str(path)!r})"
        ours_file = folder / f"{n_cells}-memory.json"
        methods: dict[str, Any] = {f"NMF({N_PARTS})": partial(in_its_own_process, code)}
        if python:
            methods[f"cNMF, {RUNS} runs"] = partial(cnmf, path, python)
        for name, measure in methods.items():
            found = kept(folder / f"{n_cells}-{name.partition('(')[0].partition(',')[0]}.json", measure)
            ours = json.loads(ours_file.read_text())["train, CPU"] if ours_file.exists() else float("nan")
            yield {
                "cells": n_cells,
                "method": name,
                "seconds": f"{found['seconds']:.0f}",
                "CPU s": f"{found['CPU']:.0f}",
                "CPU, times train": f"{found['CPU'] / ours:.2g}",
                "peak MB": f"{found['MB']:.0f}",
                "programmes found": f"{found['found']:.0%}",
                "of the rare": f"{found['rare']:.0%}",
                "mean |r|": f"{found['r']:.3f}",
            }
