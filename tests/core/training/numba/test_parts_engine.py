"""The compiled engine of parts takes the steps of the one of PyTorch, however many threads there are."""

import warnings
from dataclasses import replace

import numba
import numpy as np
import pytest

from modulae.core.factorisation import compiled_sweeps
from modulae.core.model.batch_factors import BatchEffects
from modulae.core.model.config import Config
from modulae.core.model.starts import initial_parts
from modulae.core.training.engine import start_engine
from modulae.core.training.numba import compiled
from modulae.core.training.numba.parts import engine as module
from modulae.core.training.numba.parts import kernels
from modulae.core.training.numba.parts.engine import NumbaPartsEngine
from modulae.core.training.torch.parts_engine import PartsEngine

CONFIG = Config(architecture="parts", n_latent=4, batch_size=37, max_epochs=4, orthogonality=0.0)


def engines(cells, config=CONFIG, unit=1.0):
    factors = None if cells.batch is None else BatchEffects.of(cells, 3).start()
    start = initial_parts(config, cells, None, factors)
    start = replace(start, baseline=start.baseline + np.float32(0.05))
    return PartsEngine(start, cells, config, unit, "cpu"), NumbaPartsEngine(start, cells, config, unit)


def assert_same(one, other, atol):
    for name in one.weights:
        size = np.abs(getattr(one, name)).max() + 1e-3  # biases start at 0
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=atol * size, err_msg=name)


def test_fixed_loadings_stay_and_the_rest_learns(mixed):
    cells = mixed[1]
    for engine in engines(cells, replace(CONFIG, loadings="fixed")):
        before = engine.network()
        engine.epoch(np.arange(len(cells)), 0.01)
        after = engine.network()
        np.testing.assert_array_equal(after.loadings, before.loadings)
        assert all(np.abs(getattr(after, name) - getattr(before, name)).max() > 0 for name in ("encoder", "baseline"))


@pytest.fixture(scope="module")
def in_batches(mixed):
    return replace(mixed[1], batch=np.random.default_rng(0).integers(0, 3, 300))


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("batches", [False, True])
def test_the_same_steps_as_pytorch(mixed, in_batches, penalty, batches):
    """Both phases: nobody's reading moves, then all but one; steps of 37 cells, the last one of 4."""
    cells = in_batches if batches else mixed[1]
    torch_engine, numba_engine = both = engines(cells, replace(CONFIG, orthogonality=penalty), unit=0.7)
    start, rng = torch_engine.network(), np.random.default_rng(0)
    assert numba_engine.loss(cells) == pytest.approx(torch_engine.loss(cells), rel=1e-5)
    for held in (np.ones(4, dtype=bool), np.arange(4) == 1):
        order = rng.permutation(300)
        losses = []
        for engine in both:
            engine.hold(held)
            losses.append(engine.epoch(order, 0.03, 0.02))
        assert losses[1] == pytest.approx(losses[0], rel=1e-5)
        assert_same(torch_engine.network(), numba_engine.network(), atol=2e-4)
        np.testing.assert_array_equal(numba_engine.network().encoder[held], start.encoder[held])
    moved = {name: np.abs(getattr(numba_engine.network(), name) - getattr(start, name)).max() for name in start.weights}
    sizes = {name: np.abs(getattr(start, name)).max() + 1e-3 for name in start.weights}
    assert all(moved[name] > 2e-3 * sizes[name] for name in moved)  # ten times the tolerance
    assert numba_engine.loss(cells) == pytest.approx(torch_engine.loss(cells), rel=1e-5)


def test_a_state_of_one_engine_is_one_of_the_other(mixed):
    cells = mixed[1]
    for first, second in (engines(cells), engines(cells)[::-1]):
        first.hold(np.arange(4) == 2)
        first.epoch(np.arange(300), 0.03)
        second.restore(first.state())
        assert_same(first.first(), second.first(), atol=0)
        for engine in (first, second):
            engine.epoch(np.arange(299, -1, -1), 0.03)
        assert_same(first.network(), second.network(), atol=1e-3)
        state = second.state()
        assert state.keys() == first.state().keys()
        assert int(state["taken"]) == 18


