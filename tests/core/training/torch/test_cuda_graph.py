"""Steps that find their cells on the device, to be recorded on a GPU, are the steps taken one by one."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from modulae.core.data.cells import Cells
from modulae.core.model.config import config_for
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.training.count_scale import mean_rates
from modulae.core.training.torch import cuda_graph as of_steps
from modulae.core.training.torch import torch_engine as of_training
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.torch.resident_cells import ResidentCells
from modulae.core.training.torch.torch_engine import TorchEngine

N_CELLS, N_GENES = 101, 30
RATES = [0.00390625, 0.001953125, 0.001953125]  # the same in single precision, in which a device looks them up
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
WAITS = {"_local_scalar_dense", "_unique2", "equal", "is_nonzero", "masked_select", "nonzero", "unique_dim"}
SENDS = {"lift_fresh"}  # torch.tensor([…], device=…)
MAKES = {"arange", "empty", "eye", "full", "linspace", "ones", "scalar_tensor", "tensor", "zeros"}


def tensors_in(*values):
    return [leaf for leaf in tree_iter(values) if isinstance(leaf, torch.Tensor)]


def lies_at(tensor):
    return tensor.untyped_storage().data_ptr()


class Named(TorchFunctionMode):
    """Refuses tensors made without a word on where: beside a GPU they would lie on the CPU."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in MAKES and kwargs.get("device") is None:
            msg = f"{name} names no device"
            raise RuntimeError(msg)
        return function(*args, **kwargs)


class Tape(TorchDispatchMode):
    """What a CUDA graph does, on a CPU: takes operations down with where their tensors lie, and repeats them there.

    As there, what waits for the device, or sends it something, is refused, and what is taken down is not yet done.
    """

    def __init__(self):
        super().__init__()
        self.taken, self.made, self.before = [], set(), {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function.namespace == "profiler":
            return function(*args, **kwargs)
        name, given = function.__name__.partition(".")[0], tensors_in(args, kwargs)
        by_mask = name.startswith(("index", "_index_put")) and any(t.dtype == torch.bool for t in tensors_in(args[1]))
        unknown_size = name == "repeat_interleave" and kwargs.get("output_size") is None
        if name in WAITS | SENDS or by_mask or unknown_size:
            msg = f"{function} in a step that is recorded"
            raise RuntimeError(msg)
        for tensor in given:
            if lies_at(tensor) not in self.made | set(self.before):
                self.before[lies_at(tensor)] = tensor.untyped_storage(), tensor.untyped_storage().clone()
        out = function(*args, **kwargs)
        places = {lies_at(tensor) for tensor in given}
        new = [tensor for tensor in tensors_in(out) if lies_at(tensor) not in places]
        self.made |= {lies_at(tensor) for tensor in new}
        self.taken.append((function, args, kwargs, out, new))
        return out

    def undo(self):
        for storage, content in self.before.values():
            storage.copy_(content)

    @torch.no_grad()
    def play(self):
        for function, args, kwargs, _, new in self.taken:
            if new:
                for tensor, value in zip(new, tensors_in(function(*args, **kwargs)), strict=True):
                    tensor.detach().copy_(value)
            elif function._schema.is_mutable:  # else it looks at what is there already
                function(*args, **kwargs)


def taped(self, step):
    tape = Tape()
    with Named(), tape:
        self._next(step)
    tape.undo()
    return tape.play


@pytest.fixture(params=["cpu", "tape", pytest.param("cuda", marks=pytest.mark.gpu)])
def where(request, monkeypatch):
    """A device, and whether steps are recorded there."""
    if request.param == "tape":
        monkeypatch.setattr(of_steps, "WORTH", 1)
        monkeypatch.setattr(of_steps.Replay, "_recorded", taped)
        forget = of_steps.Replay.forget

        def forget_and_record(self):
            forget(self)
            self._may_record = True

        monkeypatch.setattr(of_steps.Replay, "forget", forget_and_record)
    return "cuda" if request.param == "cuda" else "cpu", request.param != "cpu"


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 2, N_GENES), (N_CELLS, N_GENES)).astype(np.float32)
    counts[7] = 0
    return Cells(sparse.csr_matrix(counts), rng.uniform(0.3, 3, N_CELLS).astype(np.float32))


def started(architecture, cells, dtype, device, *, replay, n_latent=5, **settings):
    """An engine at its first step."""
    if architecture == "orthogonal":
        settings.setdefault("n_hidden", 9)
    config = config_for(architecture, n_latent=n_latent, size_factors="total", schedule="constant", **settings)
    rng = np.random.default_rng(1)
    if architecture == "orthogonal":
        start = initial_network(config, mean_rates(cells), rng)
        start = type(start)(**{name: getattr(start, name).astype(dtype) for name in start.weights}, betas=start.betas)
        return TorchEngine(start, cells, config, 0.7, device, replay=replay)
    encoder, loadings = (rng.uniform(0, 0.3, (n_latent, N_GENES)).astype(dtype) for _ in range(2))
    start = PartsNetwork(encoder, np.zeros(n_latent, dtype=dtype), loadings, loadings[0].copy())
    return PartsEngine(start, cells, config, 1.0, device, replay=replay)


def orders():
    rng = np.random.default_rng(2)
    return [rng.permutation(N_CELLS), rng.permutation(N_CELLS), rng.permutation(N_CELLS)[:50]]


