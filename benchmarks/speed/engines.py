"""Steps of training: the compiled engine beside PyTorch, eager and compiled, one thread and all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from os import environ
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks import table
from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.losses import orthogonality_penalty, poisson_loss
from modulae.core.model.orthogonal import WEIGHTS, initial_network
from modulae.core.training.numba.kernels import BLAS_FROM
from modulae.core.training.numba.numba_engine import NumbaEngine

from .rounds import median, ratio, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

N_CELLS, N_GENES, NON_ZERO = 2638, 3009, 0.099
"""The paper's PBMC experiment."""


def paper_sized(n_cells: int = N_CELLS, n_genes: int = N_GENES) -> Cells:
    """Counts of the size and density of the paper's PBMC experiment, or of another size."""
    rng = np.random.default_rng(0)
    present = sparse.random(n_cells, n_genes, density=NON_ZERO, format="csr", dtype=np.float32, rng=rng)
    present.data[:] = 1 + rng.poisson(1, size=present.nnz)
    totals = np.asarray(present.sum(axis=1)).ravel()
    return Cells(present, (totals / np.median(totals)).astype(np.float32))


def plain_torch(cells: Cells, config: Config, *, compiled: bool, device: str = "cpu") -> Callable[[int], None]:
    """PyTorch as one would write it: dense rows, autograd, `torch.optim.SGD(nesterov=True)`."""
    start = initial_network(config, np.asarray(cells.counts.mean(axis=0)).ravel(), np.random.default_rng(0))
    network = start.to_torch(device, trained=True)
    optimizer = torch.optim.SGD([getattr(network, name) for name in WEIGHTS], lr=1e-3, momentum=0.9, nesterov=True)
    arrays = (cells.inputs(), cells.dense(), cells.scale())
    inputs, counts, scale = (torch.from_numpy(array).to(device) for array in arrays)

    def objective(u: torch.Tensor, x: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        loss = poisson_loss(s * network.decode(network.encode(u)), x)
        return loss + config.orthogonality * orthogonality_penalty(network.w2)

    if compiled:
        objective = torch.compile(objective)

    def steps(n_steps: int) -> None:
        n = config.batch_size
        for step in range(n_steps):
            first = step * n % (len(inputs) - n + 1)
            rows = slice(first, first + n)
            optimizer.zero_grad()
            objective(inputs[rows], counts[rows], scale[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return steps


def first_call() -> float:
    """Seconds of the first step and the first held-out loss of a process."""
    cells, config = paper_sized(64, 500), Config(batch_size=1)
    engine = NumbaEngine(initial_network(config, np.ones(500), np.random.default_rng(0)), cells, config, 1.0)
    start = time.perf_counter()
    engine.epoch(np.arange(1), 1e-3)
    engine.loss(cells)
    return time.perf_counter() - start


def first_calls(n_processes: int) -> list[dict[str, str]]:
    """The same in fresh processes, with nothing kept on disk and with what the process before kept."""
    code = "from benchmarks.speed.engines import first_call; print(first_call())"
    found: dict[str, list[float]] = {"compiled": [], "from the disk": []}
    for _ in range(n_processes):
        with tempfile.TemporaryDirectory() as folder:
            variables = {**environ, "NUMBA_CACHE_DIR": folder}
            for seconds in found.values():
                done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, env=variables)
                seconds.append(float(done.stdout))
    columns = ("first call", "median, s", "least–most, s")
    return [
        dict(zip(columns, (name, f"{median(seconds):.1f}", f"{min(seconds):.1f}–{max(seconds):.1f}"), strict=True))
        for name, seconds in found.items()
    ]


def run(*, short: bool) -> str:
    """Every batch size: seconds a step of each engine in turns, and the ratio to PyTorch eager on one thread."""
    cells, rows = paper_sized(), []
    for size in (1, 16) if short else (1, 2, 4, 8, 16, 32, 64, 128, 256):
        config = Config(batch_size=size)
        start = initial_network(config, np.asarray(cells.counts.mean(axis=0)).ravel(), np.random.default_rng(0))
        compiled = NumbaEngine(start, cells, config, 1.0)
        n_steps = 8 if short else max(30, min(1000, 8000 // size))
        eager, torch_compiled = (plain_torch(cells, config, compiled=compiled) for compiled in (False, True))

        def on(threads: int, do: Callable[[], object]) -> Callable[[], None]:
            def limited() -> None:
                torch.set_num_threads(threads)
                with threadpool_limits(threads):
                    do()

            return limited

        order, n = np.arange(n_steps * size) % (N_CELLS - N_CELLS % size), n_steps
        alternatives = {
            "eager, 1 thread": on(1, lambda n=n, eager=eager: eager(n)),
            "eager, 2 threads": on(2, lambda n=n, eager=eager: eager(n)),
            "modulae, 1 thread": on(1, lambda order=order, engine=compiled: engine.epoch(order, 1e-3)),
            "modulae, 2 threads": on(2, lambda order=order, engine=compiled: engine.epoch(order, 1e-3)),
        }
        if not short and size in {1, 64}:
            alternatives["torch.compile, 1 thread"] = on(1, lambda n=n, steps=torch_compiled: steps(n))
        seconds = take_turns(alternatives, n_rounds=2 if short else 9)
        rows += [
            {
                "cells per step": size,
                "engine": name,
                "µs per step": f"{median(found) / n_steps * 1e6:.0f}",
                "cells per second": f"{size * n_steps / median(found):.0f}",
                "times faster than eager, 1 thread": ratio(seconds, name, "eager, 1 thread"),
            }
            for name, found in seconds.items()
        ]
        print(*rows[-len(seconds) :], sep="\n", flush=True)
    words = (
        f"Training steps on {N_CELLS} cells × {N_GENES} genes, {NON_ZERO:.1%} of the counts not zero (the size of the "
        "paper's PBMC experiment), 128 hidden neurons, 64 units, with the penalty. `eager` is PyTorch with dense rows "
        "and `torch.optim.SGD(nesterov=True)`. The engines take turns in one process, up to 1000 steps each; medians "
        f"of nine rounds, with the least and the most of the ratio within a round. Below {BLAS_FROM} cells per step "
        "modulae uses one thread; from there on BLAS may take more."
    )
    first = "The first step and held-out loss of a process, where numba compiles the loops, or finds what it kept."
    more = [(first, first_calls(1 if short else 5))]
    return table.write("engines", "Training engines", words, rows, short=short, more=more)