def test_threads_change_no_bit(planted_wide, monkeypatch):
    monkeypatch.setattr(module, "ONE_THREAD_BELOW", 0)
    found = []
    for n in (1, 2, 3):
        monkeypatch.setattr(module, "n_threads", lambda n=n: n)
        engine = engines(planted_wide)[1]
        found.append((engine.epoch(np.arange(300), 0.03), engine.loss(planted_wide), engine.network()))
    for losses in zip(*(one[:2] for one in found), strict=True):
        assert len(set(losses)) == 1
    for _, _, network in found[1:]:
        assert_same(found[0][2], network, atol=0)


@pytest.fixture(scope="module")
def planted_wide(mixed):
    """The same cells with so many genes that there are several chunks of them, the last one not full."""
    from scipy import sparse

    cells = mixed[1]
    wide = sparse.hstack([cells.counts] * 17, format="csr")
    assert wide.shape[1] > 2 * 256
    assert wide.shape[1] % 64
    return replace(cells, counts=wide)


def test_many_genes_and_units_as_pytorch(planted_wide):
    torch_engine, numba_engine = engines(planted_wide, replace(CONFIG, n_latent=18, batch_size=300))
    for engine in (torch_engine, numba_engine):
        for _ in range(3):
            engine.epoch(np.arange(300), 0.01)
    assert_same(torch_engine.network(), numba_engine.network(), atol=1e-3)


def test_large_values_end_the_training_rather_than_being_cut_off(mixed):
    engine = engines(mixed[1])[1]
    state = engine.state()
    engine.restore({**state, "baseline": state["baseline"] + 100})
    assert not np.isfinite(engine.loss(mixed[1]))


def test_the_types_tried_are_those_of_every_training(mixed, in_batches):
    assert compiled.trouble("parts") == ""
    known = list(kernels.work.signatures)
    for cells in (mixed[1], in_batches):
        engine = engines(cells, replace(CONFIG, orthogonality=0.1))[1]
        engine.epoch(np.random.default_rng(0).permutation(300), 0.01)
        engine.loss(cells)
    assert list(kernels.work.signatures) == known


@pytest.fixture
def forget():
    for what in (compiled.trouble, compiled.outcome, compiled_sweeps.loops):
        what.cache_clear()
    yield
    for what in (compiled.trouble, compiled.outcome, compiled_sweeps.loops):
        what.cache_clear()


@pytest.mark.usefixtures("forget")
def test_where_it_cannot_be_compiled_torch_trains_and_it_is_said_once(mixed, monkeypatch):
    cells, expected = mixed[1], engines(mixed[1])[0].network()
    compiled_sweeps.loops.cache_clear()
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = initial_parts(CONFIG, cells)  # by NumPy
        found = [start_engine(start, cells, CONFIG, 1.0, "cpu") for _ in range(2)]
    assert all(isinstance(engine, PartsEngine) for engine in found)
    (warning,) = caught
    assert str(warning.message).startswith("numba can't compile the training steps here (its compiler is off")
    np.testing.assert_allclose(start.loadings, expected.loadings, atol=1e-3)
    with pytest.raises(ValueError, match=r"numba can't compile.*Use engine='auto', and torch takes them"):
        start_engine(start, cells, replace(CONFIG, engine="numba"), 1.0, "cpu")


def test_which_engine_trains(mixed):
    start = initial_parts(CONFIG, mixed[1])
    assert isinstance(start_engine(start, mixed[1], CONFIG, 1.0, "cpu"), NumbaPartsEngine)
    other = replace(CONFIG, engine="torch")
    assert isinstance(start_engine(start, mixed[1], other, 1.0, "cpu"), PartsEngine)
    exact = replace(start, **{name: getattr(start, name).astype(np.float64) for name in start.weights})
    assert isinstance(start_engine(exact, mixed[1], CONFIG, 1.0, "cpu"), PartsEngine)
