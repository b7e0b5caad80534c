"""Training of parts: its steps, its two phases, and units that stay what they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.inference.encode import denoise, encode
from modulae.core.model.config import Config
from modulae.core.model.losses import gene_means_loss
from modulae.core.model.starts import initial_parts
from modulae.core.plain_torch import flush_denormal
from modulae.core.scores.correlation import column_correlation
from modulae.core.training.adam import BIAS_SCALE, ENCODER_SHARE, RISING_STEPS
from modulae.core.training.engine import start_engine
from modulae.core.training.numba.parts.engine import NumbaPartsEngine
from modulae.core.training.step_size import decoder_epochs, falling_rate
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.train import split_cells, train

SETTINGS = {
    "architecture": "parts",
    "n_latent": 4,
    "batch_size": 32,
    "learning_rate": 0.03,
    "max_epochs": 10,
    "orthogonality": 0.0,
}
CONFIG = Config(**SETTINGS)
PARTS = np.kron(np.eye(4), np.ones(10))


def held_out_loss(network, cells, test):
    """By its definition."""
    some = cells.take(np.flatnonzero(test))
    rates = some.scale() * network.decode(network.encode(some.inputs()))
    return float((rates - some.dense() * np.log(rates + 1e-8)).mean())


def test_learns_the_parts_and_their_depth(mixed):
    activity, cells = mixed
    run = train(cells, split_cells(300, CONFIG), CONFIG)
    r = np.abs(np.corrcoef(encode(run.network, cells).T, activity.T)[:4, 4:])
    assert (r.max(axis=0) > 0.85).all()
    assert len(set(r.argmax(axis=0))) == 4
    doubled = Cells(cells.counts * np.float32(2), cells.size_factors * np.float32(2))
    np.testing.assert_allclose(denoise(run.network, doubled), 2 * denoise(run.network, cells), rtol=1e-4)


def test_first_the_decoder_learns_alone_and_then_all(planted_cells):
    config = replace(CONFIG, snapshot_epochs=(0, 3, 4, 5))
    assert decoder_epochs(config) == 4
    run = train(planted_cells[1], split_cells(500, config), config)
    start, decoder, last, joint = (run.snapshots[epoch] for epoch in (0, 3, 4, 5))
    for network in (decoder, last):
        np.testing.assert_array_equal(network.encoder, start.encoder)
        np.testing.assert_array_equal(network.bias, start.bias)
        assert np.abs(network.loadings - start.loadings).max() > 1e-2
        assert np.abs(network.baseline - start.baseline).max() > 1e-3
    for name in start.weights:
        assert not np.array_equal(getattr(joint, name), getattr(last, name)), name
    for network in (decoder, last, joint, run.network):
        assert (network.loadings >= 0).all()
        assert (network.baseline >= 0).all()


def test_keeps_the_weights_of_the_lowest_held_out_loss(mixed):
    test = split_cells(300, CONFIG)
    run = train(mixed[1], test, CONFIG)
    history = run.history
    assert history.best_epoch == history.epoch[history.test_loss.argmin()]
    assert history.test_loss[0] > history.test_loss[decoder_epochs(CONFIG)] > history.test_loss.min()
    assert held_out_loss(run.network, mixed[1], test) == pytest.approx(history.test_loss.min(), rel=1e-5)
    np.testing.assert_allclose(history.orthogonality[history.best_epoch], run.network.orthogonality_gap, rtol=1e-5)


@pytest.fixture(params=["numba", "torch"])
def start(request):
    """Start an engine."""

    def started(network, cells, config):
        return start_engine(network, cells, replace(config, engine=request.param), 1.0, "cpu")

    return started


def test_the_decoder_alone_has_a_convex_loss_that_only_falls(mixed, start):
    """With all cells in a step, the loss of the cells learnt from is below that of the start all the way."""
    cells = mixed[1]
    engine = start(initial_parts(CONFIG, cells), cells, replace(CONFIG, batch_size=300))
    engine.hold(np.ones(4, dtype=bool))
    losses = [engine.loss(cells)]
    for _ in range(60):
        engine.epoch(np.arange(300), 0.01)
        losses.append(engine.loss(cells))
    assert max(losses[1:]) < losses[0]
    one, other = engine.network(), initial_parts(CONFIG, cells)
    halfway = replace(one, loadings=(one.loadings + other.loadings) / 2, baseline=(one.baseline + other.baseline) / 2)
    everyone = np.ones(300, dtype=bool)
    ends = [held_out_loss(network, cells, everyone) for network in (one, other)]
    assert held_out_loss(halfway, cells, everyone) < np.mean(ends)


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_steps_are_adams_warmed_up_and_relative_to_the_weights(mixed, penalty, start):
    """Adam's first step has the same length in every weight: here a share of the root mean square at the start."""
    cells = mixed[1]
    config = replace(CONFIG, batch_size=300, orthogonality=penalty)
    first = initial_parts(config, cells)
    first = replace(first, baseline=first.baseline + np.float32(0.05))
    engine = start(first, cells, config)
    engine.epoch(np.arange(300), 0.03)
    after = engine.network()
    tensors = first.to_torch("cpu", dtype=torch.float64, trained=True)
    rates = torch.from_numpy(cells.scale()) * tensors.decode(tensors.encode(torch.from_numpy(cells.inputs()).double()))
    loss = (rates - torch.from_numpy(cells.dense()) * (rates + 1e-8).log()).mean()
    directions = tensors.encoder / tensors.encoder.norm(dim=1, keepdim=True)
    gap = (torch.eye(4) - directions @ directions.T).square().sum().sqrt()
    (loss + penalty * gap).backward()
    by_gene = np.sqrt((np.vstack([first.loadings, first.baseline]) ** 2).mean(axis=0))
    sizes = {
        "encoder": ENCODER_SHARE * np.sqrt((first.encoder**2).mean()) * np.ones((4, 40)),
        "bias": BIAS_SCALE * np.ones(4),
        "loadings": by_gene * np.ones((4, 1)),
        "baseline": by_gene,
    }
    for name, size in sizes.items():
        gradient = getattr(tensors, name).grad.numpy()
        step = getattr(after, name) - getattr(first, name)
        clear = np.abs(gradient) > 1e-5  # of a gradient near 0, rounding may choose the sign
        clear &= getattr(first, name) > 0.01 if name in {"loadings", "baseline"} else True  # else it is clipped
        assert clear.mean() > 0.2, name
        expected = -np.sign(gradient) * size * 0.03 / RISING_STEPS
        np.testing.assert_allclose(step[clear], expected[clear], rtol=2e-2, err_msg=name)


