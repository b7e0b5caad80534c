"""Many trainings at a time: in processes, in threads, or on a cluster, as joblib is told."""

from __future__ import annotations

import sys
import warnings
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from modulae.core.plain_torch import Shared
from modulae.core.threads import blas_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def run_parallel(calls: Iterable[Any], *, n_jobs: int | None, in_order: bool) -> Iterator[Any]:
    """Results of joblib's delayed calls as they come; where the backend can't do that, all of them at the end.

    :func:`joblib.parallel_config` says who carries them out: no backend is named here.
    """
    from joblib import Parallel

    how: dict[str, Any] = {"n_jobs": n_jobs, "prefer": "processes", "batch_size": 1}
    try:
        parallel = Parallel(return_as="generator" if in_order else "generator_unordered", **how)
    except ValueError:  # of `multiprocessing`, for one
        parallel = Parallel(**how)
    yield from parallel(calls)


@contextmanager
def limit_threads(n_threads: int, *, with_torch: bool = True) -> Iterator[None]:
    """While a training, or several of as many threads each, are running in this process.

    So many threads for everything; none of dask's, which would come on top of them; and no warnings of trainings, as
    the results say what they would. What needs no torch need not wait for it to load.
    """
    with ExitStack() as settings:
        if with_torch:  # first, as to limit the process changes what torch says
            settings.enter_context(_of_torch())
        settings.enter_context(_of_process(n_threads))
        settings.enter_context(threadpool_limits(n_threads, user_api="openmp"))  # each thread has its own
        if with_torch:
            import torch

            torch.set_num_threads(n_threads)  # partly a matter of each thread
        yield


@contextmanager
def _process_settings(n_threads: int) -> Iterator[None]:
    with ExitStack() as before:
        before.enter_context(blas_threads(n_threads))
        before.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", UserWarning)
        if "dask" in sys.modules:
            import dask

            before.enter_context(dask.config.set(scheduler="synchronous"))
        yield


@contextmanager
def _torch_settings() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


_of_process, _of_torch = Shared(_process_settings), Shared(_torch_settings)
