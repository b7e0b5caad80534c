"""The running sum against GSEApy and by hand, and what its p is worth."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modulae.core.statistics.prerank import prerank, random_places, running_sum


def some_sets(n_genes, sizes, seed=1):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(n_genes, size, replace=False)) for size in sizes]


def test_running_sum_by_hand():
    """Eight genes, the set at places 0, 1 and 6: +5/10, +4/10, four steps of −1/5, +1/10, −1/5."""
    weight = np.array([5, 4, 3, 2, 1, 0.5, 1, 2])
    es, peak = running_sum(weight, np.array([[0, 1, 6], [5, 6, 7]]))
    np.testing.assert_allclose(es, [0.9, -1.0])  # the second: five steps of −1/5 before its first gene
    np.testing.assert_array_equal(peak, [1, 0])
    assert running_sum(np.zeros(4), np.array([[0, 1]]))[0] == pytest.approx(1)  # no weight at all: all genes alike


@given(
    weight=arrays(float, 12, elements=st.floats(0, 10).map(lambda x: round(x, 3))),
    places=st.sets(st.integers(0, 11), min_size=1, max_size=11),
)
def test_running_sum_is_that_of_a_loop(weight, places):
    if weight[sorted(places)].sum() == 0:
        weight = np.ones(12)
    total, at, furthest = weight[sorted(places)].sum(), 0.0, [0.0]
    for place in range(12):
        at += weight[place] / total if place in places else -1 / (12 - len(places))
        furthest.append(at)
    es, _ = running_sum(weight, np.array([sorted(places)]))
    assert abs(es[0]) == pytest.approx(max(map(abs, furthest)), abs=1e-9)
    assert min(furthest) - 1e-9 <= es[0] <= max(furthest) + 1e-9


@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")  # gseapy's own, on pandas 3.1
def test_agrees_with_gseapy():
    import gseapy
    import pandas as pd

    rng = np.random.default_rng(0)
    scores = rng.normal(size=(400, 3))
    sets = some_sets(400, [7, 20, 20, 60])
    scores[sets[1], 0] += 1.2
    scores[sets[3], 1] -= 0.5
    found = prerank(scores, sets, n_permutations=2000, seed=0)
    names = np.array([f"G{i}" for i in range(400)])
    ends = np.cumsum([len(genes) for genes in sets])
    for k in range(3):
        theirs = gseapy.prerank(
            pd.Series(scores[:, k], index=names),
            {f"S{at}": list(names[genes]) for at, genes in enumerate(sets)},
            outdir=None,
            min_size=2,
            permutation_num=2000,
            threads=1,
            seed=1,
        )
        table = theirs.res2d.set_index("Term").loc[[f"S{at}" for at in range(4)]]
        np.testing.assert_allclose(found.es[:, k], table["ES"].astype(float), rtol=1e-9)
        np.testing.assert_allclose(found.nes[:, k], table["NES"].astype(float), rtol=0.05)
        np.testing.assert_allclose(found.p[:, k], table["NOM p-val"].astype(float), atol=0.05)
        for at, genes in enumerate(sets):
            place = found.leading[ends[at] - len(genes) : ends[at], k]
            inside = np.flatnonzero(place)
            leading = names[genes[inside[np.argsort(place[inside])]]]
            assert ";".join(leading) == table["Lead_genes"].iloc[at]
    assert found.p[1, 0] < 0.01
    assert found.nes[1, 0] > 1.5
    assert found.nes[3, 1] < -1.5


def test_random_sets_are_called_at_the_nominal_rate_and_p_is_never_0():
    rng = np.random.default_rng(2)
    scores = rng.exponential(size=(500, 2)) * rng.choice([1, -0.3], size=(500, 2))  # skewed
    sets = some_sets(500, [12] * 800)
    found = prerank(scores, sets, n_permutations=400, seed=3)
    assert 0.03 < (found.p < 0.05).mean() < 0.07
    assert found.p.min() >= 1 / 401
    clear = prerank(np.arange(500.0)[:, None] - 250, [np.arange(490, 500)], n_permutations=99, seed=0)
    null, _ = running_sum(np.abs(np.arange(500.0) - 250)[::-1], random_places(500, 10, 99, 0))
    assert clear.p[0, 0] == pytest.approx(1 / (1 + (null >= 0).sum()))


def test_neither_the_other_sets_nor_the_order_of_the_genes_matter():
    rng = np.random.default_rng(4)
    scores, sets = rng.normal(size=(200, 2)), some_sets(200, [5, 9, 9, 30])
    together = prerank(scores, sets, n_permutations=50, seed=5)
    alone = prerank(scores, sets[2:3], n_permutations=50, seed=5)
    order = rng.permutation(200)
    moved = prerank(scores[order], [np.flatnonzero(np.isin(order, genes)) for genes in sets], n_permutations=50, seed=5)
    for name in ("es", "nes", "p"):
        np.testing.assert_array_equal(getattr(together, name)[2:3], getattr(alone, name))
        np.testing.assert_allclose(getattr(together, name), getattr(moved, name), rtol=1e-12)
    other = prerank(scores, sets, n_permutations=50, seed=6)
    assert (other.nes != together.nes).any()


def test_a_ranking_of_equal_scores_says_nothing_and_ties_fall_by_chance():
    scores = np.column_stack([np.ones(100), np.zeros(100), np.r_[np.ones(50), np.zeros(50)]])
    found = prerank(scores, [np.arange(10)], n_permutations=200, seed=0)
    np.testing.assert_array_equal(found.es[0, :2], 0)
    np.testing.assert_array_equal(found.p[0, :2], 1)
    assert not found.leading[:, :2].any()
    first = prerank(scores[:, 2:], [np.arange(10)], n_permutations=50, seed=0)
    assert first.es[0, 0] < 0.8  # 1 if the order in the file ranked the 50 genes that share the highest score


def test_rounding_of_the_scores_does_not_change_p():
    """Many sums are furthest from 0 before the first gene of their set, by the same number of steps."""
    rng = np.random.default_rng(0)
    scores = -np.sort(rng.normal(size=(16, 1)), axis=0)
    rounded = scores * (1 + 1e-7 * rng.normal(size=scores.shape))
    np.testing.assert_array_equal(np.argsort(scores, axis=0), np.argsort(rounded, axis=0))
    sets = [np.array(genes) for genes in combinations(range(16), 3)]
    one, other = (prerank(values, sets, n_permutations=60, seed=0) for values in (scores, rounded))
    assert len(np.unique(one.es.round(9))) < 0.9 * len(sets)
    np.testing.assert_array_equal(one.p, other.p)


@pytest.mark.parametrize("last", [1, 1 + 1e-12, 1 - 1e-12])
def test_a_sum_as_far_up_as_down_is_up(last):
    es, peak = running_sum(np.array([1.0, 1.0, 1.0, last]), np.array([[0, 3]]))
    assert es == pytest.approx([0.5])
    assert peak == [0]
