"""Training of parts beside PyTorch, and one factorisation beside scikit-learn's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import torch
from sklearn.decomposition import NMF
from threadpoolctl import threadpool_limits

from benchmarks import table
from modulae.core.data.cells import Cells
from modulae.core.factorisation.factorise import factorise, refine
from modulae.core.factorisation.low_rank import low_rank
from modulae.core.model.config import Config
from modulae.core.model.starts import initial_parts
from modulae.core.training.engine import start_engine
from modulae.core.training.replication.find import PASSES as OF_HALVES
from modulae.core.training.replication.find import RANK

from .engines import paper_sized
from .rounds import median, ratio, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MIN_CELLS = 150
"""Cells that a gene of pbmc3k is counted in at least: about as many genes as its default model has."""

N_PARTS = 32

PASSES = {
    "scikit-learn": (200,),
    "modulae, compressed": (OF_HALVES["n_iterations"],),
    "modulae, compressed and then all entries": (60,),
}
STEPS = 10
"""Of 128 cells, in a round."""


def with_threads(n: int, do: Callable[[], object]) -> Callable[[], None]:
    """The same with so many threads for everything."""

    def limited() -> None:
        torch.set_num_threads(n)
        with threadpool_limits(n):
            do()

    return limited


def epochs(*, short: bool) -> list[dict[str, object]]:
    """Milliseconds a step of either engine, with one thread and with two."""
    rows = []
    for n_genes, n_parts in ((200, 4),) if short else ((3009, 16),):
        cells = paper_sized(128 * STEPS, n_genes)
        config = Config(architecture="parts", n_latent=n_parts, batch_size=128, max_epochs=2, orthogonality=0.0)
        start, order = initial_parts(config, cells), np.arange(len(cells))
        alternatives = {}
        for engine, name in (("torch", "PyTorch"), ("numba", "compiled")):
            given = Config(**{**config.as_dict(), "architecture": "parts", "engine": engine})
            steps = start_engine(start, cells, given, 1.0, "cpu")
            for n in (1, 2):
                alternatives[f"{name}, {n} thread{'s'[: n - 1]}"] = with_threads(
                    n, lambda steps=steps, order=order: steps.epoch(order, 1e-3)
                )
        seconds = take_turns(alternatives, n_rounds=2 if short else 5)
        rows += [
            {
                "genes": n_genes,
                "units": n_parts,
                "engine": name,
                "ms per step": f"{median(found) / STEPS * 1e3:.2f}",
                "times faster than PyTorch, 2 threads": ratio(seconds, name, "PyTorch, 2 threads"),
            }
            for name, found in seconds.items()
        ]
    return rows


def factorisations(*, short: bool) -> list[dict[str, object]]:
    """Seconds, and the squared error beside scikit-learn's lowest."""
    if short or "MODULAE_DATA" not in os.environ:
        inputs = paper_sized(200, 300).sparse_inputs()
    else:
        counts = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "pbmc3k.h5ad").X.tocsr().astype(np.float32)
        totals = np.asarray(counts.sum(axis=1)).ravel()
        genes = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) >= MIN_CELLS)
        inputs = Cells(counts[:, genes], (totals / np.median(totals)).astype(np.float32)).sparse_inputs()
    squares, found = float((inputs.data.astype(np.float64) ** 2).sum()), {}

    def error(activity: NDArray[Any], loadings: NDArray[Any]) -> float:
        w, h = activity.astype(np.float64), loadings.astype(np.float64)
        return squares - 2 * float(((inputs @ h.T) * w).sum()) + float(((w.T @ w) * (h @ h.T)).sum())

    def library(n: int) -> None:
        model = NMF(N_PARTS, init="nndsvda", max_iter=n, tol=0, random_state=0)
        found["scikit-learn", n] = (model.fit_transform(inputs), model.components_)

    def compressed(n: int) -> None:
        parts = factorise(low_rank(inputs, RANK, seed=0), N_PARTS, n_iterations=n, n_sweeps=OF_HALVES["n_sweeps"])
        found["modulae, compressed", n] = (parts.activity, parts.loadings)

    def refined(n: int) -> None:
        first = factorise(low_rank(inputs, 100, seed=0), N_PARTS, n_iterations=n * 2 // 3, n_sweeps=4)
        parts = refine(inputs, first.loadings, first.activity, n_iterations=n // 3, n_sweeps=4)
        found["modulae, compressed and then all entries", n] = (parts.activity, parts.loadings)

    alternatives = {
        (name, n): with_threads(2, lambda n=n, do=do: do(n))
        for name, do in zip(PASSES, (library, compressed, refined), strict=True)
        for n in PASSES[name]
    }
    seconds = take_turns(alternatives, n_rounds=1 if short else 2)  # type: ignore[arg-type, type-var]
    errors = {key: error(*pair) for key, pair in found.items()}
    lowest = min(errors.values())
    base: Any = ("scikit-learn", PASSES["scikit-learn"][-1])
    return [
        {
            "factorisation": name,
            "passes": n,
            "s": f"{median(seconds[name, n]):.2f}",  # type: ignore[index]
            "error above the lowest": f"{errors[name, n] / lowest - 1:.2%}",
            f"times faster than scikit-learn, {base[1]} passes": ratio(seconds, (name, n), base),  # type: ignore[arg-type]
        }
        for name, n in alternatives
    ]


def run(*, short: bool) -> str:
    """Both tables."""
    words = (
        f"Steps of 128 cells, 10 % of the counts not zero. The engines take turns, {STEPS} steps each; medians of five "
        "rounds, with the least and the most of the ratio within a round. Both take the same steps."
    )
    more = (
        f"One factorisation of pbmc3k into {N_PARTS} parts, of genes counted in {MIN_CELLS} cells or more, "
        "2 threads: from the inputs to both factors. `compressed` is what the halves of the replication do: "
        f"{RANK} directions of the inputs, {OF_HALVES['n_sweeps']} sweeps a pass. The last row starts with 100 "
        "directions, takes the last third of its passes over all entries, and four sweeps a pass. scikit-learn starts "
        "from `nndsvda`. Medians of two rounds."
    )
    rows = epochs(short=short)
    return table.write(
        "parts_speed", "Speed of parts", words, rows, short=short, more=[(more, factorisations(short=short))]
    )
