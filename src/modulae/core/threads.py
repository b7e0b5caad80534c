"""How many threads a training step is worth, and products side by side."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

ONE_THREAD_BELOW = 10_000_000
"""Multiplications in the largest matrix product of a step (cells × genes × hidden) that one thread does faster.

On a busy machine, threads that wait for each other make such small steps ten times slower.
"""

MAX_THREADS = 8
"""Tasks at a time: each holds what it multiplies."""


def n_threads() -> int:
    """As many as NumPy's products use, up to :data:`MAX_THREADS`."""
    used = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    return min(max(used, default=1), MAX_THREADS)


@cache
def libraries() -> ThreadpoolController:
    """The libraries that NumPy computes with, among others. To look for them takes as long as some training steps."""
    return ThreadpoolController()


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Use one torch thread for small steps; what was set before comes back at the end."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < ONE_THREAD_BELOW else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def parallel_products(tasks: Iterable[Callable[[], None]]) -> None:
    """:func:`side_by_side` for tasks that give nothing back."""
    for _ in side_by_side(tasks):
        pass


def side_by_side(tasks: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Results of tasks in their order, in as many threads as NumPy's products use, up to :data:`MAX_THREADS`.

    Each product is in one of them: between small products there is work that NumPy does in one thread, and so the
    others have theirs to do meanwhile. Tasks are made in the thread that calls, no more than needed. Where this is not
    the main thread, others may be at work beside it (dask's), and the tasks run in turn: of most libraries, the threads
    of a product are a setting of the process.
    """
    n_used = n_threads()
    if n_used == 1 or threading.current_thread() is not threading.main_thread():
        for task in tasks:
            yield task()
        return
    running: deque[Future[T]] = deque()
    # some libraries (MKL) know the setting by thread, so that each thread makes its own as well
    alone = {"initializer": threadpool_limits, "initargs": (1, "blas")}
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(n_used, **alone) as pool:
        try:
            for task in tasks:
                if len(running) > n_used:
                    yield running.popleft().result()
                running.append(pool.submit(task))
            while running:
                yield running.popleft().result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def sharing(n: int) -> Iterator[Callable[[int, Callable[[int, int], object]], None]]:
    """What calls `run(first, last)` for so many items in `n` threads, each with a share of them; the caller is one."""
    with ThreadPoolExecutor(max(n - 1, 1)) as pool:  # it starts no thread before it is given something

        def share(n_items: int, run: Callable[[int, int], object]) -> None:
            ends = list(pairwise(n_items * i // n for i in range(n + 1)))
            others = [pool.submit(run, *end) for end in ends[1:]]
            run(*ends[0])
            for other in others:
                other.result()

        yield share


def in_turn(tasks: Iterable[Callable[[], None]]) -> None:
    """Run tasks one after the other."""
    for task in tasks:
        task()
