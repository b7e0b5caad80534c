"""Where numba can't keep what it compiles, or can't compile, training goes on, and says so once."""

import errno
import importlib.util
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import numba
import numpy as np
import pytest
from numba.core import caching
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.model.orthogonal import initial_network
from modulae.core.training.engine import compilations, engine_name, start_engine
from modulae.core.training.numba import compiled, kernels
from modulae.core.training.numba.numba_engine import NumbaEngine
from modulae.core.training.torch.torch_engine import TorchEngine

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(autouse=True)
def forget():
    """Each test finds out for itself, and so does who comes after it."""
    known = compiled.trouble, compiled.outcome
    for one in known:
        one.cache_clear()
    yield
    for one in known:
        one.cache_clear()


def steps(*errors, kept=True):
    """Stands for what numba compiles: each call meets the next error, until there is none left."""
    left = list(errors)

    def call(*args):
        if left:
            raise left.pop(0)
        return 0.0

    return mock.Mock(side_effect=call, stats=SimpleNamespace(cache_path="folder" if kept else None))


def warned(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [call() for _ in range(3)]
    return found, [str(warning.message) for warning in caught]


def test_nothing_is_said_where_all_is_well():
    assert warned(lambda: engine_name(Config(), "cpu")) == (["numba"] * 3, [])


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (steps(FULL), "No space left on device"),
        (steps(OSError(errno.EROFS, "Read-only file system")), "Read-only file system"),
        (steps(kept=False), "numba has found no folder that it may write to"),
        (steps(EOFError("Ran out of input")), "Ran out of input"),  # a file that was cut short
    ],
)
def test_what_cannot_be_kept_is_said_once(monkeypatch, first, reason):
    second = steps(kept=False)
    monkeypatch.setattr(kernels, "epoch", first)
    monkeypatch.setattr(kernels, "compiled", lambda *, keep: {False: second}[keep])
    found, said = warned(lambda: engine_name(Config(), "cpu"))
    assert found == ["numba"] * 3
    (message,) = said
    assert reason in message
    assert "Set the environment variable NUMBA_CACHE_DIR to a folder" in message
    damaged = reason == "Ran out of input"
    assert kernels.epoch is (second if damaged else first)
    assert kernels.epoch.called


@pytest.mark.parametrize(
    "how",
    [
        lambda patch: patch.setattr(numba.config, "DISABLE_JIT", 1),
        lambda patch: patch.setattr(kernels, "epoch", steps(*[OSError("broken")] * 4)),
        lambda patch: patch.setattr(kernels, "epoch", steps(*[numba.TypingError("broken\nin many words")] * 4)),
        lambda patch: patch.setitem(sys.modules, "modulae.core.training.numba.numba_engine", None),  # can't be imported
    ],
)
def test_where_it_cannot_be_compiled_torch_trains(monkeypatch, how):
    how(monkeypatch)
    monkeypatch.setattr(kernels, "compiled", lambda *, keep: kernels.epoch)  # noqa: ARG005
    config = Config(n_latent=2, n_hidden=2)
    network = initial_network(config, np.ones(3), np.random.default_rng(0))
    found, said = warned(lambda: start_engine(network, None, config, 1.0, "cpu"))
    assert all(isinstance(engine, TorchEngine) for engine in found)
    (message,) = said
    assert message.startswith("numba can't compile the training steps here (")
    assert "in many words" not in message
    with pytest.raises(ValueError, match=r"numba can't compile.*Use engine='auto', and torch takes them"):
        engine_name(Config(engine="numba"), "cpu")


def test_what_is_compiled_ahead_neither_raises_nor_warns(monkeypatch):
    """Whoever trains then hears of it."""
    monkeypatch.setattr(kernels, "epoch", steps(*[OSError("broken")] * 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for compile_it in compilations(Config(), "cpu"):
            compile_it()
    (found, *_), said = warned(lambda: engine_name(Config(), "cpu"))
    assert (found, len(said)) == ("torch", 1)


def test_only_what_a_training_needs_is_compiled_ahead():
    steps_too, sweeps, nothing = (
        len(list(compilations(Config(engine=engine), device)))
        for engine, device in (("auto", "cpu"), ("torch", "cpu"), ("auto", "cuda"))
    )
    assert (steps_too, sweeps, nothing) == (2, 1, 0)


def test_a_module_that_finds_no_folder_is_there_without_one():
    """Numba refuses to decorate what it could not keep."""
    spec = importlib.util.find_spec(kernels.__name__)
    again = importlib.util.module_from_spec(spec)
    with mock.patch.object(caching.CacheImpl, "_locator_classes", []):
        with pytest.raises(RuntimeError, match="cannot cache"):
            kernels.compiled(keep=True)
        spec.loader.exec_module(again)
    assert again.epoch.stats.cache_path is None
    assert kernels.epoch.stats.cache_path


def test_the_types_tried_are_those_of_every_training():
    """So that nothing is left to be compiled, or to fail, in the first epoch."""
    config = Config(n_latent=3, n_hidden=5, batch_size=2)
    assert engine_name(config, "cpu") == "numba"
    known = list(kernels.epoch.signatures)
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (7, 4)).astype(np.float32))
    for batch in (None, np.arange(7) % 2):
        network = initial_network(config, np.ones(4), np.random.default_rng(0))
        if batch is not None:
            network = replace(network, batch_factors=np.ones((3, 4), dtype=np.float32))
        cells = Cells(counts, np.ones(7, dtype=np.float32), batch)
        engine = NumbaEngine(network, cells, config, 1.0)
        engine.loss(cells)
        engine.epoch(np.random.default_rng(0).permutation(7), 0.1)
    assert list(kernels.epoch.signatures) == known


SCRIPT = """
import errno, sys, warnings
from numba.core import caching
if "full" in sys.argv:
    def save(*args): raise OSError(errno.ENOSPC, "No space left on device")
    caching.IndexDataCacheFile.save = save
import modulae as mo
adata = mo.datasets.simulated(n_cells=60, n_genes=20, n_programmes=2, genes_per_programme=5, seed=1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        given = {"architecture": "orthogonal", "n_latent": 3, "n_hidden": 4, "max_epochs": 2}
        mo.tl.autoencoder(adata, **given, device="cpu", progress=False)
print(*(str(one.message) for one in caught if "compile" in str(one.message)), sep="\\n")
"""


@pytest.mark.parametrize(
    ("environment", "word", "expected"),
    [
        ({"NUMBA_DISABLE_JIT": "1"}, "", ["numba can't compile the training steps here (its compiler is off"]),
        pytest.param(
            *(
                {"NUMBA_CACHE_DIR": "cache"},
                "full",
                ["the compiled training steps can't be kept on disk ([Errno 28] No "],
            ),
            marks=pytest.mark.slow,  # it compiles all of it
        ),
    ],
)
def test_a_whole_training(tmp_path, environment, word, expected):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    source = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, script, word],
        env={**os.environ, "PYTHONPATH": source, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected
