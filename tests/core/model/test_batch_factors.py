"""Factors of batches: what they come to, and that both engines train beside them as float64 autograd does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.data.readers import InMemory
from modulae.core.data.stored_cells import StoredCells
from modulae.core.inference.encode import encode, expected_counts
from modulae.core.model import batch_factors
from modulae.core.model.batch_factors import BATCH_PRIOR, BatchEffects, n_batches
from modulae.core.model.config import Config, config_for
from modulae.core.model.fitted import read_network
from modulae.core.model.losses import poisson_loss
from modulae.core.model.orthogonal import WEIGHTS, initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.model.starts import initial_parts
from modulae.core.training.numba.numba_engine import NumbaEngine
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.torch.resident_cells import ResidentCells
from modulae.core.training.torch.torch_engine import TorchEngine
from modulae.core.training.train import split_cells, train

N_CELLS, N_GENES, UNIT = 40, 90, 0.3
CONFIG = Config(n_latent=5, n_hidden=9, batch_size=3, max_epochs=2)


@pytest.fixture
def cells():
    """Three batches; a gene that one of them never counts, and a cell without counts."""
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 3, N_CELLS)
    means = np.exp(rng.normal(-1, 1.5, size=N_GENES)).clip(0.01, 20) * np.exp(rng.normal(0, 0.7, size=(3, N_GENES)))
    counts = rng.poisson(means[batch]).astype(np.float32)
    counts[3], counts[batch == 1, 5] = 0, 0
    return Cells(sparse.csr_matrix(counts), rng.uniform(0.3, 3, N_CELLS).astype(np.float32), batch)


def start_network(cells, dtype=np.float64):
    rates = np.asarray(cells.counts.mean(axis=0)).ravel() + 0.01
    first = initial_network(CONFIG, rates, np.random.default_rng(1))
    factors = BatchEffects.of(cells, 3).start()
    return replace(first, batch_factors=factors.astype(dtype), **{n: getattr(first, n).astype(dtype) for n in WEIGHTS})


def test_factors_are_shares_of_counts_shrunken_to_one():
    effects = BatchEffects(np.array([[30.0, 0, 0], [10.0, 8, 0]]), np.ones(2), np.array([0.75, 0.25]))
    expected = np.array([[20.0, 4, 0], [20.0, 4, 0]])
    found = effects.factors(expected)
    raw = np.array([[35 / 25, 5 / 9, 1], [15 / 25, 13 / 9, 1]])
    scaled = raw / raw.mean(axis=0)
    assert BATCH_PRIOR == 5
    np.testing.assert_allclose(found[:2], scaled, rtol=1e-6)
    np.testing.assert_allclose(found[2], 0.75 * scaled[0] + 0.25 * scaled[1], rtol=1e-6)
    np.testing.assert_allclose((expected * found[:2]).sum(axis=0), expected.sum(axis=0), rtol=1e-6)


def test_factors_are_read_from_counts_and_size_factors(cells):
    effects = BatchEffects.of(cells, 4)  # the last has no cell
    dense, sizes = cells.dense(), cells.size_factors
    for batch in range(3):
        np.testing.assert_allclose(effects.seen[batch], dense[cells.batch == batch].sum(axis=0), rtol=1e-6)
        np.testing.assert_allclose(effects.exposure[batch], sizes[cells.batch == batch].sum(), rtol=1e-6)
    start = effects.start()
    assert start.shape == (5, N_GENES)
    assert np.isfinite(start).all()
    assert (start > 0).all()  # also of the gene that a batch never counts
    assert start[1, 5] < start[0, 5]
    on_disk = StoredCells(InMemory(cells.counts), np.arange(N_CELLS), sizes, 16, batch=cells.batch)
    np.testing.assert_array_equal(BatchEffects.of(on_disk, 4).start(), start)
    with pytest.raises(ValueError, match="without batches"):
        BatchEffects.of(replace(cells, batch=None), 3)


def test_a_cell_is_read_as_of_the_batch_of_the_cell_before_it(cells):
    factors = np.random.default_rng(0).uniform(0.5, 2, size=(4, N_GENES)).astype(np.float32)
    order = np.random.default_rng(1).permutation(N_CELLS)[:30]  # of a portion
    other = cells.batch.copy()
    other[order] = cells.batch[[order[at - 1] for at in range(30)]]
    ratio = factors[other] / factors[cells.batch]
    for given in (cells, replace(cells, size_factors=None)):
        expected = cells.dense() * ratio
        expected = expected if given.size_factors is None else np.log1p(expected / cells.scale())
        found = given.sparse_inputs().copy()
        found.data = given.permute_batches(order, factors)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)
        resident = ResidentCells(given, "cpu", torch.float32)
        resident.permute_batches(torch.from_numpy(order), torch.from_numpy(factors))
        rows = np.arange(N_CELLS)
        inputs, counts, *_ = resident.batch(rows, torch.from_numpy(rows))
        np.testing.assert_allclose(inputs, expected, rtol=1e-5)
        np.testing.assert_array_equal(counts, cells.dense())
    assert (other != cells.batch).mean() > 0.3


def test_batches_stay_with_their_cells(cells):
    on_disk = StoredCells(InMemory(cells.counts), np.arange(N_CELLS), cells.size_factors, 16, batch=cells.batch)
    rows = np.array([7, 3, 30, 12])
    for some in (cells.take(rows), on_disk.take(rows).load(), on_disk.take(rows).held().load()):
        np.testing.assert_array_equal(some.batch, cells.batch[rows])
    for source in (cells, on_disk):
        np.testing.assert_array_equal(np.concatenate([part.batch for _, part in source.blocks(7)]), cells.batch)
    for portion, order in on_disk.shuffled(np.random.default_rng(0)):
        assert len(portion.batch) == len(order)
        for row, batch in zip(portion.dense(), portion.batch, strict=True):
            if row.any():
                assert batch == cells.batch[np.flatnonzero((cells.dense() == row).all(axis=1))[0]]
    assert n_batches(cells.batch) == 3
    assert n_batches(None) == 0


def autograd(network, cells, config, orders, rates):
    """The definition: dense float64 tensors, the loss and the factors written out."""
    model = network.to_torch("cpu", dtype=torch.float64, trained=True)
    weights = [getattr(model, name) for name in WEIGHTS]
    optimizer = torch.optim.SGD(weights, lr=1.0, momentum=config.momentum, nesterov=True)
    effects, factors = BatchEffects.of(cells, 3), torch.tensor(network.batch_factors, dtype=torch.float64)
    losses = []
    for order, rate in zip(orders, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        total, expected = 0.0, np.zeros((3, N_GENES))
        dense, ahead = cells.dense().astype(float), {}
        for at, row in enumerate(order):
            ahead[row] = cells.batch[order[at - 1]]  # the first follows the last
        other = np.array([ahead[row] for row in range(len(cells))])
        as_others = np.log1p(dense * (factors[other] / factors[cells.batch]).numpy() / cells.scale())
        for start in range(0, len(order), config.batch_size):
            rows = order[start : start + config.batch_size]
            x = torch.from_numpy(cells.counts[rows].toarray().astype(float))
            inputs, s = (torch.from_numpy(array[rows].astype(float)) for array in (as_others, cells.scale()))
            y = s * model.shared_rates(model.encode(inputs))
            for row, of in zip(y.detach().numpy(), cells.batch[rows], strict=True):
                expected[of] += row
            y = y * factors[cells.batch[rows]]
            loss = (y - x * (y + 1e-8).log()).mean()
            gap = torch.eye(config.n_latent, dtype=torch.float64) - model.w2 @ model.w2.T
            optimizer.zero_grad()
            (loss / UNIT + config.orthogonality * gap.norm()).backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(order))
        factors = torch.tensor(effects.factors(expected), dtype=torch.float64)
    return replace(model.to_numpy(), batch_factors=factors.numpy()), losses


@pytest.mark.parametrize("batch_size", [1, 3, 96], ids=["one cell", "by rows", "through BLAS"])
@pytest.mark.parametrize("engine", [NumbaEngine, TorchEngine])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 2e-7), (np.float32, 2e-5)])
def test_steps_and_factors_are_those_of_float64_autograd(cells, engine, dtype, tolerance, batch_size):
    if batch_size > N_CELLS:
        cells = cells.take(np.tile(np.arange(N_CELLS), 3))
    config = replace(CONFIG, batch_size=batch_size)
    rng = np.random.default_rng(2)
    orders, rates = [rng.permutation(len(cells)) for _ in range(3)], [0.05, 0.04, 0.02]
    start = start_network(cells, dtype)
    running = engine(*(start, cells, config, UNIT, "cpu")[: 4 if engine is NumbaEngine else 5])
    effects, losses = BatchEffects.of(cells, 3), []
    for order, rate in zip(orders, rates, strict=True):
        losses.append(running.epoch(order, rate))
        running.update_batch_factors(effects.factors)
    expected, expected_losses = autograd(start, cells, config, orders, rates)
    found = running.network()
    for name in (*WEIGHTS, "batch_factors"):
        largest = np.abs(getattr(expected, name)).max()
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=tolerance * largest)
    assert np.abs(found.batch_factors - start.batch_factors).max() > 1e-2
    np.testing.assert_allclose(losses, expected_losses, rtol=10 * tolerance)
    rates_now = torch.from_numpy(expected_counts(expected, cells))
    of_definition = float(poisson_loss(rates_now, torch.from_numpy(cells.dense().astype(float))))
    np.testing.assert_allclose(running.loss(cells), of_definition, rtol=10 * tolerance)


def test_parts_take_the_steps_of_adam_beside_the_factors(cells, monkeypatch):
    config = Config(architecture="parts", n_latent=4, batch_size=N_CELLS, max_epochs=1, orthogonality=0.0)
    factors = BatchEffects.of(cells, 3).start()
    start = initial_parts(config, cells, None, factors)
    engine = PartsEngine(start, cells, config, 1.0, "cpu")
    monkeypatch.setattr(batch_factors, "PERMUTE_BATCHES", False)
    engine.epoch(np.arange(N_CELLS), 0.03)
    step = engine.network().encoder - start.encoder
    model = start.to_torch("cpu", dtype=torch.float64, trained=True)
    units = model.encode(torch.from_numpy(cells.inputs().astype(float)))
    rates = torch.from_numpy(cells.scale()) * model.decode(units, cells.batch)
    (rates - torch.from_numpy(cells.dense()) * (rates + 1e-8).log()).mean().backward()
    gradient = model.encoder.grad.numpy()
    clear = np.abs(gradient) > 1e-7  # Adam's first step has the sign of the gradient
    np.testing.assert_array_equal(np.sign(step)[clear], -np.sign(gradient)[clear])
    assert model.batch_factors.grad is None
    assert (engine.network().loadings >= 0).all()


def test_decoding_of_a_batch_of_none_and_of_an_unknown_one(cells):
    network = start_network(cells)
    units = network.encode(cells.inputs())
    shared = network.shared_rates(units)
    np.testing.assert_allclose(network.decode(units, cells.batch), shared * network.batch_factors[cells.batch])
    for average in (network.decode(units), network.decode(units, np.full(N_CELLS, -1))):
        np.testing.assert_allclose(average, shared * network.batch_factors[3])
    shares = np.bincount(cells.batch) / N_CELLS
    np.testing.assert_allclose(network.batch_factors[3], shares @ network.batch_factors[:3], rtol=1e-6)
    tensors = network.to_torch("cpu")
    np.testing.assert_allclose(tensors.decode(torch.from_numpy(units), cells.batch), network.decode(units, cells.batch))
    again = read_network(network.as_dict())
    np.testing.assert_array_equal(again.batch_factors, network.batch_factors)


@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_fewer_genes_have_their_own_factors(cells, architecture):
    ones = np.ones((2, N_GENES))
    parts = PartsNetwork(ones, np.zeros(2), ones, np.ones(N_GENES), np.ones((4, N_GENES)))
    network = start_network(cells) if architecture == "orthogonal" else parts
    kept = np.arange(N_GENES) % 3 == 0
    few = network.restricted(kept, network.input_weights[:, kept], np.zeros(len(network.input_weights)))
    np.testing.assert_array_equal(few.batch_factors, network.batch_factors[:, kept])


@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_the_start_and_the_end_of_a_training_know_every_batch(cells, architecture):
    """Also one whose cells are all held out."""
    config = replace(CONFIG, architecture=architecture, n_latent=4, learning_rate=1e-2)
    batch = np.where(split_cells(N_CELLS, config), 3, cells.batch)
    run = train(replace(cells, batch=batch), split_cells(N_CELLS, config), config)
    assert run.network.batch_factors.shape == (5, N_GENES)
    assert np.isfinite(run.network.batch_factors).all()
    assert np.isfinite(run.history.test_loss).all()
    assert train(replace(cells, batch=None), split_cells(N_CELLS, config), config).network.batch_factors is None


def planted(seed=0, n=500):
    """Two programmes in cells of two batches that count genes 0.5 to 2 times as often; the activities."""
    rng = np.random.default_rng(seed)
    activity = rng.gamma(1.0, size=(n, 2)) * (rng.random((n, 2)) < 0.5)
    batch = rng.integers(0, 2, n)
    effect = np.exp(rng.normal(0, 0.5, size=(2, 60)))
    rates = 0.5 + activity @ np.kron(np.eye(2), np.ones(30)) * 2
    counts = rng.poisson(rates * effect[batch]).astype(np.float32)
    factors = (counts.sum(axis=1) / counts.sum(axis=1).mean()).astype(np.float32)
    return activity, effect, Cells(sparse.csr_matrix(counts), factors, batch)


def told_apart(units, batch):
    """Balanced accuracy of a logistic regression on held-out cells; 0.5: not at all."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression())
    return cross_val_score(model, units, batch, scoring="balanced_accuracy", cv=4).mean()


@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_planted_factors_are_found_and_the_units_are_free_of_them(architecture):
    activity, effect, cells = planted(n=1500)
    usual = {"schedule": "cosine", "size_factors": "total", "n_latent": 4}
    small = {"n_hidden": 12, "max_epochs": 15} if architecture == "orthogonal" else {}
    config = config_for(architecture, **usual, **small).for_cells(len(cells))
    test = split_cells(len(cells), config)
    network = train(cells, test, config).network
    without = train(replace(cells, batch=None), test, config).network
    ratio = np.log(network.batch_factors[0] / network.batch_factors[1])
    truth = np.log(effect[0] / effect[1])
    assert np.corrcoef(ratio, truth)[0, 1] > 0.95
    units, beside = encode(network, cells), encode(without, cells)
    assert told_apart(beside, cells.batch) > 0.9
    assert told_apart(units, cells.batch) < 0.65

    def left_over(found):
        at = np.column_stack([found, np.ones(len(found))])
        return (activity - at @ np.linalg.lstsq(at, activity, rcond=None)[0]).var(axis=0)

    assert (left_over(units) < 1.1 * left_over(beside)).all()  # the programmes are there as before
    assert (left_over(units) < 0.6 * activity.var(axis=0)).all()
