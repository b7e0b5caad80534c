"""Labels carried over: planted groups, planted shifts, cells of no group."""

import itertools

import numpy as np
import pytest

from modulae.core.inference.label_transfer import Groups, transfer_labels

MEANS = np.array([[4.0, 1, 1, 2, 2, 1], [1, 4, 1, 2, 1, 2], [1, 1, 4, 1, 2, 2]])


def draw(seed, n_each, *, shift=0.0, means=MEANS, noise=0.4):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(means)), n_each)
    roots = means[codes] + noise * rng.normal(size=(len(codes), means.shape[1])) + shift
    return np.maximum(roots, 0) ** 2, codes


def carry(reference, codes, cells, **settings):
    one = np.zeros(len(cells), dtype=np.intp)
    settings = {"n_labels": 3, "method": "discriminant", "samples": one, "unknown_rate": 0.05, "seed": 0} | settings
    return transfer_labels(reference, codes, cells, **settings)


@pytest.mark.parametrize("method", ["discriminant", "knn", "logistic"])
def test_planted_groups_are_found(method):
    cells, truth = draw(1, [50, 30, 20])
    found = carry(*draw(0, [80, 80, 80]), cells, method=method)
    assert (found.code == truth).mean() > 0.98


@pytest.mark.parametrize("n_each", [[60, 60, 60], [150, 0, 0], [0, 10, 140]])
def test_a_shift_of_all_cells_is_taken_away_whatever_their_labels(n_each):
    shift = np.array([1.0, -0.4, 1.0, 0.8, 0.5, -0.5])
    cells, truth = draw(1, n_each, shift=shift)
    reference = draw(0, [80, 80, 80])
    assert (carry(*reference, cells).code == truth).mean() > 0.95
    groups = Groups.of(*reference, 3)
    moved = groups.shift(groups.placed(cells))
    np.testing.assert_allclose(moved, shift @ groups.whitening, atol=0.6)


def test_each_sample_has_its_own_shift():
    """Two samples moved in opposite ways: one shift of both fits neither. A small one, and cells of none, take that."""
    shift = np.array([1.2, -0.6, 1.0, -0.8, 0.9, -0.7])
    (first, of_first), (second, of_second) = draw(1, [60, 60, 60], shift=shift), draw(2, [60, 60, 60], shift=-shift)
    cells, truth = np.concatenate([first, second]), np.concatenate([of_first, of_second])
    reference, samples = draw(0, [80, 80, 80]), np.repeat([3, 0], 180)
    found = carry(*reference, cells, samples=samples)
    assert (found.code == truth).mean() > 0.95
    assert (found.distance > 1).mean() < 0.2
    assert (carry(*reference, cells).distance > 1).mean() > 0.5
    alone = carry(*reference, second)
    np.testing.assert_array_equal(found.code[180:], alone.code)
    np.testing.assert_allclose(found.distance[180:], alone.distance)
    few = np.where(np.arange(360) < 49, 1, np.where(np.arange(360) < 150, -1, 2))  # 49 cells, and some of no sample
    mixed, whole = carry(*reference, cells, samples=few), carry(*reference, cells)
    np.testing.assert_allclose(mixed.distance[:150], whole.distance[:150])
    np.testing.assert_allclose(mixed.distance[150:], carry(*reference, cells[150:]).distance)
    fifty = np.where(np.arange(360) < 50, 1, 2)
    np.testing.assert_allclose(
        carry(*reference, cells, samples=fifty).distance[:50], carry(*reference, cells[:50]).distance
    )


def test_without_alignment_a_cell_does_not_depend_on_the_others():
    cells, _ = draw(1, [20, 20, 20], shift=0.5)
    reference = draw(0, [80, 80, 80])
    whole = carry(*reference, cells, samples=None)
    some = carry(*reference, cells[::3], samples=None)
    np.testing.assert_array_equal(whole.code[::3], some.code)
    np.testing.assert_allclose(whole.distance[::3], some.distance)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_false_alarms_come_at_the_stated_rate(rate):
    alarms = [
        (carry(*draw(seed, [150, 100, 60]), draw(seed + 50, [150, 100, 60])[0], unknown_rate=rate).distance > 1).mean()
        for seed in range(8)
    ]
    assert np.mean(alarms) == pytest.approx(rate, abs=0.25 * rate + 0.01)


def test_a_label_that_the_reference_lacks_is_unknown():
    cells, truth = draw(1, [60, 60, 60])
    reference, codes = draw(0, [80, 80, 80])
    two = codes < 2
    found = carry(reference[two], codes[two], cells, n_labels=2)
    assert (found.distance[truth == 2] > 1).mean() > 0.95
    assert (found.distance[truth < 2] > 1).mean() < 0.15


def test_nothing_is_unknown_at_rate_zero():
    assert not carry(*draw(0, [40, 40, 40]), draw(1, [40, 40, 40])[0] * 50, unknown_rate=0).distance.any()


@pytest.mark.parametrize("method", ["discriminant", "knn", "logistic"])
def test_confidence_is_the_share_of_right_labels(method):
    close = MEANS * 0.3 + 1.5  # labels that overlap
    confidence, right = [], []
    for seed in range(6):
        cells, truth = draw(seed + 20, [120, 120, 120], means=close)
        found = carry(*draw(seed, [150, 150, 150], means=close), cells, method=method)
        confidence.append(found.confidence)
        right.append(found.code == truth)
    confidence, right = np.concatenate(confidence), np.concatenate(right)
    assert 0.5 < right.mean() < 0.95
    edges = np.quantile(confidence, [0, 0.25, 0.5, 0.75, 1])
    for low, high in itertools.pairwise(edges):
        there = (confidence >= low) & (confidence <= high)
        assert confidence[there].mean() == pytest.approx(right[there].mean(), abs=0.08)


def test_the_same_seed_gives_the_same_confidence():
    reference, cells = draw(0, [40, 40, 40], noise=1.5), draw(1, [40, 40, 40], noise=1.5)[0]
    one, same, other = (carry(*reference, cells, seed=seed).confidence for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_label_of_one_cell_and_a_dead_unit_do_no_harm():
    reference, codes = draw(0, [60, 60, 1])
    reference[:, 3] = 0.5
    cells, truth = draw(1, [30, 30, 0])
    cells[:, 3] = 0.5
    found = carry(reference, codes, cells)
    assert (found.code == truth).mean() > 0.95
    assert np.isfinite(found.confidence).all()
    assert np.isfinite(found.distance).all()


def test_a_rare_label_is_not_swallowed_by_a_common_one_like_it():
    close = MEANS * 0.3 + 1.5  # labels that overlap
    reference = draw(0, [300, 300, 20], means=close)
    cells, truth = draw(1, [20, 360, 20], means=close)
    found = carry(*reference, cells)
    for label in range(3):
        assert (found.code == label)[truth == label].mean() > 0.6
