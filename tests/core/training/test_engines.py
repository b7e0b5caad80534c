"""Both engines take the steps that float64 autograd takes."""

from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.compiled import first_call
from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import WEIGHTS, initial_network
from modulae.core.training.engine import start_engine
from modulae.core.training.numba import kernels, numba_engine
from modulae.core.training.numba.numba_engine import NumbaEngine
from modulae.core.training.torch.torch_engine import TorchEngine
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES, UNIT = 130, 150, 0.3


@pytest.fixture
def cells():
    """Common genes and genes so rare that their rows wait for many steps, and a cell without counts."""
    rng = np.random.default_rng(0)
    means = np.exp(rng.normal(-2, 2, size=N_GENES)).clip(0.01, 20)
    counts = rng.poisson(means, size=(N_CELLS, N_GENES)).astype(np.float32)
    counts[3] = 0
    return Cells(sparse.csr_matrix(counts), rng.uniform(0.3, 3, N_CELLS).astype(np.float32))


def network_in(dtype, config, cells):
    start = initial_network(config, np.asarray(cells.counts.mean(axis=0)).ravel() + 0.01, np.random.default_rng(1))
    return type(start)(**{name: getattr(start, name).astype(dtype) for name in WEIGHTS}, betas=start.betas)


def autograd(network, cells, config, orders, rates):
    """The definition: dense float64 tensors, `torch.optim.SGD`, the loss written out."""
    model = network.to_torch("cpu", dtype=torch.float64, trained=True)
    optimizer = torch.optim.SGD(
        [getattr(model, name) for name in WEIGHTS], lr=1.0, momentum=config.momentum, nesterov=config.momentum > 0
    )
    losses = []
    for order, rate in zip(orders, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        total = 0.0
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            x = torch.from_numpy(cells.counts[rows].toarray().astype(float))
            inputs, s = (torch.from_numpy(array[rows].astype(float)) for array in (cells.inputs(), cells.scale()))
            y = s * model.decode(model.encode(inputs))
            loss = (y - x * (y + 1e-8).log()).mean()
            gap = torch.eye(config.n_latent, dtype=torch.float64) - model.w2 @ model.w2.T
            optimizer.zero_grad()
            (loss / UNIT + config.orthogonality * gap.norm()).backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(order))
    return model.to_numpy(), losses


