"""On a GPU: the default up to a million cells, the paper's experiments beside plain PyTorch, saliency."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import torch
from scipy import sparse

import modulae as mo
from benchmarks import table
from modulae.core.data.cells import Cells
from modulae.core.inference.encode import encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config, config_for
from modulae.core.model.orthogonal import initial_network
from modulae.core.scores.impact import aggregate_sets
from modulae.core.training.count_scale import mean_rates
from modulae.core.training.torch.torch_engine import TorchEngine
from modulae.core.training.train import split_cells, train

from . import atlas
from .engines import paper_sized, plain_torch
from .rounds import median, ratio, take_turns
from .saliency import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable

PAPER = {"PBMC": (2638, 3009, 70, 15.4), "Paul": (4180, 2560, 310, None), "Velten": (1401, 3331, 600, None)}
"""Cells, genes, epochs, and minutes where the paper names them."""

PAPER_WORDS = (
    "Simulated counts of their size and 9.9 % not zero, one cell per step, as published. `recorded` is what a GPU does "
    "by default: a step recorded once as a CUDA graph, and played back. `plain PyTorch`: dense rows, autograd, "
    "`torch.optim.SGD(nesterov=True)` on the same GPU. Rounds in turns, medians of five; the seconds for all steps are "
    "steps times the median."
)

STEPS, MILLION, EPOCHS = 1000, 1_000_000, 20


def synchronised(do: Callable[[], Any], device: str) -> Callable[[], None]:
    """The same, until the GPU has done it."""

    def whole() -> None:
        do()
        if device == "cuda":
            torch.cuda.synchronize()

    return whole


def paper_rows(device: str, *, short: bool) -> list[dict[str, object]]:
    """One cell a step, as published: recorded steps, the same taken one by one, and PyTorch as one would write it."""
    rows = []
    for name, (n_cells, n_genes, epochs, minutes) in PAPER.items():
        cells = paper_sized(*((64, 50) if short else (n_cells, n_genes)))
        config = config_for("orthogonal", schedule="constant", size_factors="total", batch_size=1)
        start = initial_network(config, mean_rates(cells), np.random.default_rng(0))
        n_steps = 8 if short else STEPS
        order = np.resize(np.random.default_rng(1).permutation(len(cells)), n_steps)
        order = order if n_steps <= len(cells) else order[: len(cells)]
        engines = [TorchEngine(start, cells, config, 1.0, device, replay=replay) for replay in (True, False)]
        plain = plain_torch(cells, config, compiled=False, device=device)
        n = len(order)
        seconds = take_turns(
            {
                "recorded": synchronised(lambda e=engines[0], o=order: e.epoch(o, 1e-4), device),
                "one by one": synchronised(lambda e=engines[1], o=order: e.epoch(o, 1e-4), device),
                "plain": synchronised(lambda p=plain, n=n: p(n), device),
            },
            n_rounds=1 if short else 5,
        )
        step = {key: median(found) / n for key, found in seconds.items()}
        whole = n_cells * 0.95 * epochs
        rows.append(
            {
                "experiment": name,
                "cells × genes × epochs": f"{n_cells} × {n_genes} × {epochs}",
                "µs per step, recorded": f"{step['recorded'] * 1e6:.0f}",
                "one by one": f"{step['one by one'] * 1e6:.0f}",
                "plain PyTorch": f"{step['plain'] * 1e6:.0f}",
                "times faster than plain": ratio(seconds, "recorded", "plain"),
                "seconds for all steps": f"{step['recorded'] * whole:.1f}",
                "plain PyTorch, seconds": f"{step['plain'] * whole:.0f}",
                "the paper": "–" if minutes is None else f"{minutes * 60:.0f}",
            }
        )
    return rows


def training_rows(device: str, *, short: bool) -> list[dict[str, object]]:
    """Default trainings from start to end, and the saliency of the trained model."""
    cells = paper_sized(*((64, 50) if short else ()))
    given: dict[str, Any] = {"max_epochs": 2, "n_latent": 4} if short else {}
    rows = []
    for architecture in ("orthogonal", "parts"):
        config = config_for(architecture, schedule="cosine", size_factors="total", **given)  # type: ignore[arg-type]
        length = f"{config.max_epochs} epochs" if config.max_epochs else "as many steps as the cells need"
        test = split_cells(len(cells), config)
        found = []
        for _ in range(2 if short else 4):  # the first is for what is done once in a process
            start = time.perf_counter()
            train(cells, test, config, device=device)
            found.append(time.perf_counter() - start)
        rows.append({"what": f"training, {architecture}, {length}", "seconds": f"{median(found[1:]):.2f}"})
    rows += saliency_rows(cells, device, short=short)
    return rows


def saliency_rows(cells: Cells, device: str, *, short: bool) -> list[dict[str, object]]:
    """Mean |gradient| of every unit, beside autograd a unit at a time with the graph retained."""
    network = initial_network(Config(n_latent=4 if short else 64), mean_rates(cells), np.random.default_rng(0))
    encoder = Encoder(network, clip=False).to(device)

    def by_autograd() -> None:
        total = torch.zeros(network.n_units, network.n_genes, device=device)
        for _, block in cells.blocks(4096):
            x = torch.from_numpy(block.inputs()).to(device).requires_grad_()
            units = encoder(x)
            for unit in range(network.n_units):
                (gradient,) = torch.autograd.grad(units[:, unit].sum(), x, retain_graph=True)
                total[unit] += gradient.abs().sum(dim=0)
        total.cpu()

    ours = "saliency, `signed=False`"
    seconds = take_turns(
        {ours: lambda: mean_saliency(network, cells, signed=False, device=device), "the same by autograd": by_autograd},
        n_rounds=1 if short else 9,
    )
    rows: list[dict[str, object]] = [
        {"what": name, "seconds": f"{median(found):.3f}"} for name, found in seconds.items()
    ]
    rows[0]["seconds"] = f"{rows[0]['seconds']} ({ratio(seconds, ours, 'the same by autograd')} times faster)"
    return rows


def million_rows(device: str, *, short: bool) -> list[dict[str, object]]:
    """An atlas in memory: training, encoding, saliency by group, impact of 50 sets."""
    n_cells, epochs = (512, 1) if short else (MILLION, EPOCHS)
    parts = list(atlas.blocks(n_cells, n_threads=os.cpu_count() or 1))
    counts = sparse.csr_matrix(sparse.vstack([block for block, _ in parts], format="csr"))
    groups = np.concatenate([of_block for _, of_block in parts])
    totals = np.asarray(counts.sum(axis=1)).ravel()
    cells = Cells(counts, (totals / np.median(totals)).astype(np.float32))
    config = config_for("orthogonal", schedule="cosine", size_factors="total", batch_size=1024, max_epochs=epochs)
    seconds = {}
    start = time.perf_counter()
    network = train(cells, split_cells(n_cells, config), config, device=device).network
    seconds[f"training, {epochs} epochs, 1024 cells per step"] = time.perf_counter() - start
    start = time.perf_counter()
    encode(network, cells, device=device)
    seconds["representation"] = time.perf_counter() - start
    start = time.perf_counter()
    members = np.stack([groups == group for group in range(atlas.N_GROUPS)])
    found = mean_saliency(network, cells, membership=members, device=device)
    sets = [np.arange(first, first + 40) for first in range(0, 2000, 40)]
    aggregate_sets(found, sets)
    seconds["saliency by group, impact of 50 sets"] = time.perf_counter() - start
    seconds["all"] = sum(seconds.values())
    return [
        {"what": f"{n_cells} cells × {counts.shape[1]} genes: {name}", "seconds": f"{s:.1f}"}
        for name, s in seconds.items()
    ]


def default_rows(device: str, *, short: bool) -> list[dict[str, object]]:
    """The default from start to end: programmes that replicate, trained, read in all cells, written to `adata`."""
    n_cells = (300,) if short else (2638, 100_000, MILLION)
    rows = []
    for n in n_cells:
        adata = atlas_adata(n)
        seconds: dict[str, list[float]] = {}
        n_turns = 1 if n == MILLION else 2 + (not short)
        for turn in range(n_turns):  # of several, the first is for what is done once in a process
            for where in (device,) if n == MILLION else (device, "cpu"):
                start = time.perf_counter()
                mo.tl.autoencoder(adata, device=where, progress=False)
                if turn or n == MILLION:
                    seconds.setdefault(where, []).append(time.perf_counter() - start)
        rows.append(
            {
                "cells × genes": f"{n} × {adata.n_vars}",
                "programmes": adata.obsm["X_ae"].shape[1],
                "seconds": f"{median(seconds[device]):.1f}",
                "on the CPU alone": "–" if n == MILLION or device == "cpu" else f"{median(seconds['cpu']):.1f}",
            }
        )
    return rows


def atlas_adata(n_cells: int) -> ad.AnnData:
    """Cells of an atlas, in memory."""
    blocks = [block for block, _ in atlas.blocks(n_cells, n_threads=os.cpu_count() or 1)]
    return ad.AnnData(sparse.csr_matrix(sparse.vstack(blocks, format="csr")))


def run(*, short: bool) -> str:
    """All tables; without a GPU only a short run, which shows that the code works."""
    if not torch.cuda.is_available() and not short:
        return "gpu: left out, as there is no CUDA device"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    words = (
        f"The default, `mo.tl.autoencoder(adata)`, on {name}, with {os.cpu_count()} CPU cores beside it. Simulated "
        "atlas, counts in memory. Up to 100 000 cells: medians of two calls in turns with the CPU, after one of each "
        "that compiles; a million cells: one call."
    )
    tables = []
    for rows_of in (default_rows, paper_rows, training_rows, million_rows):
        tables.append(rows_of(device, short=short))
        print(*table.lines_of(tables[-1]), sep="\n", flush=True)  # what is measured is seen, whatever comes after
    more = [
        ("## The paper's experiments\n\n" + PAPER_WORDS, tables[1]),
        ("## One training and saliency\n\nThe size of the PBMC experiment; medians.", tables[2]),
        ("## The orthogonal model of an atlas in memory\n\nOnce.", tables[3]),
    ]
    return table.write("gpu", "On a GPU", words, tables[0], short=short, more=more)
