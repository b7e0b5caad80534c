"""Many runs, side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modulae._utils.parallel import limit_threads, run_parallel
from modulae._utils.progress import progress_bar
from modulae.core.data.cells import Cells

if TYPE_CHECKING:
    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.training.consensus import ConsensusRun


def run_all(
    cells: Source,
    config: Config,
    *,
    n_runs: int,
    share_of_cells: float,
    n_jobs: int | None,
    device: str,
    progress: bool | None,
) -> list[ConsensusRun]:
    """Run with `n_runs` seeds from that of the settings on; the same whatever the number of jobs."""
    from joblib import delayed

    rest, counts = cells, None
    if isinstance(cells, Cells):  # backends send what is large once, if they can see it
        rest, counts = replace(cells, counts=cells.counts[:0]), cells.counts
    configs = (replace(config, seed=config.seed + index) for index in range(n_runs))
    calls = (delayed(_alone)(rest, counts, one, share_of_cells, device) for one in configs)
    runs: list[Any] = []
    with progress_bar(n_runs, "training", "run", progress=progress) as bar:
        for run in run_parallel(calls, n_jobs=n_jobs, in_order=True):
            runs.append(run)
            bar.update()
    return runs


def _alone(cells: Any, counts: Any, config: Config, share_of_cells: float, device: str) -> ConsensusRun:  # noqa: ANN401
    """One run on one thread, so that it gives the same numbers whoever else is running."""
    from modulae.core.training.consensus import run_once

    try:
        with limit_threads(1):
            return run_once(cells if counts is None else replace(cells, counts=counts), config, share_of_cells, device)
    except Exception as error:
        error.add_note(f"This was the run with seed {config.seed}: {config}. Change these settings, or the seed.")
        raise
