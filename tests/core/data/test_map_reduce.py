"""One job over all cells is the same whatever they are cut into."""

import threading

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data import map_reduce
from modulae.core.data.cells import Cells
from modulae.core.data.count_summary import CountSummary, combine_summaries
from modulae.core.data.map_reduce import added, map_cells, reduce_cells, sum_cells, sum_values
from modulae.core.data.readers import InMemory
from modulae.core.data.stored_cells import StoredCells

N_CELLS, N_GENES = 50, 6


@pytest.fixture(scope="module")
def cells():
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(0.7, (N_CELLS, N_GENES)).astype(np.float32))
    return Cells(counts, np.ones(N_CELLS, dtype=np.float32))


def stored(cells, room):
    return StoredCells(InMemory(cells.counts), np.arange(len(cells)), cells.size_factors, room)


def group_sums(cells, members):
    return (members @ cells.dense().astype(np.float64), np.array(len(cells)))


@pytest.mark.parametrize("room", [1, 7, 50, 1000])
def test_sums_are_those_of_all_cells(cells, room):
    members = np.random.default_rng(1).random((3, N_CELLS)) < 0.5
    expected = members @ cells.dense()
    for given in (cells, stored(cells, room)):
        sums, n = sum_cells(given, group_sums, members)
        np.testing.assert_allclose(sums, expected)
        assert n == N_CELLS


@pytest.mark.parametrize("room", [1, 7, 1000])
def test_results_stand_where_their_cells_do(cells, room):
    found = list(map_cells(stored(cells, room), lambda part, at: (part.totals(), at), np.arange(N_CELLS)))
    assert max(rows.stop - rows.start for rows, _ in found) == min(room, N_CELLS)
    for rows, (totals, at) in found:
        np.testing.assert_array_equal(at, np.arange(rows.start, rows.stop))
        np.testing.assert_array_equal(totals, cells.totals()[rows])
    together = reduce_cells(stored(cells, room), lambda part: part.totals(), combine=np.concatenate)
    np.testing.assert_array_equal(together, cells.totals())


@pytest.mark.parametrize("room", [1, 20, 1000])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_in_threads_results_stand_where_their_cells_do(cells, room, n_threads, monkeypatch):
    monkeypatch.setattr(map_reduce, "CELLS_A_TASK", 8)
    monkeypatch.setattr("modulae.core.threads.n_threads", lambda: n_threads)
    seen = set()

    def job(part, at):
        seen.add(threading.get_ident())
        return part.totals(), at

    for given in (cells, stored(cells, room), cells.take(np.arange(0))):
        seen.clear()
        found = list(map_cells(given, job, np.arange(len(given)), threads=True))
        here = n_threads == 1 or len(found) == 1 or (given is not cells and room == 1)
        assert (seen == {threading.get_ident()}) == here
        assert all(rows.stop - rows.start <= 8 for rows, _ in found)
        np.testing.assert_array_equal(np.concatenate([at for _, (_, at) in found]), np.arange(len(given)))
        np.testing.assert_array_equal(np.concatenate([total for _, (total, _) in found]), cells.totals()[: len(given)])
        assert [rows.start for rows, _ in found] == [0, *(rows.stop for rows, _ in found[:-1])]


def test_no_cells_have_sums_of_zero(cells):
    nothing = np.arange(0)
    for given in (cells.take(nothing), stored(cells, 7).take(nothing)):
        sums, n = sum_cells(given, group_sums, np.zeros((3, 0), dtype=bool))
        np.testing.assert_array_equal(sums, np.zeros((3, N_GENES)))
        assert n == 0


def test_blocks_that_are_here_are_summed_here():
    blocks = [(slice(0, 2), np.ones((2, 3))), (slice(2, 5), np.ones((3, 3)))]
    (found,) = sum_values(blocks, lambda values, weight: (sum(b.sum(axis=0) for _, b in values) * weight,), 2)
    np.testing.assert_array_equal(found, [10, 10, 10])


def test_results_are_put_together_in_their_order():
    one, other = (np.array([1.0, 2.0]), np.array(3)), (np.array([10.0, 20.0]), np.array(30))
    sums = added([one, other, one])
    np.testing.assert_array_equal(sums[0], [12, 24])
    assert sums[1] == 36
    looks = [CountSummary(np.array([n]), np.array([n, n]), 5, n < 3, np.array([n])) for n in (1.0, 2.0, 3.0)]
    look = combine_summaries(looks)
    np.testing.assert_array_equal(look.totals, [1, 2, 3])
    np.testing.assert_array_equal(look.gene_totals, [6, 6])
    np.testing.assert_array_equal(look.stamps, [1, 2, 3])
    assert (look.n_counts, look.all_integers) == (15, False)
