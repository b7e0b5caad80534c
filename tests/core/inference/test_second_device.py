"""What is computed on a device meets nothing that lies elsewhere; `meta` is one without numbers, on any machine."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch.fx.experimental import _config
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from modulae.core.data.cells import Cells
from modulae.core.inference import encode, saliency, unit_importance
from modulae.core.model.config import config_for
from modulae.core.model.orthogonal import initial_network
from modulae.core.model.parts import PartsNetwork
from modulae.core.scores import set_values
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.torch.torch_engine import TorchEngine

N_CELLS, N_GENES, N_UNITS, N_BATCHES = 12, 20, 4, 3
METHODS = ("gradient", "guided", "input_x_gradient", "integrated_gradients")


class OneDevice(TorchDispatchMode):
    """Refuses what takes tensors from two devices, but to copy; some of it a GPU would take, at the cost of a wait."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if len({tensor.device for tensor in given}) > 1 and "copy" not in function.__name__:
            msg = f"{function} of tensors on two devices"
            raise RuntimeError(msg)
        return function(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def one_device():
    with OneDevice():
        yield


@pytest.fixture(params=[False, True], ids=["", "batches"])
def cells(request):
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1, (N_CELLS, N_GENES)).astype(np.float32))
    batch = np.arange(N_CELLS) % N_BATCHES if request.param else None
    return Cells(counts, np.ones(N_CELLS, dtype=np.float32), batch)


@pytest.fixture(params=["orthogonal", "parts"])
def network(request, cells):
    rng = np.random.default_rng(1)
    factors = None if cells.batch is None else np.ones((N_BATCHES + 1, N_GENES), dtype=np.float32)
    if request.param == "parts":
        encoder, loadings = (rng.random((N_UNITS, N_GENES), dtype=np.float32) for _ in range(2))
        return PartsNetwork(encoder, np.zeros(N_UNITS, dtype=np.float32), loadings, loadings[0].copy(), factors)
    config = config_for("orthogonal", n_latent=N_UNITS, n_hidden=6, schedule="constant", size_factors="total")
    start = initial_network(config, np.ones(N_GENES), rng)
    return type(start)(*(getattr(start, name) for name in start.weights), start.betas, factors)


@pytest.fixture
def brought_back(monkeypatch):
    """Shapes of what comes back from the device; of its numbers there are none."""
    shapes = []

    def zeros(x):
        if not isinstance(x, torch.Tensor):
            return np.asarray(x)
        assert x.device.type == "meta"
        shapes.append(tuple(x.shape))
        return np.zeros(x.shape, dtype=str(x.dtype).removeprefix("torch."))

    for module in (encode, saliency, set_values, unit_importance):
        monkeypatch.setattr(module, "to_numpy", zeros)
    if not hasattr(_config, "meta_nonzero_assume_all_nonzero"):
        pytest.skip("this PyTorch can't choose by a mask without numbers")
    # how many rows a mask chooses only numbers tell; here it takes all
    with _config.patch(meta_nonzero_assume_all_nonzero=True):
        yield shapes


def test_encoding_and_decoding(network, cells, brought_back):
    encode.encode(network, cells, batch_size=5, device="meta")
    encode.denoise(network, cells, batch_size=5, device="meta")
    assert brought_back == [(n, width) for width in (N_UNITS, N_GENES) for n in (5, 5, 2)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("signed", [True, False])
def test_saliency(network, cells, brought_back, method, signed):
    found = saliency.mean_saliency(network, cells, method=method, signed=signed, batch_size=5, device="meta")
    assert found.shape == (1, N_GENES, N_UNITS)
    sets = np.ones((N_GENES, 2), dtype=np.float32)
    values = set_values.set_values(network, cells, sets, method=method, signed=signed, device="meta")
    assert [block.shape for _, block in values] == [(N_CELLS, 2, N_UNITS + 1)]
    assert len(brought_back) >= N_UNITS + 1


def test_unit_effects(network, cells, brought_back):
    units = np.zeros((N_CELLS, N_UNITS), dtype=np.float32)
    assert len(unit_importance.unit_effects(network, cells, units, device="meta")) == N_UNITS
    assert (N_CELLS,) in brought_back


class Standing:
    """In place of an optimiser, which reads numbers."""

    def __init__(self, weights, lr, **_):
        self.weights, self.param_groups = weights, [{"lr": lr}]

    def zero_grad(self, **_):
        for weight in self.weights:
            weight.grad = None

    def step(self):
        assert all(weight.grad.device == weight.device for weight in self.weights)


@pytest.mark.parametrize("replay", [True, False])
def test_training_steps(network, cells, replay, monkeypatch):
    for name in ("SGD", "Adam"):
        monkeypatch.setattr(torch.optim, name, Standing)
    config = config_for(network.architecture, schedule="constant", size_factors="total", batch_size=4)
    kind = PartsEngine if network.architecture == "parts" else TorchEngine
    engine = kind(network, cells, config, 1.0, "meta", replay=replay)
    rows = torch.arange(4, device="meta")
    if replay:
        engine._replay._next(engine._step)
    else:
        engine._step(engine._train_cells.batch(np.arange(4), rows))
    for name in network.weights:
        assert getattr(engine._network, name).grad.device.type == "meta"
    if cells.batch is not None:
        engine._train_cells.permute_batches(rows, engine._network.batch_factors)
