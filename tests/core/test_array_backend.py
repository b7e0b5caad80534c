"""Where to compute."""

import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.array_backend import cells_at_once
from modulae.core.data.cells import Cells


@pytest.mark.parametrize(("driver", "loaded"), [("False", "False"), ("True", "True")])
def test_auto_asks_torch_for_a_gpu_only_where_one_may_be(driver, loaded):
    script = (
        "import sys\n"
        "from modulae.core import array_backend as backend\n"
        f"backend._may_have_gpu = lambda: {driver}\n"
        "backend.pick_device('auto')\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == loaded


@pytest.mark.parametrize(
    ("device", "free", "expected"),
    [
        ("cpu", 0, 128),
        ("mps", 0, 128),
        ("cuda", 2**30, 2**30 // 32 // 400),
        ("cuda:1", 2**40, 2**28 // 400),
        ("cuda", 2**10, 128),
    ],
)
def test_a_gpu_computes_with_as_many_cells_as_there_is_room_for(monkeypatch, device, free, expected):
    asked = []
    monkeypatch.setattr("torch.cuda.device", lambda device: asked.append(device) or nullcontext())
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 2**40))  # older ones take no "cuda"
    assert cells_at_once(device, 100, 128) == expected
    assert asked == ([device] if device.startswith("cuda") else [])


@pytest.mark.parametrize("size_factors", [None, np.array([1, 0, 2, 0.5], dtype=np.float32)])
def test_inputs_are_spelt_out_where_they_are_read(size_factors):
    counts = np.array([[0, 3, 1], [0, 0, 0], [2, 0, 0], [1, 1, 1]], dtype=np.float32)
    cells = Cells(sparse.csr_matrix(counts), size_factors)
    there = cells.inputs_on("cpu:0")
    assert isinstance(there, torch.Tensor)
    np.testing.assert_array_equal(there.numpy(), cells.inputs())
    np.testing.assert_array_equal(cells.inputs_on("cpu"), cells.inputs())
