"""Limits that several threads set at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from modulae.core.threads import BlasLimit


def now():
    np.ones(2) @ np.ones(2)  # so that there is a library
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def four():
    with threadpool_limits(4, user_api="blas"):
        yield


def test_the_last_of_two_threads_to_leave_puts_back_what_there_was():
    """The first to come is the first to go, so that the other leaves what it did not find."""
    blas, inside, leave = BlasLimit(), threading.Event(), threading.Event()

    def first():
        with blas(1):
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=first)
    other.start()
    inside.wait(10)
    with blas(1):
        leave.set()
        other.join(10)
        assert now() == {1}
    assert now() == {4}


def test_a_limit_of_the_user_is_put_back_though_a_thread_that_lives_on_had_one():
    blas = BlasLimit()

    def work():
        with blas(1):
            return now()

    with ThreadPoolExecutor(1) as pool:
        with threadpool_limits(3, user_api="blas"):
            assert pool.submit(work).result(10) == {1}
            assert now() == {3}
        assert now() == {4}


@pytest.mark.parametrize("known", [False, True])
def test_the_lowest_limit_holds(known):
    blas = BlasLimit()
    with blas(3, known=known):
        assert now() == {3}
        with blas(1, known=known), blas(2, known=known):
            assert now() == {1}
        assert now() == {3}
        with pytest.raises(KeyboardInterrupt), blas(2):
            raise KeyboardInterrupt
        assert now() == {3}
    assert now() == {4}
    with blas(6):  # alone it may be more than there were
        assert now() == {6}
    assert now() == {4}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=6))
def test_whatever_the_order_of_coming_and_going(asked):
    """Each comes with a limit, and when some have left before it; the rest leave in turn."""
    blas, inside, before = BlasLimit(), [], now()
    for limit, leaves in asked:
        entered = blas(limit)
        entered.__enter__()
        inside.append((limit, entered))
        for _ in range(min(leaves, len(inside))):
            inside.pop(0)[1].__exit__(None, None, None)
        assert now() == ({min(limit for limit, _ in inside)} if inside else before)
    while inside:
        inside.pop(0)[1].__exit__(None, None, None)
    assert now() == before
