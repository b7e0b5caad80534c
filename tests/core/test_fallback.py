"""What happens where a device fails: `cpu:0` stands for a GPU, as torch computes there, and NumPy on `cpu`."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse

from modulae.core.data.cells import Cells
from modulae.core.fallback import SMALLER, SMALLEST, Fallback
from modulae.core.inference.encode import denoise, encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.inference.unit_importance import unit_effects
from modulae.core.model.parts import PartsNetwork
from modulae.core.scores.set_values import set_indicator, set_values
from modulae.core.statistics.calls.call import decide

GPU = "cpu:0"
OUT_OF_MEMORY = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB\nmore lines")
BROKEN = RuntimeError("CUDA error: no kernel image is available\nmore lines")


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    counts = sparse.csr_matrix(rng.poisson(1, (40, 12)).astype(np.float32))
    return Cells(counts, rng.uniform(0.5, 2, 40).astype(np.float32))


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(1)
    encoder, loadings = (rng.random((3, 12), dtype=np.float32) for _ in range(2))
    return PartsNetwork(encoder, np.zeros(3, dtype=np.float32), loadings, loadings[0].copy(), None)


def of_effects(network, cells, device):
    return unit_effects(network, cells, encode(network, cells), batch_size=16, device=device)


def of_sets(network, cells, device):
    indicator = set_indicator([np.array([0, 3]), np.array([5, 6, 7])], 12)
    return np.concatenate([values for _, values in set_values(network, cells, indicator, batch_size=16, device=device)])


def of_calls(network, cells, device):
    how = {"fdr": 0.5, "n_controls": 2, "n_cells": 20, "seed": 0, "batch_size": 16, "device": device}
    units = encode(network, cells)
    return decide(network, cells, units, least_on=units.std(axis=0), **how).threshold


WORK = {
    "encode": lambda network, cells, device: encode(network, cells, batch_size=16, device=device),
    "denoise": lambda network, cells, device: denoise(network, cells, batch_size=16, device=device),
    "saliency": lambda network, cells, device: mean_saliency(network, cells, batch_size=16, device=device),
    "absolute": lambda network, cells, device: mean_saliency(
        network, cells, signed=False, method="integrated_gradients", batch_size=16, device=device
    ),
    "effects": of_effects,
    "sets": of_sets,
    "calls": of_calls,
}


def failing(monkeypatch, error, most=0):
    """Every network refuses tensors of more than so many cells, as a GPU without room for them."""
    tried = []

    def refusing(function):
        def called(self, values, *args):
            if isinstance(values, torch.Tensor):
                tried.append(len(values))
                if len(values) > most:
                    raise error
            return function(self, values, *args)

        return called

    for name in ("encode", "decode", "accumulate_slopes", "gradients"):
        monkeypatch.setattr(PartsNetwork, name, refusing(getattr(PartsNetwork, name)))
    return tried


@pytest.mark.parametrize("work", WORK)
def test_a_device_that_fails_gives_way_to_the_cpu_with_one_warning(monkeypatch, network, cells, work):
    expected = WORK[work](network, cells, "cpu")
    tried = failing(monkeypatch, BROKEN)
    with pytest.warns(
        UserWarning, match=r"device 'cpu:0' failed, .*no kernel image is available\. .*device='cpu'"
    ) as said:
        found = WORK[work](network, cells, GPU)
    assert len(said) == 1
    assert len(tried) == 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("work", WORK)
def test_where_memory_is_short_blocks_get_smaller_without_a_word(monkeypatch, network, cells, work):
    expected = WORK[work](network, cells, "cpu")
    tried = failing(monkeypatch, OUT_OF_MEMORY, most=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = WORK[work](network, cells, GPU)
    assert 1 <= sum(n > 2 for n in tried) <= 2  # and it is remembered
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5)


def test_without_any_room_the_cpu_computes():
    place, tried = Fallback(GPU), []

    def work(device, parts):
        tried.append((device, parts))
        if device != "cpu":
            raise OUT_OF_MEMORY
        return "done"

    with pytest.warns(UserWarning, match="Tried to allocate 3 GiB"):
        assert place.run(work) == "done"
    assert tried == [(GPU, 1), (GPU, SMALLER), (GPU, SMALLEST), ("cpu", 1)]
    assert place.run(work) == "done"
    assert tried[4:] == [("cpu", 1)]


def test_what_fails_on_a_cpu_or_is_no_fault_of_the_device_is_raised():
    def broken(error):
        def work(**_where):
            raise error

        return work

    with pytest.raises(RuntimeError, match="no kernel"):
        Fallback("cpu").run(broken(BROKEN))
    with pytest.raises(ValueError, match="counts"):
        Fallback(GPU).run(broken(ValueError("counts")))


def test_another_process_starts_where_this_one_is():
    place = Fallback(GPU)
    place.parts = SMALLER
    sent = pickle.loads(pickle.dumps(place))  # noqa: S301
    assert (sent.device, sent.parts) == (GPU, SMALLER)
