"""Grouping of units over halves, against answers that are known."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from modulae.core.training.replication.agree import agree
from modulae.core.training.replication.find import HalfUnits
from modulae.core.training.replication.replicate import replicating

N_CELLS, N_GENES = 300, 60


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    loadings = np.zeros((4, N_GENES))
    for unit in range(4):
        loadings[unit, unit * 12 : unit * 12 + 12] = rng.gamma(3.0, size=12)
    return loadings, rng.gamma(0.5, size=(N_CELLS, 4))


def noisy(truth, units, seed, noise=0.05):
    """A half that found these units, in this order."""
    rng = np.random.default_rng(seed)
    loadings, activity = truth
    return HalfUnits(
        np.abs(loadings[units] + noise * rng.normal(size=(len(units), N_GENES))).astype(np.float32),
        np.abs(activity[:, units] + noise * rng.normal(size=(N_CELLS, len(units)))).astype(np.float32),
    )


def which(truth, loadings):
    """The planted unit that each of these is."""
    return [int(np.argmax(cosine_similarity(np.vstack([one, truth[0]]))[0, 1:])) for one in loadings]


def test_units_are_put_together_across_the_order_of_halves(truth):
    orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]]
    agreed = agree([noisy(truth, order, at) for at, order in enumerate(orders)])
    np.testing.assert_array_equal(agreed.replicated, 1)
    assert agreed.members.shape == agreed.found.shape == (4, 2, 2)
    assert agreed.similarity.shape == (4, 2)
    for unit, members in zip(which(truth, agreed.loadings), agreed.members, strict=True):
        assert [order[place] for order, place in zip(orders, members.ravel(), strict=True)] == [unit] * 4
    np.testing.assert_allclose(agreed.loadings, truth[0][which(truth, agreed.loadings)], atol=0.25)


def test_most_replicated_come_first_and_one_half_alone_is_no_replication(truth):
    """Unit 3 is found by the first half of every split, unit 2 by both halves of two splits, 0 and 1 by all."""
    units = [([0, 1, 2, 3], [0, 1, 2]), ([0, 1, 2, 3], [2, 1, 0]), ([3, 1, 0], [0, 1])]
    halves = [noisy(truth, half, 2 * at + i) for at, split in enumerate(units) for i, half in enumerate(split)]
    agreed = agree(halves)
    order = which(truth, agreed.loadings)
    assert set(order[:2]) == {0, 1}
    assert order[2:] == [2, 3]
    np.testing.assert_allclose(agreed.replicated, [1, 1, 2 / 3, 0])
    np.testing.assert_array_equal(agreed.found[2], [[True, True], [True, True], [False, False]])
    np.testing.assert_array_equal(agreed.members[3], [[3, -1], [3, -1], [0, -1]])
    np.testing.assert_array_equal(np.isnan(agreed.similarity[2:]), [[False, False, True], [True, True, True]])
    kept, n_single = replicating(agreed)
    np.testing.assert_array_equal(kept.members, agreed.members[:3])
    assert n_single == 0


def test_of_equally_replicated_units_the_surer_comes_first(truth):
    halves = []
    for seed in range(4):
        sure, unsure = noisy(truth, [2], seed, noise=0.01), noisy(truth, [0], seed, noise=0.5)
        halves.append(
            HalfUnits(
                np.concatenate([unsure.loadings, sure.loadings]),
                np.concatenate([unsure.activity, sure.activity], axis=1),
            )
        )
    agreed = agree(halves)
    np.testing.assert_array_equal(agreed.replicated, 1)
    assert which(truth, agreed.loadings) == [2, 0]
    assert agreed.similarity[0].min() > agreed.similarity[1].max()


def test_similarity_is_the_smaller_of_cosine_and_correlation(truth):
    halves = [noisy(truth, [0], seed, noise) for seed, noise in enumerate([0.1, 0.3, 0.3, 0.1])]
    for i in (1, 3):  # once the loadings, once the activity differ more
        half, rng = halves[i], np.random.default_rng(i)
        loadings, activity = half.loadings, half.activity
        if i == 1:
            loadings = loadings + rng.gamma(1.0, size=loadings.shape).astype(np.float32)
        else:
            activity = activity + rng.gamma(0.5, size=activity.shape).astype(np.float32)
        halves[i] = HalfUnits(loadings, activity)
    expected, which_is_smaller = [], []
    for one, other in (halves[:2], halves[2:]):
        a, b = one.loadings[0].astype(float), other.loadings[0].astype(float)
        both = a @ b / np.sqrt((a @ a) * (b @ b)), np.corrcoef(one.activity[:, 0], other.activity[:, 0])[0, 1]
        expected.append(min(both))
        which_is_smaller.append(int(np.argmin(both)))
    assert which_is_smaller == [0, 1]
    np.testing.assert_allclose(agree(halves).similarity, [expected], rtol=1e-5)


def test_like_loadings_in_other_cells_are_another_unit(truth):
    loadings, activity = truth
    rng = np.random.default_rng(1)
    here = noisy(truth, [0, 1], 0)
    there = HalfUnits(
        loadings[[0, 1]].astype(np.float32), activity[rng.permutation(N_CELLS)][:, [0, 1]].astype(np.float32)
    )
    agreed = agree([here, there])
    assert len(agreed.loadings) == 4
    assert not agreed.replicated.any()


def test_of_two_units_of_a_half_in_a_group_the_more_central_counts(truth):
    """In the second half the first copy of unit 0 is far off, the other near; in the first half the other way round."""
    near, far = noisy(truth, [0], 0, noise=0.02), noisy(truth, [0], 1, noise=0.6)

    def half(*parts):
        return HalfUnits(
            np.concatenate([part.loadings for part in parts]), np.concatenate([part.activity for part in parts], axis=1)
        )

    halves = [half(near, far), half(far, near), half(near), half(near)]
    agreed = agree(halves)
    assert agreed.members.shape == (1, 2, 2)
    np.testing.assert_array_equal(agreed.members, [[[0, 1], [0, 0]]])


def test_dead_units_replicate_nowhere():
    dead = HalfUnits(np.zeros((2, N_GENES), np.float32), np.ones((N_CELLS, 2), np.float32))
    agreed = agree([dead] * 4)
    assert not agreed.replicated.any()
    assert len(replicating(agreed)[0].loadings) == 0


def test_halves_that_found_nothing_at_all():
    nothing = HalfUnits(np.zeros((0, N_GENES), np.float32), np.zeros((N_CELLS, 0), np.float32))
    agreed = agree([nothing] * 6)
    assert agreed.loadings.shape == (0, N_GENES)
    assert agreed.found.shape == (0, 3, 2)
    assert agreed.similarity.shape == (0, 3)
    assert len(agreed.replicated) == 0
    kept, n_single = replicating(agreed)
    assert kept.found.shape == (0, 3, 2)
    assert n_single == 0


def test_a_single_unit_of_a_single_half(truth):
    nothing = HalfUnits(np.zeros((0, N_GENES), np.float32), np.zeros((N_CELLS, 0), np.float32))
    agreed = agree([noisy(truth, [1], 0), nothing])
    np.testing.assert_array_equal(agreed.members, [[[0, -1]]])
    np.testing.assert_array_equal(agreed.replicated, 0)


def test_loadings_are_the_median_of_the_members(truth):
    """One half whose loadings are ten times as long changes nothing but its place."""
    halves = [noisy(truth, [0, 1, 2, 3], at) for at in range(6)]
    halves[2] = HalfUnits(halves[2].loadings * 10, halves[2].activity)
    agreed = agree(halves)
    np.testing.assert_array_equal(agreed.replicated, 1)
    for loadings, members in zip(agreed.loadings, agreed.members, strict=True):
        found = np.array([half.loadings[member] for half, member in zip(halves, members.ravel(), strict=True)])
        np.testing.assert_allclose(loadings, np.median(found, axis=0))


def test_some_units_and_others_joined(truth):
    agreed = agree([noisy(truth, [0, 1, 2, 3], at) for at in range(4)])
    first, last = agreed.take(np.array([0])), agreed.take(np.array([False, False, True, True]))
    joined = first.joined(last)
    for name in ("loadings", "members", "similarity"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(agreed, name)[[0, 2, 3]])
