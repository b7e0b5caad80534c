"""Many runs, side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ._progress import progress_bar
from .core.batches import Cells

if TYPE_CHECKING:
    from .core.config import Config
    from .core.consensus import Run
    from .core.stored import Source


def run_all(
    cells: Source,
    config: Config,
    *,
    n_runs: int,
    share_of_cells: float,
    n_jobs: int | None,
    device: str,
    progress: bool | None,
) -> list[Run]:
    """Run with `n_runs` seeds from that of the settings on; the same whatever the number of jobs."""
    from joblib import Parallel, delayed

    if not isinstance(cells, Cells):
        n_jobs = 1  # an open file can't be sent to another process
    tasks = (
        delayed(_alone)(cells, replace(config, seed=config.seed + at), share_of_cells, device) for at in range(n_runs)
    )
    runs: list[Any] = []
    with progress_bar(n_runs, "training", "run", progress=progress) as bar:
        for run in Parallel(n_jobs=n_jobs, return_as="generator")(tasks):
            runs.append(run)
            bar.update()
    return runs


def _alone(cells: Source, config: Config, share_of_cells: float, device: str) -> Run:
    """One run on one thread, so that it gives the same numbers whoever else is running."""
    import torch
    from threadpoolctl import threadpool_limits

    from .core.consensus import run_once

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            return run_once(cells, config, share_of_cells, device)
    finally:
        torch.set_num_threads(before)
