"""The measure of physical truth: each line's own unit against the known share of its RNA."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modulae as mo


@pytest.fixture(scope="module")
def mixtures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[1]))
        from benchmarks.quality import mixtures

    return mixtures


@pytest.fixture(scope="module")
def score(mixtures):
    return mixtures.score


@pytest.fixture
def shares():
    """Pure wells, wells with two thirds of one line, and equal mixtures: any two lines have r = −0.5."""
    wells = np.concatenate([np.eye(3), np.full((3, 3), 1 / 6) + np.eye(3) / 2, np.full((2, 3), 1 / 3)])
    return pd.DataFrame(np.tile(wells, (5, 1)), columns=["A", "B", "C"])


def alike(values, r):
    """A unit with exactly this correlation with the values: as much of them, and of noise that is orthogonal."""
    values = (values - values.mean()) / values.std()
    noise = np.random.default_rng(0).normal(size=len(values))
    noise -= noise.mean()
    noise -= values * (values @ noise) / (values @ values)
    return r * values + np.sqrt(1 - r**2) * noise / noise.std()


def test_the_truth_itself_has_a_gap_of_a_half_more_than_its_r(score, shares):
    units = shares[["C", "A", "B"]].to_numpy() * [1, 20, 0.3] + [0, 5, 0]
    found = score(units, shares)
    assert found["unit"].to_dict() == {"A": 1, "B": 2, "C": 0}
    np.testing.assert_allclose(found["r"], 1)
    np.testing.assert_allclose(found["gap"], 1.5)


def test_a_second_unit_that_says_nearly_the_same_closes_the_gap(score, shares):
    units = np.c_[shares.to_numpy(), alike(shares["B"].to_numpy(), 0.8)]
    found = score(units, shares)
    assert found.loc["B", "unit"] == 1
    assert found.loc["B", "gap"] == pytest.approx(0.2)
    assert found.loc["A", "gap"] > 1


def test_one_unit_cant_stand_for_two_lines(score, shares):
    """The only unit that follows A and B goes to one of them; the other gets what is left, and its gap is negative."""
    both = (shares["A"] + shares["B"]).to_numpy()
    rest = alike(shares["A"].to_numpy(), 0.1)
    found = score(np.c_[both, shares["C"], rest], shares)
    assert found["unit"].nunique() == 3
    assert found.loc["C", ["unit", "r"]].tolist() == [1, pytest.approx(1)]
    # A + B = 1 − C, and r(A, C) = −0.5
    assert found.loc["B", ["unit", "r"]].tolist() == [0, pytest.approx(0.5)]
    assert found.loc["A", ["unit", "r", "gap"]].tolist() == [2, pytest.approx(0.1), pytest.approx(0.1 - 0.5)]


def test_turned_units_count_only_where_they_may_point_the_other_way(score, shares):
    units = -shares.to_numpy()
    np.testing.assert_allclose(score(units, shares, turn=True)["r"], 1)
    np.testing.assert_allclose(score(units, shares, turn=True)["gap"], 1.5)
    np.testing.assert_allclose(score(units, shares)["r"], 0.5)  # the unit of another line, upside down


def test_units_that_do_not_vary_are_none(score, shares):
    still = np.full((len(shares), 2), 7.0)
    found = score(np.c_[still, shares["A"], shares["B"]], shares)
    assert found["unit"].to_dict() == {"A": 2, "B": 3, "C": -1}
    assert found.loc["C", ["r", "gap"]].tolist() == [0, 0]
    assert found.loc["A", "gap"] == pytest.approx(1.5)


def test_a_single_unit_is_held_against_none(score, shares):
    found = score(shares[["A"]].to_numpy(), shares)
    assert found.loc["A", ["r", "gap"]].tolist() == [pytest.approx(1), pytest.approx(1)]


@pytest.mark.slow
def test_units_follow_the_known_shares_of_rna(mixtures, score, data_dir):
    import anndata as ad

    wells = mixtures.mark_variable(ad.read_h5ad(data_dir / "rnamix_sortseq.h5ad"))
    assert wells.var["learn"].sum() == 2000
    shares = mixtures.shares_of(wells)
    assert list(shares) == ["H2228", "H1975", "HCC827"]
    assert score(shares.to_numpy(), shares)["gap"].mean() == pytest.approx(1.44, abs=0.01)  # what 3 perfect units have
    mo.tl.autoencoder(wells, mask_var="learn", progress=False, key_added="m")
    found = score(wells.obsm["X_m"], shares)
    assert wells.obsm["X_m"].shape[1] == 3
    assert found["r"].mean() > 0.93  # 0.96
    assert found["gap"].mean() > 1.2  # 1.34
    shuffled = shares.sample(frac=1, random_state=0)
    assert score(wells.obsm["X_m"], shuffled)["r"].max() < 0.4
