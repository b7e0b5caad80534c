"""How work and cells are dealt to several processes; threads stand for them here, see also tests/tl/test_ranks.py."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import modulae as mo
from modulae.core.data.cells import Cells
from modulae.core.data.readers import InMemory
from modulae.core.data.stored_cells import StoredCells
from modulae.core.model.config import Config
from modulae.core.processes import group
from modulae.core.processes import ranks as ranks_module
from modulae.core.processes.group import require_alone
from modulae.core.processes.ranks import ALONE, Ranks, current_ranks
from modulae.core.training import distributed
from modulae.core.training.distributed import resolve_settings

ROOM = 96


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    """A rank that is a thread."""

    barrier: Any = None
    table: Any = None

    def gather(self, value):
        self.table[self.rank] = value
        self.barrier.wait(10)
        found = list(self.table)
        self.barrier.wait(10)
        return found


def on_all(n, do):
    """What `do` gives on each of so many ranks, errors included."""
    barrier, table = threading.Barrier(n), [None] * n

    def one(rank):
        try:
            return do(ThreadRanks(rank, n, barrier, table))
        except (ValueError, threading.BrokenBarrierError) as error:
            return error

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


class Noted(InMemory):
    """A file that remembers what was read of it."""

    def __init__(self, counts):
        super().__init__(counts)
        object.__setattr__(self, "asked", [])

    def rows_together(self, room):
        return min(16, room)

    def read(self, start, stop):
        self.asked.append((start, stop))
        return super().read(start, stop)


def numbered(n):
    """Cells on disk; the number of a cell is its only count."""
    counts = sparse.csr_matrix(np.arange(1, n + 1, dtype=np.float32)[:, None])
    return StoredCells(Noted(counts), np.arange(n), None, ROOM)


def orders(cells, **given):
    """Numbers of the cells of each portion, as an epoch takes them."""
    shuffled = cells.shuffled(np.random.default_rng(5), **given)
    return [part.counts.data[order].astype(int) - 1 for part, order in shuffled]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("n", [1000, 961, 577])
def test_ranks_have_together_what_one_process_has_that_goes_through_their_streams(n, size):
    whole = orders(replace(numbered(n), streams=size))
    mine = [orders(numbered(n), ranks=Ranks(rank, size)) for rank in range(size)]
    np.testing.assert_array_equal(np.sort(np.concatenate(whole)), np.arange(n))
    assert {len(parts) for parts in mine} == {len(whole)}  # nobody waits for a portion that another does not have
    for at, portion in enumerate(whole):
        for rank, parts in enumerate(mine):
            np.testing.assert_array_equal(parts[at], portion[rank::size])


def test_a_rank_reads_its_own_cells_only():
    n = 10_000
    for rank in (0, 1):
        cells = numbered(n)
        taken = np.concatenate(orders(cells, ranks=Ranks(rank, 2)))
        assert len(taken) == n / 2
        read = sum(stop - start for start, stop in cells.reader.asked)
        assert read < 0.75 * n  # and some rows of gaps, which are read and thrown away
        assert max(len(part) for part, _ in cells.shuffled(np.random.default_rng(0), ranks=Ranks(rank, 2))) <= ROOM


def test_neighbours_in_the_file_are_not_neighbours_in_a_stream():
    taken = np.concatenate(orders(numbered(10_000), ranks=Ranks(1, 2)))
    assert (np.abs(np.diff(taken)) == 1).mean() < 0.05


def test_a_later_portion_is_the_same_without_the_ones_before():
    for given in ({}, {"ranks": Ranks(1, 2)}):
        every, later = orders(numbered(1000), **given), orders(numbered(1000), after=2, **given)
        assert len(later) == len(every) - 2 > 0
        for one, other in zip(every[2:], later, strict=True):
            np.testing.assert_array_equal(one, other)


def test_cells_that_start_a_factorisation_are_those_of_one_process():
    one, two = (replace(numbered(1000), streams=streams).some(3).counts for streams in (1, 2))
    assert (one != two).nnz == 0


def test_in_memory_each_rank_has_its_part_of_every_batch():
    cells = Cells(sparse.csr_matrix(np.ones((11, 2), dtype=np.float32)), None)
    ((_, whole),) = cells.shuffled(np.random.default_rng(0))
    parts = [order for rank in range(2) for _, order in cells.shuffled(np.random.default_rng(0), ranks=Ranks(rank, 2))]
    for start in (0, 2, 4):  # two cells each of batches of four
        batch = np.concatenate([part[start : start + 2] for part in parts])
        assert sorted(batch) == sorted(whole[2 * start : 2 * start + 4])


def test_no_cells_can_be_loaded():
    none = numbered(10).take(np.arange(0)).load()
    assert none.counts.shape == (0, 1)


@pytest.mark.parametrize("n", [1, 2, 10, 11])
def test_shares_are_every_row_once(n):
    shares = [Ranks(rank, 3).share(np.arange(n)) for rank in range(3)]
    np.testing.assert_array_equal(np.concatenate(shares), np.arange(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("n", [2, 10, 11])
def test_rows_are_joined_in_their_order_on_every_rank(n, monkeypatch):
    monkeypatch.setattr(ranks_module, "ROWS_PER_MESSAGE", 2)
    rows = np.arange(3 * n, dtype=np.float32).reshape(n, 3)
    for found in on_all(3, lambda ranks: ranks.joined(rows[ranks.share(np.arange(n))])):
        np.testing.assert_array_equal(found, rows)
        assert found.dtype == np.float32


def test_sums_and_what_the_first_makes():
    assert [list(found) for found in on_all(3, lambda ranks: ranks.total(np.array([ranks.rank, 1.0])))] == [[3, 3]] * 3
    made = []
    assert on_all(3, lambda ranks: ranks.from_first(lambda: made.append(1) or "made")) == ["made"] * 3
    assert made == [1]
    assert ALONE.from_first(lambda: "made") == "made"


def test_an_error_on_one_rank_is_raised_on_all():
    def fail(ranks):
        def work():
            if ranks.rank == 1:
                raise ValueError("mine")

        return ranks.each(work)

    assert [str(error) for error in on_all(3, fail)] == ["mine"] * 3


def test_ranks_with_different_data_are_told():
    said = on_all(3, lambda ranks: ranks.check_same("cells", 5 if ranks.rank < 2 else 6))
    assert all("given different cells (rank 2 than rank 0)" in str(error) for error in said)
    assert on_all(2, lambda ranks: ranks.check_same("cells", 5)) == [None, None]


@pytest.mark.parametrize("text", ["[pair.cc:553] Connection closed by peer", "NCCL error: remote process exited"])
def test_a_lost_process_is_named_in_plain_words(text):
    with pytest.raises(ConnectionError, match="another process of this training has ended"), Ranks(0, 2).watched():
        raise RuntimeError(text)
    for ranks, words in ((Ranks(0, 2), "mat1 and mat2"), (ALONE, text)):
        with pytest.raises(RuntimeError, match=words[-5:]), ranks.watched():
            raise RuntimeError(words)


def test_without_a_group_a_process_is_alone():
    assert current_ranks() == ALONE


def test_what_is_for_one_process_refuses_a_group(monkeypatch):
    require_alone("tl.search")
    monkeypatch.setattr(group, "current_ranks", lambda: Ranks(0, 2))
    with pytest.raises(ValueError, match=r"tl\.search works in one process, and torch\.distributed has 2"):
        mo.tl.search(mo.datasets.simulated(n_cells=20, n_genes=60, n_programmes=2), settings={})


def test_settings_of_several_processes(monkeypatch):
    two = Ranks(1, 2)
    config, device = resolve_settings(Config(batch_size=16), "cpu", two)
    assert (config.engine, device) == ("torch", "cpu")
    assert resolve_settings(Config(batch_size=15), "cpu", ALONE) == (Config(batch_size=15), "cpu")
    with pytest.raises(ValueError, match=r"batch_size is 1, .*by 2 processes. Give a multiple of 2.* batch_size=2"):
        resolve_settings(Config(batch_size=1), "cpu", two)
    with pytest.raises(ValueError, match="engine='numba' trains in one process"):
        resolve_settings(Config(engine="numba"), "cpu", two)
    with pytest.raises(ValueError, match=r"batch_key is for a training in one process, and these are 2\. Leave it out"):
        resolve_settings(Config(batch_key="sample"), "cpu", two)
    monkeypatch.setattr(distributed, "pick_device", lambda device: "mps" if device == "auto" else device)
    assert resolve_settings(Config(), "auto", two)[1] == "cpu"
    with pytest.raises(ValueError, match="Use device='cpu'"):
        resolve_settings(Config(), "mps", two)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    """No GPU is asked for here: only which one would be."""
    monkeypatch.setattr(distributed, "pick_device", lambda device: "cuda" if device == "auto" else device)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert resolve_settings(Config(), "auto", Ranks(11, 16))[1] == "cuda:3"
    assert resolve_settings(Config(), "cuda:0", Ranks(0, 2))[1] == "cuda:0"
    assert resolve_settings(Config(), "auto", ALONE)[1] == "cuda"
