"""Passes over both factors, compiled and with NumPy."""

import numpy as np
import pytest

from modulae.core.factorisation import compiled_sweeps, passes
from modulae.core.factorisation.factorise import factorise
from modulae.core.factorisation.low_rank import low_rank
from modulae.core.factorisation.passes import improve_in_turn
from modulae.core.factorisation.start import nndsvda


def improved(planted, **how):
    compressed = low_rank(planted.logs, 20, seed=0)
    activity, loadings = nndsvda(compressed, 7)
    improve_in_turn(activity, loadings, compressed, **how)
    return activity, loadings


@pytest.mark.parametrize(
    "how",
    [
        {"n_iterations": 12},
        {"n_iterations": 5, "n_sweeps": 3},
        {"n_iterations": 9, "n_fixed": 6},
        {"n_iterations": 1, "n_sweeps": 60, "n_fixed": 7},
    ],
    ids=["both factors", "several sweeps", "one part beside others", "activities alone"],
)
def test_compiled_passes_are_those_of_numpy(planted, monkeypatch, how):
    assert compiled_sweeps.loops() is not None
    with monkeypatch.context() as patch:
        patch.setattr(passes, "sweep", None)  # nothing else is called
        found = improved(planted, **how)
    monkeypatch.setattr(passes, "compiled_passes", lambda *_: False)
    for one, other in zip(found, improved(planted, **how), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3 * other.max())


def test_loadings_that_are_fixed_stay(planted):
    _, before = nndsvda(low_rank(planted.logs, 20, seed=0), 7)
    _, after = improved(planted, n_iterations=4, n_fixed=5)
    np.testing.assert_array_equal(after[:5], before[:5])
    assert np.abs(after[5:] - before[5:]).max() > 0.01 * before.max()


def test_a_factorisation_is_one_compiled_call(planted, monkeypatch):
    """So that many of them in threads don't wait for each other."""
    calls = []

    def counted(*given):
        calls.append(given)
        return compiled_sweeps.passes(*given)

    monkeypatch.setattr(passes, "compiled_passes", counted)
    monkeypatch.setattr(passes, "sweep", None)
    factorise(low_rank(planted.logs, 20, seed=0), 7, n_iterations=4)
    assert len(calls) == 1


def test_the_types_tried_are_those_of_every_factorisation(planted):
    """So that nothing is left to be compiled when many threads begin at a time."""
    known = list(compiled_sweeps.loops().work.signatures)
    improved(planted, n_iterations=1, n_sweeps=2, n_fixed=np.intp(6))
    factor, gram = np.ones((3, 9), np.float32), np.eye(3, dtype=np.float32)
    assert compiled_sweeps.descend(factor, gram, np.ones((9, 3), np.float64).T, 2)
    assert list(compiled_sweeps.loops().work.signatures) == known