def test_the_penalty_makes_directions_orthogonal(mixed):
    gaps = []
    for penalty in (0.0, 0.2):
        config = replace(CONFIG, orthogonality=penalty, max_epochs=20, patience=20)
        gaps.append(train(mixed[1], split_cells(300, config), config).history.orthogonality)
    assert gaps[1][0] == gaps[0][0]
    assert gaps[1][-1] < 0.5 * gaps[0][-1]


def test_step_sizes_fall_within_each_phase():
    assert falling_rate(1, 0.0, CONFIG) == falling_rate(5, 0.0, CONFIG) == 0.03
    assert falling_rate(3, 0.0, CONFIG) == pytest.approx(0.015)
    assert falling_rate(8, 0.0, CONFIG) == falling_rate(7, 1.0, CONFIG) == pytest.approx(0.015)
    for epoch in (4, 10):
        assert falling_rate(epoch, 1.0, CONFIG) == pytest.approx(0)
    assert falling_rate(1, 0.5, replace(CONFIG, max_epochs=1)) == pytest.approx(0.015)
    assert falling_rate(9, 0.5, replace(CONFIG, schedule="constant")) == 0.03


def test_step_sizes_fall_within_an_epoch(mixed):
    """From the first step to the one after the last."""
    used = []

    class Noted(PartsEngine):
        def _set_rate(self, rate):
            used.append(float(rate))
            super()._set_rate(rate)

    engine = Noted(initial_parts(CONFIG, mixed[1]), mixed[1], replace(CONFIG, batch_size=75), 1.0, "cpu")
    engine._taken = RISING_STEPS
    engine.epoch(np.arange(300), 0.08, 0.04)
    np.testing.assert_allclose(used[-4:], [0.08, 0.07, 0.06, 0.05])


