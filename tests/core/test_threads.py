import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from modulae.core.threads import ONE_THREAD_BELOW, parallel_products, threads_for


def test_small_steps_take_one_thread_and_the_setting_comes_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threads_for(ONE_THREAD_BELOW - 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with threads_for(ONE_THREAD_BELOW):
            assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt), threads_for(1):
            raise KeyboardInterrupt
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def run_in(place, tasks):
    """Here, or in a thread that is not the main one."""
    if place == "here":
        parallel_products(tasks)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(parallel_products, tasks).result()


@pytest.mark.parametrize(("place", "n_threads"), [("here", 2), ("here", 1), ("elsewhere", 2)])
def test_tasks_run_in_as_many_threads_as_products_would(place, n_threads):
    seen, together = [], threading.Barrier(2)

    def task(number):
        if place == "here" and n_threads == 2:
            together.wait(10)  # passes only if two of them run at a time
        seen.append((number, threading.get_ident(), blas_threads()))

    with threadpool_limits(n_threads, user_api="blas"):
        before = blas_threads()
        run_in(place, (partial(task, number) for number in range(8)))
        assert blas_threads() == before
    assert sorted(number for number, *_ in seen) == list(range(8))
    assert len({thread for _, thread, _ in seen}) == (2 if (place, n_threads) == ("here", 2) else 1)
    assert all(of_task == ({n_threads} if place == "elsewhere" else {1}) for *_, of_task in seen)


def test_what_a_task_or_its_making_raises_comes_out_and_the_setting_comes_back():
    def fails():
        raise ZeroDivisionError

    def stops():
        yield lambda: None
        raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"):
        with pytest.raises(ZeroDivisionError):
            parallel_products([fails] * 5)
        with pytest.raises(KeyboardInterrupt):
            parallel_products(stops())
        assert blas_threads() == {2}
