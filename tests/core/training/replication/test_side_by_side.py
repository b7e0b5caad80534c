"""Halves in threads and in one batch find the same."""

import numpy as np
import pytest
import torch
from scipy import sparse

import modulae as mo
from modulae.core.factorisation.batched.low_rank import low_rank_of_groups
from modulae.core.factorisation.batched.sweeps import sweep_all
from modulae.core.factorisation.low_rank import low_rank
from modulae.core.factorisation.sweeps import sweep
from modulae.core.training.replication import on_device
from modulae.core.training.replication.side_by_side import HalvesInThreads, HalvesOnGpu

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
SEEDS = [3, 4, 5, 6]


def run(calls):
    return (function(*given) for function, given in calls)


@pytest.fixture(scope="module")
def given():
    """Inputs, and the rows of four halves, which as halves of donors have unlike numbers of cells."""
    adata = mo.datasets.simulated(n_cells=500, n_genes=300, seed=0)
    inputs = sparse.csr_matrix(adata.X, dtype=np.float32).log1p()
    rng = np.random.default_rng(0)
    orders = rng.permutation(500), rng.permutation(500)
    return inputs, [np.sort(part) for order in orders for part in (order[:220], order[220:])]


def alike(units, others):
    """For each unit of the one the correlation of its activity with the same unit of the other."""
    assert units.loadings.shape == others.loadings.shape
    pairs = zip(units.activity.T, others.activity.T, strict=True)
    return np.array([np.corrcoef(one, other)[0, 1] for one, other in pairs])


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_of_halves_finds_what_each_finds_alone(given, device):
    inputs, rows = given
    alone, batch = HalvesInThreads(inputs, rows, SEEDS, run), HalvesOnGpu(inputs, rows, SEEDS, run, device)
    one, other = alone.find([4, 9]), batch.find([4, 9])
    assert [[len(units.loadings) for units in half] for half in other] == [[4, 9]] * 4
    # directions of noise differ, as they start at random: not all units are the same, but nearly all are
    found = np.concatenate(
        [alike(a, b) for each, also in zip(one, other, strict=True) for a, b in zip(each, also, strict=True)]
    )
    assert np.median(found) > 0.999
    known = one[0][0].loadings
    extra = np.concatenate(
        [alike(a, b) for a, b in zip(alone.find_one_more(known), batch.find_one_more(known), strict=True)]
    )
    assert np.median(extra) > 0.999
    assert not batch.trouble


@pytest.mark.parametrize("device", DEVICES)
def test_from_the_same_compression_the_numbers_are_the_same(given, device, monkeypatch):
    inputs, rows = given
    alone = HalvesInThreads(inputs, rows, SEEDS, run)
    monkeypatch.setattr(on_device, "low_rank_of_groups", lambda *_, **__: alone.compressed)
    batch = HalvesOnGpu(inputs, rows, SEEDS, run, device)
    for one, other in zip(alone.find([6]), batch.find([6]), strict=True):
        np.testing.assert_allclose(other[0].loadings, one[0].loadings, atol=0.01 * one[0].loadings.max())
        np.testing.assert_allclose(other[0].activity, one[0].activity, atol=0.02 * one[0].activity.max())


@pytest.mark.parametrize("device", DEVICES)
def test_the_compression_is_that_of_each_group(given, device):
    inputs, rows = given
    found = low_rank_of_groups(torch.from_numpy(inputs.toarray()).to(device), rows, 40, seeds=SEEDS)
    for group, of_group in zip(found, rows, strict=True):
        expected = low_rank(inputs[of_group], 40, seed=0)
        assert group.left.shape == expected.left.shape
        assert group.right.shape == expected.right.shape
        np.testing.assert_allclose(group.left.T @ group.left, np.eye(40), atol=1e-3)
        sizes, other = (np.linalg.norm(each.right, axis=1) for each in (group, expected))
        np.testing.assert_allclose(sizes[:5], other[:5], rtol=1e-3)
        np.testing.assert_allclose(sizes, other, rtol=0.05)
        assert group.mean == pytest.approx(expected.mean, rel=1e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_sweeps", [1, 3, 400])
def test_sweeps_of_a_batch_are_those_of_each_matrix(device, n_sweeps):
    rng = np.random.default_rng(0)
    loadings = rng.gamma(0.5, size=(3, 5, 30)).astype(np.float32)
    loadings[1, 2] = 0  # a part that is nothing stays as it is
    data = rng.normal(1, 2, size=(3, 40, 30)).astype(np.float32)
    factor = rng.gamma(1.0, size=(3, 5, 40)).astype(np.float32)
    there = torch.from_numpy(factor.copy()).to(device)
    gram, products = loadings @ loadings.transpose(0, 2, 1), loadings @ data.transpose(0, 2, 1)
    sweep_all(there, *(torch.from_numpy(each).to(device) for each in (gram, products)), n_sweeps=n_sweeps)
    for one, *of_one in zip(factor, gram, products, strict=True):
        sweep(one, *of_one, n_sweeps=n_sweeps)
    np.testing.assert_allclose(there.cpu().numpy(), factor, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("when", ["at the start", "in between"])
@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory\nmore"), RuntimeError("no kernel image"), ValueError("no such device")],
)
def test_where_the_gpu_fails_threads_go_on(given, monkeypatch, when, error):
    inputs, rows = given

    def fails(*_, **__):
        raise error

    batch, alone = HalvesOnGpu(inputs, rows, SEEDS, run, "cpu"), HalvesInThreads(inputs, rows, SEEDS, run)
    if when == "at the start":
        monkeypatch.setattr(on_device, "low_rank_of_groups", fails)
    else:
        assert len(batch.compressed) == 4
        monkeypatch.setattr(on_device, "improve_all_in_turn", fails)
    for one, other in zip(batch.find([4]), alone.find([4]), strict=True):
        np.testing.assert_array_equal(one[0].loadings, other[0].loadings)
    assert batch.trouble == str(error).splitlines()[0]


def test_halves_that_a_gpu_has_no_room_for_are_not_made_dense(given, monkeypatch):
    inputs, rows = given
    monkeypatch.setattr(on_device, "free_bytes", lambda _device: 4.0 * 300 * 1500 * 2 - 1)  # all cells, and four halves
    monkeypatch.setattr(on_device, "low_rank_of_groups", None)  # it is not reached
    batch = HalvesOnGpu(inputs, rows, SEEDS, run, "cpu")
    assert len(batch.find([4])) == 4
    assert batch.trouble == "the halves of the cells need 0.0 GB there, and 0.0 GB are free"
    monkeypatch.setattr(on_device, "free_bytes", lambda _device: 4.0 * 300 * 1500 * 2)
    on_device.check_room(300, (500, *map(len, rows)), "cpu")
