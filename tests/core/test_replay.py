"""Steps that find their cells on the device, to be recorded on a GPU, are the steps taken one by one."""

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.batches import Cells
from modulae.core.config import config_for
from modulae.core.engines.parts_engine import PartsEngine
from modulae.core.engines.resident import ResidentCells
from modulae.core.engines.torch_engine import TorchEngine
from modulae.core.network import initial_network
from modulae.core.parts import PartsNetwork
from modulae.core.train import mean_rates

N_CELLS, N_GENES = 101, 30
RATES = [0.00390625, 0.001953125, 0.001953125]  # the same in single precision, in which a device looks them up
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 2, N_GENES), (N_CELLS, N_GENES)).astype(np.float32)
    counts[7] = 0
    return Cells(sparse.csr_matrix(counts), rng.uniform(0.3, 3, N_CELLS).astype(np.float32))


def started(architecture, cells, dtype, device, *, replay, **settings):
    """An engine at its first step."""
    if architecture == "orthogonal":
        settings["n_hidden"] = 9
    config = config_for(architecture, n_latent=5, size_factors="total", schedule="constant", **settings)
    rng = np.random.default_rng(1)
    if architecture == "orthogonal":
        start = initial_network(config, mean_rates(cells), rng)
        start = type(start)(**{name: getattr(start, name).astype(dtype) for name in start.weights}, betas=start.betas)
        return TorchEngine(start, cells, config, 0.7, device, replay=replay)
    encoder, loadings = (rng.uniform(0, 0.3, (5, N_GENES)).astype(dtype) for _ in range(2))
    start = PartsNetwork(encoder, np.zeros(5, dtype=dtype), loadings)
    return PartsEngine(start, cells, config, 1.0, device, replay=replay)


def orders():
    rng = np.random.default_rng(2)
    return [rng.permutation(N_CELLS), rng.permutation(N_CELLS), rng.permutation(N_CELLS)[:50]]


def assert_same(one, other, tolerance):
    for name in one.weights:
        a, b = getattr(one, name), getattr(other, name)
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max(), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize("size", [1, 7, 128])
@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_the_steps_are_those_taken_one_by_one(cells, architecture, size, dtype, tolerance, device):
    one, other = (
        started(architecture, cells, dtype, where, replay=replay, batch_size=size)
        for where, replay in ((device, True), ("cpu", False))
    )
    if architecture == "parts":
        tolerance = max(tolerance, 1e-4)  # the first rates are worked out in single precision, and Adam divides
    before = other.network()
    rates = [rate * (16 if architecture == "parts" else 1) for rate in RATES]
    losses = [[engine.epoch(o, rate) for o, rate in zip(orders(), rates, strict=True)] for engine in (one, other)]
    assert_same(one.network(), other.network(), tolerance)
    assert np.abs(before.to_units - other.network().to_units).max() > 1e-3  # far more than the tolerance
    np.testing.assert_allclose(losses[0], losses[1], rtol=10 * tolerance)
    if device == "cuda" and size == 1:
        assert one._replay._play is not None  # recorded, without a warning


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_goes_on_from_a_state(cells, architecture, device):
    whole, first, second = (
        started(architecture, cells, np.float32, device, replay=True, batch_size=1) for _ in range(3)
    )
    for at, (order, rate) in enumerate(zip(orders(), RATES, strict=True)):
        whole.epoch(order, rate)
        if at == 1:
            second.restore(first.state())
        (first if at == 0 else second).epoch(order, rate)
    assert_same(second.network(), whole.network(), 0 if device == "cpu" else 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_reads_other_cells_in_between(cells, device):
    some = [cells.take(np.arange(60)), cells.take(np.arange(60, N_CELLS))]
    one, other = (
        started("orthogonal", cells, np.float64, where, replay=replay, batch_size=2)
        for where, replay in ((device, True), ("cpu", False))
    )
    for engine in (one, other):
        for part in (*some, some[0]):
            engine.read(part)
            engine.epoch(np.arange(len(part))[::-1].copy(), RATES[0])
    assert_same(one.network(), other.network(), 1e-9)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("counts", ["some", "none", "one cell full"])
def test_padded_rows_are_the_rows(cells, counts, device):
    if counts == "none":
        cells = Cells(sparse.csr_matrix((4, N_GENES), dtype=np.float32), np.ones(4, dtype=np.float32))
    elif counts == "one cell full":
        full = np.zeros((4, N_GENES), dtype=np.float32)
        full[2] = 3
        cells = Cells(sparse.csr_matrix(full), None)
    resident = ResidentCells(cells, device, torch.float32)
    rows = np.array([2, 0, 3, 2])
    there = torch.from_numpy(rows).to(device)
    for padded, spelt_out in zip(resident.padded(there), resident.batch(rows, there), strict=True):
        if spelt_out is not None:
            assert torch.equal(padded, spelt_out)
    assert np.array_equal(resident.padded(there)[1].cpu().numpy(), cells.take(rows).dense())
