"""Standardised activities and what sets make of their differences."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modulae.core.scores.activity import ZScores, activity_difference, activity_values, per_set_statistics


def test_known_difference():
    units = np.array([[0.0, 5.0], [0.0, 5.0], [2.0, 5.0], [2.0, 5.0]], dtype=np.float32)
    group = np.array([False, False, True, True])
    np.testing.assert_allclose(activity_difference(units, group, ~group), [2, 0])  # ±1 sd; a unit that never changes


@given(st.integers(0, 50), st.floats(0.1, 100), st.floats(-50, 50))
def test_scale_and_shift_of_a_unit_change_nothing(seed, scale, shift):
    rng = np.random.default_rng(seed)
    units = rng.gamma(1.0, size=(40, 3))
    np.testing.assert_allclose(ZScores.of(units * scale + shift)[:], ZScores.of(units)[:], atol=1e-6)


def test_cells_outside_both_sides_do_not_count():
    rng = np.random.default_rng(0)
    units = rng.gamma(1.0, size=(60, 3))
    group, reference = np.arange(60) < 20, (np.arange(60) >= 20) & (np.arange(60) < 50)
    changed = units.copy()
    changed[50:] = 1e3
    np.testing.assert_array_equal(
        activity_difference(units, group, reference), activity_difference(changed, group, reference)
    )


def test_values_in_blocks_are_the_projections():
    rng = np.random.default_rng(0)
    units, sets = rng.gamma(1.0, size=(5000, 3)), rng.normal(size=(4, 3))
    values = np.concatenate([block for _, block in activity_values(units, sets)])
    np.testing.assert_allclose(values[:, :3], ZScores.of(units)[:])
    np.testing.assert_allclose(values[:, 3:], ZScores.of(units)[:] @ sets.T)


def test_a_set_that_lowers_a_unit_turns_effects_and_ends_round():
    statistics = {
        "effect": np.array([1.0, 2.0, -5.0]),
        "se": np.array([0.1, 0.2, 0.3]),
        "p_cells": np.array([0.01, 0.02, 0.03]),
        "effect_lowest": np.array([0.5, 1.0, -6.0]),
        "effect_highest": np.array([1.5, 3.0, -4.0]),
    }
    found = per_set_statistics(statistics, np.array([[1.0, -3.0]]))
    np.testing.assert_allclose(found["effect"], [[1, -6, -5]])
    np.testing.assert_allclose(found["se"], [[0.1, 0.6, 0.3]])
    np.testing.assert_allclose(found["p_cells"], [[0.01, 0.02, 0.03]])
    np.testing.assert_allclose(found["effect_lowest"], [[0.5, -9, -6]])
    np.testing.assert_allclose(found["effect_highest"], [[1.5, -3, -4]])


def test_many_cells_are_standardised_a_part_at_a_time_to_the_same(monkeypatch):
    from modulae.core.scores import activity

    rng = np.random.default_rng(0)
    units = rng.gamma(1, 1, (300, 4)).astype(np.float32)
    units[:, 2] = 0.7  # never changes
    group = rng.random(300) < 0.3
    exact = units.astype(np.float64)
    spread = np.where(np.arange(4) == 2, np.inf, exact.std(axis=0))
    whole = (exact - exact.mean(axis=0)) / spread
    monkeypatch.setattr(activity, "CELLS_PER_SUM", 64)
    np.testing.assert_allclose(ZScores.of(units)[:], whole, atol=1e-12)
    expected = whole[group].mean(axis=0) - whole[~group].mean(axis=0)
    np.testing.assert_allclose(activity_difference(units, group, ~group), expected, atol=1e-12)
