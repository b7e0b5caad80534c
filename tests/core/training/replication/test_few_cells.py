"""A programme of few cells, which is lost in the noise of all others."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from modulae.core.factorisation.read import read_parts
from modulae.core.training.replication.agree import Agreed
from modulae.core.training.replication.few_cells import EvenNoise, find_few, of_few_cells
from modulae.core.training.replication.side_by_side import HalvesInThreads, HalvesOnGpu

N_CELLS, N_GENES = 800, 1000


@pytest.fixture(scope="module")
def cells():
    """Counts of a programme that most cells have, and of one of 20 scarce genes in 24 of them."""
    rng = np.random.default_rng(0)
    rates = np.tile(rng.lognormal(-1.5, 1.0, N_GENES), (N_CELLS, 1))
    common, rare = np.arange(N_GENES) < 40, np.arange(N_GENES) >= N_GENES - 20
    rates[:, rare] = 0.03
    rates[:, common] *= 1 + rng.gamma(2.0, 1.0, size=(N_CELLS, 1))
    runs = np.arange(N_CELLS) % 33 == 0
    rates[np.ix_(runs, rare)] += 3.0
    inputs = sparse.csr_matrix(rng.poisson(rates), dtype=np.float32).log1p()
    known = np.stack([np.log1p(rates.mean(axis=0)), common * 1.0]).astype(np.float32)
    return SimpleNamespace(
        inputs=inputs, known=known, runs=runs, rare=rare, even=EvenNoise.of(inputs, np.zeros(N_CELLS), known)
    )


def test_noise_is_even_and_the_genes_that_vary_beyond_it_are_chosen(cells):
    assert np.isin(np.flatnonzero(cells.rare), cells.even.chosen).all()
    activity = read_parts(cells.inputs, cells.known)
    left = (cells.inputs.toarray() - activity @ cells.known) * cells.even.scale
    others = left[:, ~cells.rare].var(axis=0)
    assert 0.9 < np.median(others) < 1.1
    assert np.median(left[:, cells.rare].var(axis=0)) > 1.3
    np.testing.assert_allclose(cells.even.weighted.toarray(), cells.inputs.toarray() * cells.even.scale, rtol=1e-5)


def test_a_deep_cell_weighs_more_up_to_a_limit(cells):
    depth = np.log(np.r_[100.0, 0.001, np.ones(N_CELLS - 2)])
    even = EvenNoise.of(cells.inputs, depth, cells.known)
    expected = cells.inputs.toarray() * even.scale * np.r_[2.0, 0.5, np.ones(N_CELLS - 2)][:, None]
    np.testing.assert_allclose(even.weighted.toarray(), expected, rtol=1e-5)


def test_a_half_finds_the_programme_of_few_cells(cells):
    found = find_few(cells.inputs, cells.even, np.arange(N_CELLS // 2), 0, cells.known)
    r = np.corrcoef(cells.runs, found.activity.T)[0, 1:]
    best = r.argmax()
    assert r[best] > 0.8
    loadings = found.loadings[best]
    assert loadings[cells.rare].mean() > 4 * loadings[~cells.rare].mean()
    assert found.activity.shape == (N_CELLS, len(found.loadings))


def test_only_units_of_few_cells_that_are_no_pieces_are_taken(cells):
    rare, common = cells.rare * 1.0, cells.known[1] * np.linspace(0.8, 1.2, N_GENES)
    everywhere = np.roll(cells.known[1], 60) * 1.0
    loadings = np.stack([rare, common, everywhere])
    members = np.zeros((3, 5, 2), dtype=np.intp)
    taken = of_few_cells(Agreed(loadings, members, np.ones((3, 5))), cells.inputs, cells.known)
    np.testing.assert_array_equal(taken, [True, False, False])


def test_halves_on_a_gpu_find_the_same(cells):
    given = cells.inputs, [np.arange(400), np.arange(400, 800)], [3, 4], lambda calls: (f(*each) for f, each in calls)
    one, other = HalvesInThreads(*given), HalvesOnGpu(*given, "cpu")
    for a, b in zip(one.find_few(cells.even, cells.known), other.find_few(cells.even, cells.known), strict=True):
        np.testing.assert_array_equal(a.loadings, b.loadings)
        np.testing.assert_array_equal(a.activity, b.activity)


def test_what_runs_in_a_handful_of_cells_is_not_taken(cells):
    known, one = cells.known, Agreed(cells.rare[None] * 1.0, np.zeros((1, 5, 2), dtype=np.intp), np.ones((1, 5)))
    rows = np.concatenate([np.flatnonzero(cells.runs)[:3], np.flatnonzero(~cells.runs)])
    assert of_few_cells(one, cells.inputs, known).all()
    assert not of_few_cells(one, cells.inputs[rows], known).any()


@pytest.mark.parametrize(("where", "taken"), [("most active", False), ("anywhere", True)])
def test_what_a_known_unit_makes_where_it_is_most_active_is_not_taken(where, taken):
    """The same genes, in as many cells; only in which cells they run tells the two apart."""
    rng = np.random.default_rng(3)
    activity = rng.gamma(2.0, 1.0, N_CELLS)
    cells = np.argsort(-activity)[:24] if where == "most active" else rng.permutation(N_CELLS)[:24]
    known, extra = (np.arange(60) < n for n in (40, 10))
    inputs = np.outer(activity, known) + np.outer(np.isin(np.arange(N_CELLS), cells) * 4.0, extra)
    one = Agreed(extra[None] * 1.0, np.zeros((1, 5, 2), dtype=np.intp), np.ones((1, 5)))
    known = known[None].astype(np.float32)
    assert of_few_cells(one, sparse.csr_matrix(inputs, dtype=np.float32), known).tolist() == [taken]