@pytest.fixture(scope="module")
def wandering(mixed):
    config = replace(CONFIG, learning_rate=3.0, max_epochs=8, patience=8, snapshot_epochs=(0, 4, 8))
    return config, train(mixed[1], split_cells(300, config), config)


def test_units_that_wander_off_are_read_as_at_the_start_again(mixed, wandering):
    config, run = wandering
    assert run.held.any()
    start, last = run.snapshots[0], run.snapshots[8]
    np.testing.assert_array_equal(last.encoder[run.held], start.encoder[run.held])
    np.testing.assert_array_equal(last.bias[run.held], start.bias[run.held])
    learn = mixed[1].take(np.flatnonzero(~split_cells(300, config)))
    for network in (run.snapshots[4], last, run.network):
        r = column_correlation(*(one.encode(learn.inputs()).astype(float) for one in (start, network)))
        assert (r >= 0.9).all()
    assert np.isin(run.history.test_loss.min(), run.history.test_loss[: run.history.best_epoch + 1])


def test_no_unit_is_held_where_none_wanders(mixed):
    run = train(mixed[1], split_cells(300, CONFIG), CONFIG)
    assert run.held.shape == (4,)
    assert not run.held.any()


def test_a_joint_phase_that_does_not_help_leaves_what_the_decoder_learnt(mixed, monkeypatch):
    """Its steps take everything to where the loss is large."""
    config = replace(CONFIG, snapshot_epochs=(0, 4))
    real = NumbaPartsEngine.epoch

    def worse(self, order, learning_rate, final=None):
        joint = not self._kept["held"].all()
        loss = real(self, order, learning_rate, final)
        if joint:
            self._views["baseline"][:] += 1
        return loss

    monkeypatch.setattr(NumbaPartsEngine, "epoch", worse)
    run = train(mixed[1], split_cells(300, config), config)
    assert run.history.best_epoch <= 4
    np.testing.assert_array_equal(run.network.encoder, run.snapshots[0].encoder)


def test_patience_has_no_say_while_the_decoder_learns_alone(mixed, monkeypatch):
    monkeypatch.setattr(NumbaPartsEngine, "loss", lambda _self, cells: float(len(cells)))  # never better
    config = replace(CONFIG, patience=2)
    run = train(mixed[1], split_cells(300, config), config)
    assert (run.history.epoch[-1], run.history.stopped) == (6, "patience")


def test_training_does_not_harm_the_units(planted_cells):
    """Each programme's unit follows it as well as at the start, and unseen cells are predicted better."""
    truth, cells, loadings = planted_cells
    config = replace(CONFIG, n_latent=len(loadings), batch_size=64, max_epochs=34, snapshot_epochs=(0,))
    test = split_cells(len(cells), config)
    run = train(cells, test, config, loadings=loadings)
    before, after = (
        np.corrcoef(encode(network, cells).T, truth.T)[: len(loadings), len(loadings) :].diagonal()
        for network in (run.snapshots[0], run.network)
    )
    assert (after > before - 0.01).all()
    assert held_out_loss(run.network, cells, test) < held_out_loss(run.snapshots[0], cells, test)
    rates = cells.take(np.flatnonzero(~test))
    means = rates.gene_totals() / rates.size_factors.sum()
    some = cells.take(np.flatnonzero(test))
    assert held_out_loss(run.network, cells, test) < gene_means_loss(means, some.counts, some.size_factors)


