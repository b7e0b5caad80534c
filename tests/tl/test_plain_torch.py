"""What another package has set in torch changes no result of ours, and stays as it was set."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Barrier

import numpy as np
import pytest
import torch

import modulae as mo
from modulae.core.plain_torch import plain_torch
from modulae.core.training.torch.torch_engine import TorchEngine

from .test_device import TORCH_CPU, cells, written

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # models of three epochs are told that they are none


def setting(name, value, read):
    """A function of torch that sets something until it is called again."""

    @contextmanager
    def set_for_a_while():
        before = read()
        name(value)
        try:
            yield
        finally:
            name(before)

    return set_for_a_while


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def flushed():
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def dtype(value):
    return setting(torch.set_default_dtype, value, torch.get_default_dtype)


def precision(value):
    return setting(torch.set_float32_matmul_precision, value, torch.get_float32_matmul_precision)


STATES = {
    "no gradients": setting(torch.set_grad_enabled, False, torch.is_grad_enabled),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "device meta": default_device,
    "with device meta": lambda: torch.device("meta"),
    "float64": dtype(torch.float64),
    "bfloat16": dtype(torch.bfloat16),
    "deterministic": deterministic,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "medium precision": precision("medium"),
    "high precision": precision("high"),
    "flushed": flushed,
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
}


def state():
    """All that a user can have set, as torch tells it."""
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "device": torch.get_default_device(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "autocast dtype": torch.get_autocast_dtype("cpu"),
        "precision": torch.get_float32_matmul_precision(),
        "flushed": float(torch.tensor([1e-38], device="cpu", dtype=torch.float32).div(8)) == 0,
        "threads": torch.get_num_threads(),
        "anomalies": torch.is_anomaly_enabled(),
        "generator": torch.random.get_rng_state().tolist(),
    }


TOGETHER = (  # all of them, those that may be set at once
    ("no gradients", "float64", "deterministic", "medium precision", "flushed"),
    ("inference_mode", "with device meta", "bfloat16", "high precision", "anomalies"),
    ("no_grad", "device meta", "autocast"),
)


COMMON = {"n_latent": 3, "max_epochs": 3, "snapshot_epochs": [2], "batch_size": 16, "device": "cpu"}
TRAININGS = {
    "torch": {"architecture": "orthogonal", "engine": "torch", "n_hidden": 6},
    "numba": {"architecture": "orthogonal", "engine": "numba", "n_hidden": 6},
    "batches": {"architecture": "orthogonal", "engine": "torch", "n_hidden": 6, "batch_key": "donor"},
    "parts": {"n_splits": 0, "engine": "torch"},
}


def trained(name):
    adata = cells()
    mo.tl.autoencoder(adata, **COMMON, **TRAININGS[name])
    return adata


@pytest.fixture(scope="module", params=TRAININGS)
def training(request):
    """A training, and what it gives where nothing is set."""
    return request.param, trained(request.param)


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("name", STATES)
def test_a_training(training, name):
    with STATES[name]():
        before = state()
        found = trained(training[0])
        assert state() == before
    assert_equal(written(found), written(training[1]))


GENES = [f"gene_{i:02d}" for i in range(80)]
SETS = {f"set {at}": GENES[at : at + 10] for at in range(0, 70, 10)}
FUNCTIONS = {
    "saliency": mo.tl.saliency,
    "integrated, unsigned": lambda adata, device: mo.tl.saliency(
        adata, method="integrated_gradients", signed=False, device=device
    ),
    "pathway_impact": lambda adata, device: mo.tl.pathway_impact(
        adata, SETS, groupby="group", explanation={"difference": "saliency"}, n_permutations=20, device=device
    ),
    "pathway_activity": lambda adata, device: mo.tl.pathway_activity(adata, SETS, n_random=5, device=device),
    "denoise": mo.tl.denoise,
    "unit_summary": mo.tl.unit_summary,
    "call_units": mo.tl.call_units,
    "novelty": lambda adata, device: mo.tl.novelty(adata),  # noqa: ARG005 - it takes none
    "sanity": lambda adata, device: mo.tl.sanity(adata, SETS, n_seeds=1, max_epochs=1, n_draws=2, device=device),
    "embeddings": lambda adata, device: mo.tl.transfer(adata, adata.copy(), key_added="again", device=device),
}


@pytest.fixture(scope="module", params=["orthogonal", "parts"])
def model(request):
    """A trained object, and what each function makes of it where nothing is set; each is asked once."""
    adata, found = trained({"orthogonal": "batches"}.get(request.param, request.param)), {}

    def expected(function):
        if function not in found:
            found[function] = done(adata, function)
        return found[function]

    return adata, expected


def done(adata, function):
    """What a function writes into a copy."""
    copied = adata.copy()
    FUNCTIONS[function](copied, device=TORCH_CPU)
    return written(copied)


def test_no_state_is_forgotten():
    assert sorted(name for names in TOGETHER for name in names) == sorted(STATES)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("names", TOGETHER, ids=lambda names: names[0])
def test_a_function_on_a_device(model, function, names):
    adata, expected = model
    with ExitStack() as states:
        for name in names:
            states.enter_context(STATES[name]())
        before = state()
        found = done(adata, function)
        assert state() == before
    assert_equal(found, expected(function))


class CrashError(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize("training", ["torch", "parts"], indirect=True)
@pytest.mark.parametrize("inside", ["before", "after"])
@pytest.mark.parametrize("name", STATES)
def test_a_training_goes_on_to_the_same_bits(training, name, inside, tmp_path, monkeypatch):
    """What is set before the interruption, or after it, makes no difference."""
    settings = {**COMMON, **TRAININGS[training[0]], "checkpoint": tmp_path, "checkpoint_every": 1}
    real, epochs = TorchEngine.epoch, []

    def crash(engine, *args):
        epochs.append(1)
        if len(epochs) == 2:
            raise CrashError
        return real(engine, *args)

    crashed, resumed = (STATES[name], nullcontext)[:: 1 if inside == "before" else -1]
    with crashed(), monkeypatch.context() as patch:
        patch.setattr(TorchEngine, "epoch", crash)
        with pytest.raises(CrashError):
            mo.tl.autoencoder(cells(), **settings)
    adata = cells()
    with resumed():
        before = state()
        mo.tl.autoencoder(adata, **settings)
        assert state() == before
    assert_equal(written(adata), written(training[1]))


def test_an_error_puts_back_what_was_set():
    @plain_torch()
    def crash():
        assert torch.zeros(1).dtype == torch.float32
        assert torch.zeros(1).device.type == "cpu"
        raise CrashError

    with STATES["bfloat16"](), STATES["deterministic"](), STATES["device meta"]():
        before = state()
        with pytest.raises(CrashError):
            crash()
        assert state() == before


def test_threads_that_overlap_put_back_what_the_first_found():
    """The second comes while the first is inside, and goes last."""
    both, first_left = Barrier(2, timeout=10), Barrier(2, timeout=10)

    def first():
        with plain_torch():
            both.wait()
        first_left.wait()

    def second():
        with plain_torch():
            both.wait()
            first_left.wait()
            return torch.get_default_dtype() == torch.float32

    with STATES["bfloat16"](), STATES["deterministic"](), ThreadPoolExecutor(2) as pool:
        before = state()
        one, other = pool.submit(first), pool.submit(second)
        one.result()
        assert other.result()
        assert state() == before
