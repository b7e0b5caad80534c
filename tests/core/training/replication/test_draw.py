"""Some of very many cells: what is drawn, and that few cells of a kind are among them."""

import dask
import dask.array as da
import numpy as np
import pytest
from scipy import sparse

from modulae._counts.stored_counts import CountReader
from modulae.core.data.cells import Cells
from modulae.core.data.readers import InMemory
from modulae.core.data.stored_cells import StoredCells
from modulae.core.training.replication import draw
from modulae.core.training.replication.draw import Leverage, draw_cells, random_cells, read_rows

N, RARE = 4000, 40


@pytest.fixture(scope="module")
def counts():
    """Forty cells count the last fifteen of sixty genes far more often than all others do."""
    rng = np.random.default_rng(0)
    rates = np.tile(rng.uniform(0.2, 1.0, 60), (N, 1))
    rates[: N // 2, :15] *= 4
    rates[:RARE, 45:] *= 12
    return sparse.csr_matrix(rng.poisson(rates).astype(np.float32))


@pytest.fixture(scope="module")
def cells(counts):
    return Cells(counts, np.random.default_rng(1).uniform(0.5, 2, N).astype(np.float32))


def test_leverage_is_the_distance_of_mahalanobis_where_all_directions_are_kept(cells):
    inputs = cells.inputs().astype(np.float64)
    differ = inputs - inputs.mean(axis=0)
    expected = np.einsum("cg,gh,ch->c", differ, np.linalg.inv(np.cov(inputs, rowvar=False)), differ)
    np.testing.assert_allclose(Leverage.of(cells, 60, seed=3)(cells), expected, rtol=2e-3, atol=2e-2)


def test_a_gene_without_counts_and_equal_cells_have_no_leverage(cells):
    alike = Cells(cells.counts[[7] * 30], np.ones(30, dtype=np.float32))
    np.testing.assert_allclose(Leverage.of(alike, 5, seed=0)(alike), 0, atol=1e-4)
    empty = sparse.csr_matrix(cells.counts.multiply(np.arange(60) != 3), dtype=np.float32)
    assert np.isfinite(Leverage.of(Cells(empty, cells.size_factors), 60, seed=0)(cells)).all()


def test_what_fits_is_all_learnt_from(cells):
    rows = np.arange(0, N, 2)
    np.testing.assert_array_equal(draw_cells(cells, rows, len(rows), 0), rows)
    np.testing.assert_array_equal(random_cells(rows, len(rows), 0), rows)


def test_half_is_random_and_half_is_of_unusual_cells(cells):
    rows = np.arange(1, N)
    drawn = draw_cells(cells, rows, 400, 5)
    assert len(np.unique(drawn)) == len(drawn) == 400
    assert (np.diff(drawn) > 0).all()
    assert np.isin(drawn, rows).all()
    assert np.isin(random_cells(rows, 200, 5), drawn).all()
    np.testing.assert_array_equal(drawn, draw_cells(cells, rows, 400, 5))
    assert (drawn != draw_cells(cells, rows, 400, 6)).any()


def test_cells_of_a_rare_kind_are_drawn_many_times_as_often(cells):
    """Of 40 cells a random fifth has 8 or so."""
    drawn = draw_cells(cells, np.arange(N), N // 5, 0)

    assert (drawn < RARE).sum() >= 24
    assert (random_cells(np.arange(N), N // 5, 0) < RARE).sum() <= 14
    of_first = ((drawn < N // 2) & (drawn >= RARE)).sum()
    assert 0.4 < of_first / (drawn >= RARE).sum() < 0.6  # what is frequent is as frequent as before


def test_cells_on_disk_are_drawn_like_those_in_memory(cells):
    stored = StoredCells(InMemory(cells.counts), np.arange(N), cells.size_factors, room=700)
    seen = []
    drawn = draw_cells(stored, np.arange(N), 400, 2, seen.append)
    np.testing.assert_array_equal(drawn, draw_cells(cells, np.arange(N), 400, 2))
    assert sum(seen) == N
    assert len(seen) > 3


def test_each_block_of_a_dask_array_is_read_once(cells):
    read = []

    def block(start):
        read.append(start)
        return cells.counts[start : start + 500]

    blocks = [
        da.from_delayed(dask.delayed(block, pure=False)(start), (500, 60), np.float32, meta=cells.counts[:0])
        for start in range(0, N, 500)
    ]
    reader = CountReader(da.concatenate(blocks), None, "adata.X")
    stored = StoredCells(reader, np.arange(N), cells.size_factors, room=N)
    rows = np.arange(0, N, 90)  # further from each other than rows that are read together
    with dask.config.set(scheduler="synchronous"):
        found = read_rows(stored.take(rows))
    assert sorted(read) == list(range(0, N, 500))
    np.testing.assert_array_equal(found.counts.toarray(), cells.counts[rows].toarray())
    np.testing.assert_array_equal(found.size_factors, cells.size_factors[rows])


def test_every_batch_is_there(monkeypatch):
    monkeypatch.setattr(draw, "FEWEST", 6)
    batch = np.repeat([0, 1, 2, -1], [3000, 3, 9, 988])
    drawn = random_cells(np.arange(N), 100, 0, batch)
    assert len(np.unique(drawn)) == len(drawn) == 100
    by_batch = {one: int((batch[drawn] == one).sum()) for one in (0, 1, 2)}
    assert by_batch[1] == 3  # all that it has
    assert by_batch[2] >= 6
    assert by_batch[0] > 40
