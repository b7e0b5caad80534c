"""The scores of drvi-py, known answers, and what must change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo

REFERENCE = json.loads(Path(__file__).with_name("reference_disentanglement.json").read_text(encoding="utf-8"))["cases"]


def planted(seed, n_cells=80, n_units=5, n_labels=4):
    """Units that never tie, and labels that some of them follow."""
    rng = np.random.default_rng(seed)
    labels = rng.random((n_cells, n_labels)) < 0.4
    labels[:2], labels[2:4] = True, False
    units = rng.normal(size=(n_cells, n_units))
    units[:, :n_labels] += 2 * labels[:, :n_units]
    return units, labels


def similar(first, second):
    np.testing.assert_allclose(first.to_numpy(), second.to_numpy(), atol=1e-12)


# Against drvi-py 0.2.8; benchmarks/quality/reference_disentanglement.py made the numbers


@pytest.mark.parametrize("name", REFERENCE)
def test_scores_are_those_of_drvi(name):
    case = REFERENCE[name]
    table, details = mo.metrics.disentanglement(np.array(case["units"]), np.array(case["labels"]), details=True)
    assert len(case["results"]) == (3 if name == "ties" else 6)
    for both, value in case["results"].items():
        metric, score = both.split("-")
        assert table.loc[metric, score] == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(details["SMI"], case["details"]["SMI"], atol=1e-6)
    if name != "ties":
        np.testing.assert_allclose(details["SPN"], case["details"]["SPN"], atol=1e-6)


def test_with_ties_neighbours_are_those_of_many_random_orders():
    """The stored mean is of 5000 orders, each cut off at 0, so it says nothing about scores close to that."""
    case = REFERENCE["ties"]
    _, details = mo.metrics.disentanglement(np.array(case["units"]), np.array(case["labels"]), details=True)
    theirs, ours = np.array(case["details"]["SPN"]), details["SPN"].to_numpy()
    clear = theirs > 0.12
    assert clear.sum() >= 6
    np.testing.assert_allclose(ours[clear], theirs[clear], atol=5e-3)
    assert (ours[~clear] <= theirs[~clear] + 5e-3).all()


# Known answers


def test_one_unit_a_label_is_perfect():
    """Four labels of a quarter of the cells each; each unit is high in its own and low elsewhere."""
    labels = np.repeat(["a", "b", "c", "d"], 25)
    units = (labels[:, None] == np.array(["a", "b", "c", "d"])) + np.linspace(0, 0.01, 100)[:, None]
    table = mo.metrics.disentanglement(units, labels)
    np.testing.assert_allclose(table.loc[["LMS", "MSAS"]], 1)
    assert table.loc["MSGS", "SMI"] == pytest.approx(1 - shared())


def entropy(p):
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def shared():
    """Information that being in one quarter or not has on being in another, over the entropy of that."""
    joint = -0.5 * np.log(0.5) - 2 * 0.25 * np.log(0.25)  # neither, the one, the other
    return (2 * entropy(0.25) - joint) / entropy(0.25)


def test_information_worked_out_by_hand():
    """Eight cells in two halves of the range; three of the four with the label are in the upper one."""
    unit = np.array([0.0, 0, 0, 0, 1, 1, 1, 1])
    label = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    _, details = mo.metrics.disentanglement(np.c_[unit, label], label[:, None], details=True)
    information = 2 * 3 / 8 * np.log((3 / 8) / (1 / 4)) + 2 * 1 / 8 * np.log((1 / 8) / (1 / 4))
    assert details["SMI"].to_numpy()[:, 0] == pytest.approx([information / np.log(2), 1])


def test_neighbours_worked_out_by_hand():
    """By the first unit the labels are 1 1 0 1 0 0, one pair of two, by chance a half; by the second 1 1 1 0 0 0."""
    label = np.array([1, 1, 0, 1, 0, 0], dtype=bool)
    units = np.c_[np.arange(6), [1, 2, 4, 3, 5, 6]]
    _, details = mo.metrics.disentanglement(units, label[:, None], details=True)
    assert details["SPN"].to_numpy()[:, 0] == pytest.approx([0, 1])


def test_ties_worked_out_by_hand():
    """Of four cells with the value 0 three have the label: in half of the orders they make 2 pairs, else 1.

    The next value is one cell with the label, whose neighbour below has it in three orders of four.
    """
    unit = np.array([0, 0, 0, 0, 1, 2, 3, 4])
    label = np.array([1, 1, 1, 0, 1, 0, 0, 0], dtype=bool)
    _, details = mo.metrics.disentanglement(np.c_[unit, -unit], label[:, None], details=True)
    pairs = 1.5 + 0.75
    assert details["SPN"].to_numpy()[:, 0] == pytest.approx([(pairs / 3 - 0.5) / 0.5] * 2)


def test_a_unit_that_never_varies_knows_nothing():
    units, labels = planted(0)
    units[:, 4] = 7
    _, details = mo.metrics.disentanglement(units, labels, details=True)
    np.testing.assert_allclose(details["SMI"].loc["4"], 0, atol=1e-12)
    np.testing.assert_allclose(details["SPN"].loc["4"], 0, atol=1e-12)


def test_summaries_of_one_matrix():
    """One unit serves two labels: it counts for both in MSAS, for one in LMS."""
    from modulae.core.scores import disentanglement as core

    scores = np.array([[0.9, 0.1, 0.9], [0.1, 0.9, 0.1], [0.1, 0.1, 0.8], [0.1, 0.7, 0.1]])
    assert core.most_similar_averaging(scores) == pytest.approx(0.9)
    assert core.latent_matching(scores) == pytest.approx((0.9 + 0.9 + 0.8) / 3)
    assert core.most_similar_gap(scores) == pytest.approx((0.8 + 0.2 + 0.1) / 3)
    assert core.latent_matching(scores[:1]) == pytest.approx(0.3)


def test_planted_programmes_score_one_and_noise_little():
    adata = mo.datasets.simulated(difficulty="easy", n_cells=600, n_genes=200, seed=0)
    perfect = mo.metrics.disentanglement(adata, "truth_activity", use_rep="truth_activity")
    np.testing.assert_allclose(perfect.loc[["LMS", "MSAS"]], 1, atol=0.01)
    noise = np.random.default_rng(0).normal(size=(600, 20))
    assert (mo.metrics.disentanglement(noise, adata.obsm["truth_activity"]) < 0.15).all(axis=None)


# What must change nothing


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_sign_and_scale_of_units_and_order_of_cells_change_nothing(seed):
    units, labels = planted(seed)
    rng = np.random.default_rng(seed)
    expected, details = mo.metrics.disentanglement(units, labels, details=True)
    order, cells = rng.permutation(5), rng.permutation(80)
    changed = (units * rng.choice([-2.0, -1, 0.5, 4], size=5))[cells][:, order]
    found, rearranged = mo.metrics.disentanglement(changed, labels[cells], details=True)
    similar(found, expected)
    for name, matrix in details.items():
        similar(rearranged[name], matrix.iloc[order])
    assert ((found >= 0) & (found <= 1)).all(axis=None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_values=st.integers(2, 6))
def test_with_ties_too(seed, n_values):
    units, labels = planted(seed)
    units = np.digitize(units, np.linspace(-1, 2, n_values - 1)).astype(np.float32)
    cells = np.random.default_rng(seed).permutation(80)
    similar(
        mo.metrics.disentanglement(units[cells], labels[cells]), mo.metrics.disentanglement(units, labels.astype(int))
    )


def test_neighbours_need_only_the_order():
    units, labels = planted(1)
    similar(
        mo.metrics.disentanglement(np.exp(units), labels)[["SPN"]], mo.metrics.disentanglement(units, labels)[["SPN"]]
    )


# Forms of the input


@pytest.fixture
def adata():
    units, labels = planted(2)
    found = ad.AnnData(np.ones((80, 2), dtype=np.float32), obs=pd.DataFrame(index=[f"cell{i}" for i in range(80)]))
    found.obsm["X_ae"], found.obsm["programmes"] = units, labels * 0.7
    found.obs["kind"] = pd.Categorical(np.where(labels[:, 0], "on", "off"), categories=["on", "off", "unused"])
    return found


def test_names_of_fields_arrays_and_tables_are_the_same(adata):
    expected = mo.metrics.disentanglement(adata.obsm["X_ae"], adata.obsm["programmes"] > 0)
    assert list(expected.index) == ["LMS", "MSAS", "MSGS"]
    assert list(expected.columns) == ["SMI", "SPN"]
    shuffled = adata[np.random.default_rng(0).permutation(80)]
    table = pd.DataFrame(shuffled.obsm["programmes"], index=shuffled.obs_names)
    for data, labels in (
        (adata, "programmes"),
        (adata, adata.obsm["programmes"]),
        (adata, table),
        (pd.DataFrame(adata.obsm["X_ae"], index=adata.obs_names), table),
    ):
        similar(mo.metrics.disentanglement(data, labels), expected)


def test_categories_are_labels_and_cells_without_one_are_left_out(adata):
    expected, details = mo.metrics.disentanglement(adata[10:], "kind", details=True)
    assert list(details["SMI"].columns) == ["on", "off"]
    assert list(details["SMI"].index) == ["0", "1", "2", "3", "4"]
    adata.obs.loc[adata.obs_names[:10], "kind"] = np.nan
    similar(mo.metrics.disentanglement(adata, "kind"), expected)
    similar(mo.metrics.disentanglement(adata, adata.obs["kind"].iloc[::-1]), expected)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"use_rep": "X_pca"}, KeyError, r"no 'X_pca'. Choose one of \['X_ae', 'programmes'\]"),
        ({"labels": "nothing"}, KeyError, r"in neither .* Choose one of \['kind', 'X_ae', 'programmes'\]"),
        ({"data": np.eye(3)}, TypeError, "no AnnData to find it in. Give the labels themselves"),
        ({"labels": np.ones((5, 2))}, ValueError, "labels has 5 cells, and the representation 80. Give the same"),
        ({"labels": np.linspace(0, 1, 80)}, ValueError, "numbers, not labels. Name another column, or cut"),
        ({"labels": np.full((80, 1), np.nan)}, ValueError, "missing or no numbers. Give cells × labels"),
        ({"labels": np.full((80, 1), "a")}, ValueError, "missing or no numbers. Give cells × labels"),
        ({"labels": np.ones((80, 2, 2))}, ValueError, "labels has 3 dimensions. Give cells × columns"),
        ({"labels": np.eye(80)[:, :1]}, ValueError, "1 label is on in fewer than two .*: 0. Leave out"),
        ({"labels": np.ones((80, 1))}, ValueError, "or in all: 0. Leave out"),
        ({"labels": ["a"] * 80}, ValueError, "or in all: a. Leave out"),
        ({"labels": [None] * 80}, ValueError, "no cell has a label. Give each cell"),
        ({"labels": np.zeros((80, 0))}, ValueError, "no cell has a label. Give each cell"),
        ({"labels": pd.Series(["a"] * 80, index=[f"x{i}" for i in range(80)])}, ValueError, "names other cells"),
        ({"labels": pd.Series(["a"] * 80, index=["cell1"] * 80)}, ValueError, "or a cell twice. Give the same"),
        (
            {"data": np.ones((80, 1)), "labels": np.ones((80, 1))},
            ValueError,
            "the number of units is 1. Give two",
        ),
        ({"data": np.full((80, 2), np.inf), "labels": np.ones((80, 1))}, ValueError, "infinite .* finite numbers"),
        ({"data": np.full((80, 2), "a"), "labels": np.ones((80, 1))}, ValueError, "no numbers. Give cells × units"),
        ({"data": np.ones(80), "labels": np.ones((80, 1))}, ValueError, "data has 1 dimension. Give cells"),
        ({"data": np.ones((1, 3)), "labels": np.ones((1, 1))}, ValueError, "data has 1 cell. Give two or more"),
    ],
)
def test_mistakes_get_the_next_step(adata, change, error, message):
    with pytest.raises(error, match=message):
        mo.metrics.disentanglement(**{"data": adata, "labels": "kind", **change})
