"""What a half finds: planted parts, and the one that is left over."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import nnls
from sklearn.metrics.pairwise import cosine_similarity

from modulae.core.training.replication.find import compress, find, find_one_more

N_CELLS, N_GENES = 240, 90


@pytest.fixture(scope="module")
def planted():
    """Inputs that are exactly five parts: four of 20 genes each in some cells, one of 30 genes in most of them.

    Each is in some cells alone, so that no other parts make the same cells.
    """
    rng = np.random.default_rng(0)
    loadings = np.zeros((5, N_GENES))
    for unit in range(4):
        loadings[unit, unit * 15 : unit * 15 + 20] = rng.gamma(3.0, size=20)
    loadings[4, 60:] = rng.gamma(3.0, size=30)
    activity = rng.gamma(2.0, size=(N_CELLS, 5)) * (rng.random((N_CELLS, 5)) < [0.3, 0.3, 0.3, 0.3, 0.8])
    inputs = sparse.csr_matrix((activity @ loadings).astype(np.float32))
    rows = np.sort(rng.permutation(N_CELLS)[: N_CELLS // 2])
    return SimpleNamespace(loadings=loadings, activity=activity, inputs=inputs, rows=rows)


def test_planted_parts_are_found_by_half_of_the_cells_and_read_in_all(planted):
    half = compress(planted.inputs, planted.rows, 0)
    (found,) = find(planted.inputs, half, [5])
    assert found.loadings.shape == (5, N_GENES)
    assert found.activity.shape == (N_CELLS, 5)
    alike = cosine_similarity(np.vstack([planted.loadings, found.loadings]))[:5, 5:]
    match = alike.argmax(axis=1)
    assert sorted(match) == [0, 1, 2, 3, 4]
    assert alike.max(axis=1).min() > 0.97
    for unit, at in enumerate(match):
        assert np.corrcoef(planted.activity[:, unit], found.activity[:, at])[0, 1] > 0.97


def test_activity_is_non_negative_least_squares_on_the_loadings(planted):
    (found,) = find(planted.inputs, compress(planted.inputs, planted.rows, 0), [4])
    dense = planted.inputs.toarray().astype(float)
    expected = np.array([nnls(found.loadings.T.astype(float), cell)[0] for cell in dense])
    np.testing.assert_allclose(found.activity, expected, atol=2e-3 * expected.max())


def test_each_size_is_sought_on_its_own(planted):
    half = compress(planted.inputs, planted.rows, 0)
    several = find(planted.inputs, half, [2, 3, 5])
    assert [len(found.loadings) for found in several] == [2, 3, 5]
    (alone,) = find(planted.inputs, half, [3])
    np.testing.assert_array_equal(several[1].loadings, alone.loadings)
    np.testing.assert_array_equal(several[1].activity, alone.activity)


def test_only_the_cells_of_the_half_decide(planted):
    other = planted.inputs.toarray()
    elsewhere = np.setdiff1d(np.arange(N_CELLS), planted.rows)
    other[elsewhere] = np.random.default_rng(1).gamma(1.0, size=(len(elsewhere), N_GENES))
    changed = sparse.csr_matrix(other)
    (one,), (two,) = (find(inputs, compress(inputs, planted.rows, 0), [4]) for inputs in (planted.inputs, changed))
    np.testing.assert_array_equal(one.loadings, two.loadings)
    np.testing.assert_array_equal(one.activity[planted.rows], two.activity[planted.rows])
    assert np.abs(one.activity[elsewhere] - two.activity[elsewhere]).max() > 0.1


def test_no_more_parts_than_the_half_has_directions(planted):
    few = compress(planted.inputs, planted.rows[:6], 0)
    (found,) = find(planted.inputs, few, [50])
    assert len(found.loadings) <= 6


@pytest.mark.parametrize("missing", range(5))
def test_the_part_that_is_left_over_is_found(planted, missing):
    known = np.delete(planted.loadings, missing, axis=0)
    found = find_one_more(planted.inputs, compress(planted.inputs, planted.rows, 0), known)
    assert found.loadings.shape == (1, N_GENES)
    assert found.activity.shape == (N_CELLS, 1)
    assert cosine_similarity(np.vstack([planted.loadings[missing], found.loadings]))[0, 1] > 0.99
    assert np.corrcoef(planted.activity[:, missing], found.activity[:, 0])[0, 1] > 0.99
    size = (found.activity[planted.rows].astype(float) ** 2).mean()
    assert size == pytest.approx(1, abs=0.05)  # loadings as of the parts that are found together


def test_the_known_units_stay_as_they_are(planted):
    known = planted.loadings[:4].astype(np.float32)
    before = known.copy()
    find_one_more(planted.inputs, compress(planted.inputs, planted.rows, 0), known)
    np.testing.assert_array_equal(known, before)


def test_where_nothing_is_left_only_rounding_is_found(planted):
    found = find_one_more(planted.inputs, compress(planted.inputs, planted.rows, 0), planted.loadings)
    made = found.activity.astype(float) @ found.loadings.astype(float)
    assert np.linalg.norm(made) < 0.02 * np.linalg.norm(planted.inputs.toarray())


def test_cells_without_counts_have_no_units():
    nothing = sparse.csr_matrix((20, 30), dtype=np.float32)
    half = compress(nothing, np.arange(10), 0)
    (found,) = find(nothing, half, [3])
    assert found.loadings.shape == (0, 30)
    assert found.activity.shape == (20, 0)
    more = find_one_more(nothing, half, np.eye(2, 30))
    assert more.loadings.shape == (0, 30)
    assert more.activity.shape == (20, 0)
