"""Two processes that train one model, a core each, beside one process on one core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import table

from . import atlas
from .rounds import median

if TYPE_CHECKING:
    from modulae.core.data.cells import Cells
    from modulae.core.processes.ranks import Ranks

CELLS, SHORT = 20_000, 2048
TIMED = {16: 4000, 128: 16_384, 1024: 16_384}
"""Cells that are learnt from while the clock runs, by batch size."""

KINDS = [(architecture, size) for architecture in ("orthogonal", "parts") for size in TIMED]
ONE_CORE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
CODE = "import sys; from benchmarks.speed.ranks import one; one(sys.argv[1], int(sys.argv[2]))"


def cells_of(n_cells: int) -> Cells:
    """Simulated counts in memory."""
    from scipy import sparse

    from modulae.core.data.cells import Cells

    counts = sparse.csr_matrix(sparse.vstack([block for block, _ in atlas.blocks(n_cells)], format="csr"))
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return Cells(counts, (totals / np.median(totals)).astype(np.float32))


def engine_of(cells: Cells, architecture: Any, batch_size: int, name: str, ranks: Ranks) -> Any:  # noqa: ANN401
    """What takes the steps, at its first one."""
    from modulae.core.model.config import config_for
    from modulae.core.model.orthogonal import initial_network
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.training.count_scale import loss_unit, mean_rates
    from modulae.core.training.engine import start_engine

    given: dict[str, Any] = {"schedule": "constant", "size_factors": "total", "batch_size": batch_size, "engine": name}
    config, rng = config_for(architecture, **given).for_cells(len(cells)), np.random.default_rng(0)
    if architecture == "orthogonal":
        start: Any = initial_network(config, mean_rates(cells), rng)
    else:  # not the real start, which takes long; a step costs the same
        shape = (config.n_latent, cells.n_genes)
        encoder, loadings = (rng.uniform(0, 0.01, shape).astype(np.float32) for _ in range(2))
        start = PartsNetwork(encoder, np.zeros(config.n_latent, dtype=np.float32), loadings, loadings[0].copy())
    unit = loss_unit(cells) if architecture == "orthogonal" else 1.0
    return start_engine(start, cells, config, unit, "cpu", ranks=ranks)


def one(path: str, n_cells: int) -> None:
    """In each process: cells per second of every kind; the first writes them down."""
    import torch

    from modulae.core.processes.group import end_group, start_group
    from modulae.core.processes.ranks import current_ranks

    torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        start_group("gloo")
    ranks = current_ranks()
    found = speeds(n_cells, ranks)
    if ranks.size > 1:
        for architecture, weights in (("orthogonal", 530_000), ("parts", 128_000)):
            found[f"exchange, {architecture}"] = _exchange(weights)
        end_group()
    if ranks.first:
        Path(path).write_text(json.dumps(found), encoding="utf-8")


def speeds(n_cells: int, ranks: Ranks) -> dict[str, float]:
    """Cells a second of every kind, and what they would be without waiting for the other process."""
    cells, found = cells_of(n_cells), {}
    for architecture, size in KINDS:
        names = ["torch"] if ranks.size > 1 or architecture == "parts" else ["torch", "numba"]
        for name in names:
            engine = engine_of(cells, architecture, size, name, ranks)
            order = np.random.default_rng(1).permutation(len(cells))[: TIMED[size]]
            engine.epoch(order[: 8 * size][ranks.rank :: ranks.size], 1e-4)
            ranks.gather(None)  # all begin together
            start, worked = time.perf_counter(), time.process_time()
            engine.epoch(order[ranks.rank :: ranks.size], 1e-4)
            seconds, worked = time.perf_counter() - start, time.process_time() - worked
            found[f"{architecture}, {size}, {name}"] = len(order) / seconds
            found[f"{architecture}, {size}, {name}, at best"] = len(order) / max(ranks.gather(worked))
    return found


def _exchange(n_weights: int) -> float:
    """Milliseconds to add up gradients of so many weights, and nothing else."""
    import torch
    import torch.distributed as dist

    gradient, turns = torch.zeros(n_weights), 50
    for turn in range(turns + 5):
        if turn == 5:
            start = time.perf_counter()
        dist.all_reduce(gradient)
    return (time.perf_counter() - start) / turns * 1000


def measured(n_processes: int, n_cells: int, folder: Path) -> dict[str, float]:
    """The numbers of :func:`one` from fresh processes."""
    path, script = folder / f"{n_processes}.json", folder / "one.py"
    script.write_text(CODE, encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    words = [*(launch if n_processes > 1 else []), str(script), str(path), str(n_cells)]
    found = os.environ.get("PYTHONPATH", "")
    environment = {**os.environ, **ONE_CORE, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), found])}
    subprocess.run([sys.executable, *words], check=True, env=environment)
    numbers: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return numbers


def row_of(
    architecture: str, size: int, ones: list[dict[str, float]], twos: list[dict[str, float]]
) -> dict[str, object]:
    """One batch size: medians over rounds, and the least and the most of the ratio within a round."""
    name = f"{architecture}, {size}, torch"
    ratios, best = (
        [two[what] / alone[what] for alone, two in zip(ones, twos, strict=True)] for what in (name, f"{name}, at best")
    )
    compiled = f"{architecture}, {size}, numba"
    return {
        "architecture": architecture,
        "cells per step": size,
        "one process: cells per second": f"{median([alone[name] for alone in ones]):.0f}",
        "two processes": f"{median([two[name] for two in twos]):.0f}",
        "times faster": f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        "at best": f"{median(best):.2f}",
        "ms per step of one": f"{median([1000 * size / alone[name] for alone in ones]):.2f}",
        "ms to exchange gradients": f"{median([two[f'exchange, {architecture}'] for two in twos]):.2f}",
        "one process, numba": f"{median([alone[compiled] for alone in ones]):.0f}" if compiled in ones[0] else "–",
    }


def run(*, short: bool) -> str:
    """Rounds of one process and two in turns."""
    ones, twos = [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(1 if short else 5):
            for n_processes, found in ((1, ones), (2, twos)):
                found.append(measured(n_processes, SHORT if short else CELLS, Path(folder)))
            print("round", turn + 1, ones[-1], twos[-1], flush=True)
    words = (
        f"Training steps on {CELLS} simulated cells × {atlas.N_GENES} genes in memory, {atlas.NON_ZERO:.0%} of the "
        "counts not zero: one process on one core beside two processes on a core each, both with PyTorch (gradients "
        "through DistributedDataParallel over Gloo, on one machine), at the same cells per step over all processes. "
        "Rounds in turns, each of fresh processes; medians of five, with the least and the most of the ratio within "
        "a round. `at best` is the same ratio in seconds of the busier processor, without the waiting for the other "
        "process: what idle cores would give if the exchange took no time of its own. The exchange is the time to add "
        "up the gradients when nothing else is done. The last column is one process on one core with the compiled "
        "engine, the default on a CPU."
    )
    rows = [row_of(architecture, size, ones, twos) for architecture, size in KINDS]
    return table.write("ranks", "Several processes", words, rows, short=short)