def largest_difference(one, other):
    """Over all weights, relative to the largest weight of each layer."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in WEIGHTS]
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)


SETTINGS = {
    "one cell per step": {"batch_size": 1},
    "three cells": {"batch_size": 3},
    "many cells": {"batch_size": 17},
    "through BLAS": {"batch_size": 96},
    "all cells": {"batch_size": 500},
    "no penalty": {"batch_size": 2, "orthogonality": 0.0},
    "no momentum": {"batch_size": 2, "momentum": 0.0},
    "steep SoftPlus": {"batch_size": 1, "activation_beta": 7.0},
    "odd widths": {"batch_size": 5, "n_hidden": 13, "n_latent": 6},
    "more units than hidden": {"batch_size": 1, "n_hidden": 5, "n_latent": 11},
    "one cell left over": {"batch_size": N_CELLS - 1},
    # rows that fill registers, and rows and units that leave some over
    "the default widths": {"batch_size": 1, "n_hidden": 128, "n_latent": 64},
    "wide, some columns over": {"batch_size": 1, "n_hidden": 135, "n_latent": 67},
    "wide, few cells": {"batch_size": 3, "n_hidden": 71, "n_latent": 65},
    "wide, through BLAS": {"batch_size": 100, "n_hidden": 70, "n_latent": 66},
}


@pytest.mark.parametrize("engine", [NumbaEngine, TorchEngine])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 1e-5)])
@pytest.mark.parametrize("setting", SETTINGS)
def test_steps_are_those_of_float64_autograd(cells, monkeypatch, setting, dtype, tolerance, engine):
    monkeypatch.setattr(numba_engine, "GENES_AT_ONCE", 64)  # several blocks of genes where BLAS takes them
    config = Config(**{"n_latent": 8, "n_hidden": 16, **SETTINGS[setting]})
    rng = np.random.default_rng(2)
    orders, rates = [rng.permutation(N_CELLS) for _ in range(2)], [0.05, 0.02]
    start = network_in(dtype, config, cells)
    args = (start, cells, config, UNIT, "cpu")
    running = engine(*args[: 4 if engine is NumbaEngine else 5])
    losses = [running.epoch(order, rate) for order, rate in zip(orders, rates, strict=True)]
    expected, expected_losses = autograd(start, cells, config, orders, rates)
    assert running.network().w1.dtype == dtype
    assert largest_difference(running.network(), expected) < tolerance
    assert largest_difference(start, expected) > 1e-3
    np.testing.assert_allclose(losses, expected_losses, rtol=10 * tolerance)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_what_rows_go_on_with_stays_zero(cells, batch_size):
    config = Config(batch_size=batch_size, n_latent=11, n_hidden=13)
    engine = NumbaEngine(network_in(np.float32, config, cells), cells, config, UNIT)
    engine.epoch(np.arange(N_CELLS), 0.05)
    for layer, width in zip(engine._layers, (13, 13, 11, 13), strict=True):
        assert layer.weight.shape[1] > width
        assert not layer.weight[:, width:].any()
        assert not layer.velocity[:, width:].any()
        assert layer.velocity[:, :width].any(axis=0).all()
    *hidden, _, _ = engine._scratch
    for memory, width in zip(hidden, (13, 11, 13), strict=True):
        assert all(not array[:, width:].any() for array in memory)
        assert all(array[:1, :width].all() for array in memory)
    first = engine._layers[0]
    assert not np.concatenate([first.bias[13:], first.bias_velocity[13:]]).any()
    shapes = [engine.state()[name].shape for name in ("weight_1", "velocity_3", "bias_1", "bias_velocity_2")]
    assert shapes == [(N_GENES, 13), (13, 11), (13,), (11,)]


@pytest.mark.parametrize("counts", ["sorted", "unsorted"])
def test_loss_of_cells_is_the_same_in_both_engines_and_learns_nothing(cells, counts):
    config = Config(n_latent=8, n_hidden=16)
    start = network_in(np.float64, config, cells)
    if counts == "unsorted":
        backwards = cells.counts[:, ::-1]
        flipped = sparse.csr_matrix(
            (backwards.data, N_GENES - 1 - backwards.indices, backwards.indptr), (N_CELLS, N_GENES)
        )
        flipped.has_sorted_indices = False
        cells = Cells(flipped, cells.size_factors)
    engines = [
        start_engine(start, cells, Config(n_latent=8, n_hidden=16, engine=name), 1, "cpu")
        for name in ("numba", "torch")
    ]
    one, other = (engine.loss(cells) for engine in engines)
    np.testing.assert_allclose(one, other, rtol=1e-10)
    assert largest_difference(engines[0].network(), start) == 0


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100])
def test_training_is_bitwise_repeatable(cells, batch_size):
    config = Config(n_latent=8, n_hidden=16, batch_size=batch_size, max_epochs=3)
    test = split_cells(N_CELLS, config)
    first, again = (train(cells, test, config) for _ in range(2))
    for name in WEIGHTS:
        np.testing.assert_array_equal(getattr(first.network, name), getattr(again.network, name))
    np.testing.assert_array_equal(first.history.train_loss, again.history.train_loss)


def test_numba_on_a_cpu_torch_elsewhere(cells):
    config = Config(n_latent=8, n_hidden=16)
    start = network_in(np.float32, config, cells)
    assert isinstance(start_engine(start, cells, config, 1, "cpu"), NumbaEngine)
    assert isinstance(start_engine(start, cells, config, 1, "meta"), TorchEngine)
    with pytest.raises(ValueError, match="Use device='cpu' or engine='torch'"):
        start_engine(start, cells, Config(n_latent=8, n_hidden=16, engine="numba"), 1, "cuda")


def test_engines_train_alike(cells):
    runs = [
        train(cells, split_cells(N_CELLS, Config()), Config(n_latent=8, n_hidden=16, max_epochs=3, engine=name))
        for name in ("numba", "torch")
    ]
    np.testing.assert_allclose(runs[0].history.test_loss, runs[1].history.test_loss, rtol=1e-5)
    np.testing.assert_allclose(runs[0].history.orthogonality, runs[1].history.orthogonality, rtol=1e-4)


def test_step_size_falls_on_a_half_cosine():
    from modulae.core.training.step_size import learning_rate

    falling = [learning_rate(epoch, Config(learning_rate=0.4, max_epochs=4)) for epoch in (1, 2, 3, 4)]
    np.testing.assert_allclose(falling, [0.4, 0.4 * (2 + 2**0.5) / 4, 0.2, 0.4 * (2 - 2**0.5) / 4])
    assert learning_rate(3, Config(learning_rate=0.4, max_epochs=4, schedule="constant")) == 0.4


def test_loops_are_found_again_only_as_long_as_they_are_the_same():
    """Numba's cache goes by the file of a function and the variables around it."""
    (of_epoch,) = kernels.epoch.py_func.__closure__
    assert of_epoch.cell_contents == kernels.digest(kernels.MADE_OF)
    read = Path.read_bytes
    for name in ("rows", "output_layer"):
        changed = Path(kernels.__file__).with_name(f"{name}.py")
        with mock.patch.object(Path, "read_bytes", lambda path, at=changed: read(path) + b"#" * (path == at)):
            assert kernels.digest(kernels.MADE_OF) != of_epoch.cell_contents
    with mock.patch.object(first_call, "WIDTH", 128):
        assert kernels.digest(kernels.MADE_OF) != of_epoch.cell_contents
