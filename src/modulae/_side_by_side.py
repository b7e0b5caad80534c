"""Many trainings at a time: in processes, in threads, or on a cluster, as joblib is told."""

from __future__ import annotations

import sys
import warnings
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def side_by_side(calls: Iterable[Any], *, n_jobs: int | None, in_order: bool) -> Iterator[Any]:
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


class Alone:
    """What belongs to a whole process, set while trainings run in it.

    So many threads for everything; none of dask's, which would come on top of them; and no warnings of trainings, as
    the results say what they would. The first training to come sets it, the last to go puts back what was there.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = Lock(), 0, ExitStack()

    @contextmanager
    def __call__(self, n_threads: int) -> Iterator[None]:
        """While a training, or several of as many threads each, are running in this process."""
        import torch

        with self._lock:
            if not self._inside:
                self._set(n_threads)
            self._inside += 1
        torch.set_num_threads(n_threads)  # partly a matter of each thread
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._before.close()

    def _set(self, n_threads: int) -> None:
        import torch
        from threadpoolctl import threadpool_limits

        self._before.callback(torch.set_num_threads, torch.get_num_threads())
        self._before.enter_context(threadpool_limits(limits=n_threads))
        self._before.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", UserWarning)
        if "dask" in sys.modules:
            import dask

            self._before.enter_context(dask.config.set(scheduler="synchronous"))


alone = Alone()
"""One for the process, as what it sets is."""