def assert_same(one, other, tolerance):
    for name in one.weights:
        a, b = getattr(one, name), getattr(other, name)
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max(), name


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize("size", [1, 7, 128])
@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_the_steps_are_those_taken_one_by_one(cells, architecture, size, dtype, tolerance, where):
    device, records = where
    one, other = (
        started(architecture, cells, dtype, on, replay=replay, batch_size=size)
        for on, replay in ((device, True), ("cpu", False))
    )
    if architecture == "parts":
        tolerance = max(tolerance, 1e-4)  # the first rates are worked out in single precision, and Adam divides
    before = other.network()
    rates = [rate * (16 if architecture == "parts" else 1) for rate in RATES]
    losses = [[engine.epoch(o, rate) for o, rate in zip(orders(), rates, strict=True)] for engine in (one, other)]
    assert_same(one.network(), other.network(), tolerance)
    assert np.abs(before.latent_weight - other.network().latent_weight).max() > 1e-3  # far more than the tolerance
    np.testing.assert_allclose(losses[0], losses[1], rtol=10 * tolerance)
    if size == 1:
        assert (one._replay._play is not None) == records  # without a warning


@pytest.mark.parametrize("architecture", ["orthogonal", "parts"])
def test_goes_on_from_a_state(cells, architecture, where):
    device, _ = where
    whole, first, second = (
        started(architecture, cells, np.float32, device, replay=True, batch_size=1) for _ in range(3)
    )
    for at, (order, rate) in enumerate(zip(orders(), RATES, strict=True)):
        whole.epoch(order, rate)
        if at == 1:
            second.epoch(order[::-1].copy(), rate)  # is forgotten, and what was recorded of it
            second.restore(first.state())
        (first if at == 0 else second).epoch(order, rate)
    assert_same(second.network(), whole.network(), 0 if device == "cpu" else 1e-5)


def test_reads_other_cells_in_between(cells, where):
    device, _ = where
    some = [cells.take(np.arange(60)), cells.take(np.arange(60, N_CELLS))]
    one, other = (
        started("orthogonal", cells, np.float64, on, replay=replay, batch_size=2)
        for on, replay in ((device, True), ("cpu", False))
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


WRONG = {
    "the loss is read": lambda loss: loss * float(loss),
    "a number is sent": lambda loss: loss * torch.tensor(2.0, device=loss.device),
    "a tensor lies elsewhere": lambda loss: loss + torch.zeros(()),
    "only the device knows a size": lambda loss: loss[None][loss[None] > 0].sum(),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_gpu_cannot_record_is_noticed_on_a_cpu(cells, wrong):
    engine = started("orthogonal", cells, np.float32, "cpu", replay=True, batch_size=7)
    engine.epoch(orders()[0], RATES[0])
    engine._replay._at.zero_()
    taped(engine._replay, engine._step)
    with pytest.raises(RuntimeError, match=r"recorded|names no device"):
        taped(engine._replay, lambda batch: WRONG[wrong](engine._step(batch)))


@pytest.mark.parametrize(("architecture", "wide"), [("orthogonal", 1), ("orthogonal", 5), ("parts", 1), ("parts", 5)])
def test_gradients_lie_in_memory_as_their_weights_do(cells, architecture, wide):
    """Fused optimisers refuse others on a GPU; on a CPU they don't look."""
    more = {"n_hidden": wide} if architecture == "orthogonal" else {}
    start = started(architecture, cells, np.float32, "cpu", replay=True, batch_size=3, n_latent=wide, **more)
    start.epoch(orders()[0], RATES[0])
    for name in start._network.weights:
        weight = getattr(start._network, name)
        memory = [value for value in start._optimizer.state[weight].values() if value.ndim]
        assert [other.stride() for other in (weight.grad, *memory)] == [weight.stride()] * (1 + len(memory))


def test_an_interrupted_epoch_is_waited_for(monkeypatch):
    """Its steps may still be under way when their memory is freed, and given to what is computed next."""
    waited = []

    class Stream:
        device = "cuda:0"

        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            waited.append((self.name, other.name))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("torch.cuda.current_stream", lambda _device: Stream("around"))
    monkeypatch.setattr("torch.cuda.stream", lambda stream: stream)
    with pytest.raises(KeyboardInterrupt), of_steps._on(Stream("steps")):
        raise KeyboardInterrupt
    assert waited == [("steps", "around"), ("around", "steps")]


@pytest.mark.parametrize(("device", "times"), [("cpu:0", 3), ("cpu", 4)])
def test_held_out_cells_are_sent_once(cells, monkeypatch, device, times):
    engine, sent = started("orthogonal", cells, np.float64, device, replay=False), []
    resident = of_training.ResidentCells
    monkeypatch.setattr(of_training, "ResidentCells", lambda *given: sent.append(given[0]) or resident(*given))
    some, others = cells.take(np.arange(40)), cells.take(np.arange(40, N_CELLS))
    losses = [engine.loss(part) for part in (some, some, others, some)]
    assert len(sent) == times
    assert losses[0] == losses[1] == losses[3] != losses[2]


@pytest.mark.parametrize(("size", "first"), [(1, 1), (20, 2)])
def test_short_epochs_are_recorded_once_enough_steps_were_taken(cells, size, first, where, monkeypatch):
    """With 101 steps an epoch in the first, with five in the second, after seven, from which recording pays here."""
    device, records = where
    if not records:
        pytest.skip("nothing is recorded on a CPU")
    monkeypatch.setattr(of_steps, "WORTH", 7)
    engine = started("parts", cells, np.float32, device, replay=True, batch_size=size)
    recorded = []
    for _ in range(4):
        engine.epoch(np.arange(N_CELLS), 0.001)
        recorded.append(engine._replay._play is not None)
    assert recorded == [at + 1 >= first for at in range(4)]