@pytest.fixture(scope="module")
def planted_cells():
    """Six programmes over a level that all cells share."""
    rng = np.random.default_rng(3)
    truth = rng.gamma(1.0, size=(500, 6)) * (rng.random((500, 6)) < 0.4)
    loadings = np.abs(rng.normal(size=(6, 120))) * (rng.random((6, 120)) < 0.2)
    depth = rng.uniform(0.5, 2, size=(500, 1))
    level = rng.gamma(1.0, size=120)
    counts = sparse.csr_matrix(rng.poisson(depth * np.expm1(truth @ loadings + np.log1p(level))).astype(np.float32))
    return truth, Cells(counts, depth[:, 0].astype(np.float32)), loadings


@pytest.mark.parametrize("engine", ["numba", "torch"])
def test_same_seed_same_numbers_bit_by_bit_and_another_seed_others(mixed, engine):
    cells, config = mixed[1], replace(CONFIG, engine=engine)
    first, again = (train(cells, split_cells(300, config), config).network for _ in range(2))
    for name in first.weights:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    config = replace(config, seed=1)
    other = train(cells, split_cells(300, config), config).network
    assert np.abs(first.encoder - other.encoder).max() > 0.01


class Memory:
    """Keeps every state, as a file would."""

    def __init__(self, states=()):
        self.states = list(states)

    def read(self):
        return self.states[-1] if self.states else None

    def due(self, _state):
        return True

    def keep(self, state):
        taken = {name: array.copy() for name, array in state.engine.items()}
        more = {"rows": list(state.rows), "snapshots": dict(state.snapshots), "portions": list(state.portions)}
        self.states.append(replace(state, engine=taken, held=state.held.copy(), **more))


@pytest.mark.parametrize("engine", ["numba", "torch"])
@pytest.mark.parametrize("rate", [0.03, 3.0], ids=["", "units are held"])
def test_goes_on_from_any_epoch_to_the_same_end(mixed, rate, engine):
    config = replace(CONFIG, learning_rate=rate, max_epochs=8, patience=8, engine=engine)
    cells, test, memory = mixed[1], split_cells(300, config), Memory()
    whole = train(cells, test, config, keeper=memory)
    assert whole.held.any() == (rate > 1)
    for epoch in (2, 3, 4, 6):  # three are the decoder's
        again = train(cells, test, config, keeper=Memory(memory.states[: epoch + 1]))
        np.testing.assert_array_equal(again.held, whole.held)
        np.testing.assert_array_equal(again.history.test_loss, whole.history.test_loss)
        for name in whole.network.weights:
            np.testing.assert_array_equal(getattr(again.network, name), getattr(whole.network, name))


def test_ctrl_c_keeps_the_best_so_far(mixed):
    def stop(epoch, _loss):
        if epoch == 2:
            raise KeyboardInterrupt

    run = train(mixed[1], split_cells(300, CONFIG), CONFIG, on_epoch=stop)
    assert run.history.stopped == "interrupted"
    assert run.history.best_epoch <= 2


def test_denormal_numbers_are_flushed_only_while_training(mixed):
    def denormal():
        return bool(torch.tensor([1e-38]).div(8).item() > 0)

    assert denormal()
    with flush_denormal(on=True):
        assert not denormal()
    assert denormal()
    engine = PartsEngine(initial_parts(CONFIG, mixed[1]), mixed[1], CONFIG, 1.0, "cpu")
    engine.epoch(np.arange(300), 1e-3)
    assert denormal()


def test_a_diverging_loss_names_the_learning_rate_to_try(mixed):
    config = replace(CONFIG, learning_rate=1e4)
    with pytest.raises(FloatingPointError, match=r"stopped being finite in epoch 1.*learning_rate=2000"):
        train(mixed[1], split_cells(300, config), config)
