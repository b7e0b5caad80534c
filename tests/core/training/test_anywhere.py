"""A training goes on where a device fails: `cpu:0` stands for a GPU."""

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.model.config import Config
from modulae.core.training.anywhere import train_anywhere
from modulae.core.training.torch.parts_engine import PartsEngine
from modulae.core.training.train import split_cells, train

CONFIG = Config(architecture="parts", n_latent=2, batch_size=16, max_epochs=2, orthogonality=0.0, engine="torch")


@pytest.mark.parametrize("where", ["__init__", "epoch"])
@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error")])
def test_it_is_done_on_the_cpu_with_one_warning(monkeypatch, where, error):
    rng = np.random.default_rng(0)
    cells = Cells(sparse.csr_matrix(rng.poisson(2, (60, 10)).astype(np.float32)), np.ones(60, dtype=np.float32))
    test = split_cells(60, CONFIG)
    expected = train(cells, test, CONFIG, device="cpu")
    start, method, on_gpu = PartsEngine.__init__, getattr(PartsEngine, where), []

    def starts(self, network, train_cells, config, unit, device, **how):
        on_gpu.append(device != "cpu")
        if on_gpu[-1] and where == "__init__":
            raise error
        start(self, network, train_cells, config, unit, device, **how)

    def steps(self, *args, **how):
        if on_gpu[-1]:
            raise error
        return method(self, *args, **how)

    monkeypatch.setattr(PartsEngine, "__init__", starts)
    if where != "__init__":
        monkeypatch.setattr(PartsEngine, where, steps)
    with pytest.warns(UserWarning, match=f"device 'cpu:0' failed, and the CPU .*: {error}") as said:
        run = train_anywhere(cells, test, CONFIG, device="cpu:0")
    assert len(said) == 1
    assert on_gpu == [True, False]
    np.testing.assert_array_equal(run.network.loadings, expected.network.loadings)
    assert run.history.test_loss.tolist() == expected.history.test_loss.tolist()
