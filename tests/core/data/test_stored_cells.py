"""Cells on disk give what cells in memory give, a portion at a time."""

import threading

import numpy as np
import pytest
from scipy import sparse

from modulae.core.data import stored_cells
from modulae.core.data.cells import Cells
from modulae.core.data.fingerprint import fingerprint
from modulae.core.data.principal_components import principal_components
from modulae.core.data.readers import InMemory
from modulae.core.data.stored_cells import GAP, ROWS_AT_ONCE, StoredCells, ahead
from modulae.core.inference.encode import denoise, encode, read_inputs
from modulae.core.inference.saliency import mean_saliency
from modulae.core.model.config import Config
from modulae.core.scores.expression_bins import expression_of
from modulae.core.training.count_scale import loss_unit, mean_rates
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES, ROOM = 1000, 30, 96


class Noted(InMemory):
    """A file that remembers what was read of it."""

    def __init__(self, counts, rows_together=16):
        super().__init__(counts)
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "together", rows_together)

    def rows_together(self, room):
        return min(self.together, room // 6)

    def read(self, start, stop):
        self.asked.append((start, stop))
        return super().read(start, stop)


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    kind = np.sort(rng.integers(4, size=N_CELLS))  # cells of a kind lie together, as in a file that was put together
    rates = np.where(np.arange(N_GENES)[None, :] % 4 == kind[:, None], 4.0, 0.4) * rng.uniform(0.3, 3, (N_CELLS, 1))
    counts = rng.poisson(rates).astype(np.float32)
    counts[5] = 0
    totals = counts.sum(axis=1)
    return Cells(sparse.csr_matrix(counts), (totals / np.median(totals)).astype(np.float32))


def stored(cells, room=ROOM):
    return StoredCells(Noted(cells.counts), np.arange(len(cells)), cells.size_factors, room)


def same(one, other):
    assert (one.counts != other.counts).nnz == 0
    assert one.counts.dtype == np.float32
    np.testing.assert_array_equal(one.size_factors, other.size_factors)


ROWS = {
    "all": np.arange(N_CELLS),
    "few": np.array([3, 4, 700, 999]),
    "any order": np.random.default_rng(1).permutation(N_CELLS)[:300],
    "one": np.array([500]),
    "twice": np.array([7, 7, 3]),
}


@pytest.mark.parametrize("rows", ROWS)
def test_cells_taken_are_those_asked_for_in_their_order(cells, rows):
    same(stored(cells).take(ROWS[rows]).load(), cells.take(ROWS[rows]))
    again = stored(cells).take(np.arange(100, 900)).take(np.arange(0, 800, 3))
    same(again.load(), cells.take(np.arange(100, 900, 3)))


def test_far_rows_are_read_apart_and_near_ones_together(cells):
    source = stored(cells)
    source.take(np.array([0, 10, 10 + GAP, 500, 501])).load()
    assert source.reader.asked == [(0, 11 + GAP), (500, 502)]
    many = sparse.csr_matrix((3 * ROWS_AT_ONCE, 2), dtype=np.float32)
    source = StoredCells(Noted(many), np.arange(0, many.shape[0], 2), None, 10**6)
    assert len(source.load()) == len(source)
    assert max(stop - start for start, stop in source.reader.asked) <= ROWS_AT_ONCE


@pytest.mark.parametrize("size", [1, 7, 50, 96, 100, 2000])
def test_blocks_are_those_of_cells_in_memory(cells, size):
    for (rows, one), (there, other) in zip(stored(cells).blocks(size), cells.blocks(size), strict=True):
        assert rows == there
        same(one, other)


def test_portions_hold_no_more_cells_than_there_is_room_for(cells):
    sizes = [len(part) for part in stored(cells).portions()]
    assert sum(sizes) == N_CELLS
    assert max(sizes) == ROOM
    sizes = [len(part) for part, _ in stored(cells).shuffled(np.random.default_rng(0))]
    assert sum(sizes) == N_CELLS
    assert max(sizes) <= ROOM


def test_no_more_cells_than_needed_are_read_at_once_in_their_order(cells, monkeypatch):
    monkeypatch.setattr(stored_cells, "AT_ONCE_IN_ORDER", 40)
    source = stored(cells)
    assert max(len(part) for part in source.portions()) == 40
    source.reader.asked.clear()
    assert [len(part) for _, part in source.blocks(20)] == [20] * (N_CELLS // 20)
    assert max(stop - start for start, stop in source.reader.asked) == 40
    assert max(len(part) for part, _ in source.shuffled(np.random.default_rng(0))) > 40  # random cells still


def order_of(source, rng, **given):
    """Numbers of the cells as an epoch takes them; the number of a cell is its only count."""
    return [part.counts.data[order].astype(int) - 1 for part, order in source.shuffled(rng, **given)]


def numbered(n=N_CELLS, room=ROOM):
    counts = sparse.csr_matrix(np.arange(1, n + 1, dtype=np.float32)[:, None])
    return StoredCells(Noted(counts), np.arange(n), None, room)


def test_an_epoch_takes_every_cell_once_in_an_order_of_its_own():
    rng = np.random.default_rng(0)
    first, second = (np.concatenate(order_of(numbered(), rng)) for _ in range(2))
    for order in (first, second):
        np.testing.assert_array_equal(np.sort(order), np.arange(N_CELLS))
    assert (first != second).mean() > 0.9
    again = np.concatenate(order_of(numbered(), np.random.default_rng(0)))
    np.testing.assert_array_equal(first, again)
    held_out = numbered().take(np.flatnonzero(np.arange(N_CELLS) % 10 > 0))
    order = np.concatenate(order_of(held_out, rng))
    np.testing.assert_array_equal(np.sort(order), held_out.rows)


def test_cells_that_lie_together_are_spread_over_the_epoch():
    """Of the cells of one tenth of the file, each tenth of the epoch has its share; and no runs are left."""
    order = np.concatenate(order_of(numbered(10_000, 1000), np.random.default_rng(3)))
    tenth = order // 1000
    counts = np.array([[np.sum(part == kind) for kind in range(10)] for part in np.split(tenth, 10)])
    assert counts.min() > 20
    assert counts.max() < 300
    assert (np.diff(order) == 1).mean() < 0.01
    correlation = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(correlation) < 0.1


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_an_epoch_goes_on_after_some_portions_and_the_next_is_the_same(after):
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    first, source = numbered(), numbered()
    whole = order_of(first, rng)
    rest = order_of(source, other, after=after)
    assert len(rest) == len(whole) - after
    for one, two in zip(whole[after:], rest, strict=True):
        np.testing.assert_array_equal(one, two)
    assert rng.bit_generator.state == other.bit_generator.state
    n_read = len(source.reader.asked)  # what lies before is not read at all
    assert source.reader.asked == first.reader.asked[len(first.reader.asked) - n_read :]
    assert (n_read < len(first.reader.asked)) == (after > 0)


def test_sums_are_those_of_cells_in_memory(cells):
    source = stored(cells)
    np.testing.assert_array_equal(source.gene_totals(), cells.gene_totals())
    np.testing.assert_array_equal(source.detected(), cells.detected())
    np.testing.assert_array_equal(source.totals(), cells.totals())
    for one, other in zip(expression_of(source), expression_of(cells), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(mean_rates(source), mean_rates(cells))
    assert loss_unit(source) == loss_unit(cells)
    assert fingerprint(source) == fingerprint(cells)
    assert fingerprint(source) != fingerprint(cells.take(np.arange(N_CELLS)[::-1]))
    n_read = len(source.reader.asked)
    source.gene_totals()
    assert len(source.reader.asked) == n_read  # they are kept


def test_held_out_cells_stay_in_memory_where_they_are_few(cells):
    source = stored(cells)
    few = source.take(np.arange(50)).held()
    n_read = len(source.reader.asked)
    for _ in range(2):
        same(next(few.portions()), cells.take(np.arange(50)))
    assert len(source.reader.asked) == n_read
    many = source.take(np.arange(800))
    assert many.held() is many


def test_some_cells_are_random_and_the_same_with_the_same_seed():
    source = numbered()
    one, again, other = (source.some(seed).counts.data for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert len(one) == ROOM
    assert set(one) != set(other)
    assert np.ptp(one) > N_CELLS / 2


@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_what_is_read_with_a_network_is_that_of_cells_in_memory(cells, architecture):
    settings = {"n_latent": 4, "max_epochs": 2}
    config = Config(architecture=architecture, **settings)
    network = train(cells, split_cells(N_CELLS, config), config).network
    source = stored(cells)
    members = np.stack([np.arange(N_CELLS) < 300, np.arange(N_CELLS) % 2 == 0])
    for function in (
        lambda given: encode(network, given, batch_size=32),
        lambda given: denoise(network, given, batch_size=32),
        lambda given: mean_saliency(network, given, membership=members, batch_size=4),
        lambda given: read_inputs(given, np.ones((N_GENES, 2), dtype=np.float32)),
    ):
        np.testing.assert_allclose(function(source), function(cells), rtol=1e-5)


@pytest.mark.parametrize("settings", [{"engine": "numba"}, {"engine": "torch"}, {"architecture": "parts"}])
def test_training_on_disk_learns_as_well_as_in_memory(cells, settings):
    config = Config(**{"n_latent": 6, "max_epochs": 12, "batch_size": 16, "patience": 12, **settings})
    test = split_cells(N_CELLS, config)
    in_memory, on_disk, again = (
        train(source, test, config) for source in (cells, stored(cells, room=200), stored(cells, room=200))
    )
    start, best = in_memory.history.test_loss[0], in_memory.history.test_loss.min()
    if "architecture" not in settings:  # parts start from a factorisation, here of other cells
        assert on_disk.history.test_loss[0] == pytest.approx(start, rel=1e-6)
    plain = in_memory.history.gene_means_loss
    assert on_disk.history.gene_means_loss == pytest.approx(plain, rel=1e-6)
    assert on_disk.history.gain > 0.95 * in_memory.history.gain > 0
    assert best < plain
    for name in on_disk.network.weights:
        np.testing.assert_array_equal(getattr(on_disk.network, name), getattr(again.network, name))


def test_principal_components_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    counts = rng.poisson(np.exp(rng.normal(size=(300, 5)) @ rng.normal(size=(5, 40)) * 0.4)).astype(np.float32)
    cells = Cells(sparse.csr_matrix(counts), None)
    source = StoredCells(InMemory(cells.counts), np.arange(300), None, 70)
    found = principal_components(source, 3, seed=0)
    centred = counts - counts.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :3] * size[:3]
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_the_next_portion_is_read_while_the_caller_works():
    started = [threading.Event() for _ in range(3)]

    def job(at):
        started[at].set()
        return at

    jobs = ((lambda at=at: job(at)) for at in range(3))
    results = ahead(jobs)
    assert next(results) == 0
    assert started[1].wait(10)
    assert not started[2].is_set()
    assert list(results) == [1, 2]


def test_an_error_of_a_reading_thread_comes_to_the_caller():
    def broken():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(ahead([lambda: 1, broken]))
    before = threading.active_count()
    results = ahead([lambda: 1, lambda: 2, lambda: 3])
    next(results)
    results.close()
    assert threading.active_count() == before
