"""How many threads a training step is worth, and products side by side."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import threadpoolctl
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


class BlasLimit:
    """At most so many threads for a product of NumPy or SciPy, a setting of the whole process.

    Several threads may be inside at a time: the lowest of their limits holds, and the last to go puts back what there
    was before the first came. With threadpoolctl alone each would put back what it found, the limit of another; and
    since its version 3.8 a thread changes nothing while another one has a limit.
    """

    def __init__(self) -> None:
        """Nobody inside."""
        self._lock = threading.Lock()
        self._inside: list[int] = []
        self._changes: list[Any] = []

    @contextmanager
    def __call__(self, most: int, *, known: bool = False) -> Iterator[None]:
        """Inside, with so many.

        To look for the libraries takes as long as some training steps; `known` takes those that were there when one was
        looked for first.
        """
        with self._lock:
            lowest = min(self._inside, default=most + 1)
            self._inside.append(most)
            if most < lowest:
                self._set(most, known=known)
        try:
            yield
        finally:
            with self._lock:
                self._inside.remove(most)
                if not self._inside:
                    with _in_control():
                        while self._changes:
                            self._changes.pop().restore_original_limits()
                elif most < (lowest := min(self._inside)):
                    self._set(lowest, known=known)

    def _set(self, most: int, *, known: bool) -> None:
        libraries = _known_libraries() if known else ThreadpoolController()
        with _in_control():
            self._changes.append(libraries.limit(limits=most, user_api="blas"))


@contextmanager
def _in_control() -> Iterator[None]:
    """Inside, this thread sets the limits of OpenBLAS, which threadpoolctl leaves to the first that did; then any."""
    clear = getattr(getattr(threadpoolctl, "OpenBLASController", None), "clear_controlling_thread", lambda **_: None)
    clear(force=True)
    try:
        yield
    finally:
        clear(force=True)


@cache
def _known_libraries() -> ThreadpoolController:
    return ThreadpoolController()


blas_threads = BlasLimit()


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
    with blas_threads(1), ThreadPoolExecutor(n_used, **alone) as pool:
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
