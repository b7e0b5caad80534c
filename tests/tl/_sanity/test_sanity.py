"""`tl.sanity` and `get.sanity`: what is written, what is asked for, and what the verdict says."""

import warnings

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo
from modulae.core.sanity.compare import Agreement, compare
from modulae.core.sanity.controls import Control
from modulae.core.sanity.verdict import groups_passed, judge
from modulae.tl._sanity.controls import check_numbers, choose_cells

FAST = {"max_epochs": 2, "n_seeds": 1, "n_draws": 5, "device": "cpu"}
LEVELS = ["units", "sets", "set strength", "groups", "group strength"]


@pytest.fixture(scope="module")
def gene_sets():
    return {f"set {at}": [f"gene{i}" for i in range(at, 40, 6)] for at in range(6)}


def check(adata, sets, **given):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mo.tl.sanity(adata, sets, **(FAST | given))
    return [str(warning.message) for warning in caught]


@pytest.fixture(scope="module")
def checked_once(orthogonal_once, gene_sets):
    """Of the model that has every control, and of which one fails."""
    adata = orthogonal_once.copy()
    adata.obs["kind"] = ["one", "two", "three"] * 30
    sets = {name: list(adata.var_names[[int(g[4:]) for g in genes]]) for name, genes in gene_sets.items()}
    adata.uns["said"] = check(adata, sets, groupby="kind", reference="two")
    return adata, sets


@pytest.fixture
def checked(checked_once):
    return checked_once[0].copy()


@pytest.fixture
def sets(checked_once):
    return checked_once[1]


def test_tables_have_the_levels_controls_units_and_groups(checked):
    verdict = mo.get.sanity(checked)
    assert list(verdict.index) == [*LEVELS, "deletion"]
    assert list(verdict) == ["passed", "seeds", "control", "control_kind", "words"]
    assert all(words.startswith(level) for level, words in verdict["words"].items())
    controls = mo.get.sanity(checked, table="controls")
    assert list(controls["kind"]) == [
        "other seeds",
        "shuffled counts",
        "untrained, same start",
        "untrained, other start",
        "last layer redrawn",
        "expression alone",
    ]
    assert {"units_25", "units", "units_75", "sets", "set_strength", "groups", "group_strength"} < set(controls)
    assert controls.select_dtypes("number").abs().to_numpy().max() <= 1 + 1e-6
    units = mo.get.sanity(checked, table="units")
    assert list(units.index) == list("01234")
    agreement = mo.get.sanity(checked, table="agreement")
    np.testing.assert_allclose(controls.loc["seed 1", "units_25"], agreement["other seeds"].quantile(0.25), atol=1e-6)
    np.testing.assert_allclose(units["seeds"], agreement["other seeds"])
    np.testing.assert_allclose(
        units["control"], agreement.drop(columns=["other seeds", "expression alone"]).max(axis=1)
    )
    np.testing.assert_allclose(controls["units"], agreement.median().loc[controls["kind"]], atol=1e-6)
    groups = mo.get.sanity(checked, table="groups")
    assert list(groups["group"].unique()) == ["one", "three"]
    assert set(groups["reference"]) == {"two"}
    medians = groups.groupby("control")["effect"].median().loc[controls.index]
    np.testing.assert_allclose(medians, controls["groups"], atol=1e-6)
    curves = mo.get.sanity(checked, table="deletion")
    np.testing.assert_allclose(curves.loc[curves["n_deleted"] == 0, ["top", "random"]], 1)
    assert len(curves) == 5 * curves["n_deleted"].nunique()
    np.testing.assert_allclose(curves["share"], curves["n_deleted"] / checked.var["ae_gene"].sum())


def test_with_its_own_start_a_unit_is_compared_with_itself(orthogonal, sets, monkeypatch):
    """With every other control, with the unit that is active in the same cells."""
    asked = []

    def spy(own, other, *, same_units, signed):
        asked.append(same_units)
        return compare(own, other, same_units=same_units, signed=signed)

    monkeypatch.setattr("modulae.tl._sanity.controls.compare", spy)
    check(orthogonal, sets)
    kinds = list(orthogonal.uns["ae_sanity"]["kinds"])
    assert [kind == "untrained, same start" for kind in kinds[:-1]] == asked
    assert kinds[-1] == "expression alone"


def test_cells_are_drawn(trained, sets):
    check(trained, sets, n_cells=40)
    assert trained.uns["ae_sanity"]["n_cells"] == 40
    check(trained, sets, n_cells=None, key_added="all")
    assert trained.uns["all"]["n_cells"] == 90


def test_a_failed_level_warns_with_its_words(checked):
    """A model of four epochs: its units are where they started."""
    verdict = mo.get.sanity(checked)
    assert not verdict.loc["units", "passed"]
    assert verdict.loc["units", "control_kind"] == "untrained, same start"
    assert len(checked.uns["said"]) == 1
    for level, row in verdict.iterrows():
        assert (f"- {level}" in checked.uns["said"][0]) == (not row["passed"])


def test_no_groups_no_levels_of_groups(trained, sets):
    check(trained, sets)
    assert list(mo.get.sanity(trained).index) == [*LEVELS[:3], "deletion"]
    with pytest.raises(KeyError, match=r"compares no groups. Run .*groupby="):
        mo.get.sanity(trained, table="groups")
    with pytest.raises(ValueError, match=r"table is 'unit'; choose one of \['verdict'"):
        mo.get.sanity(trained, table="unit")


def test_same_seed_same_numbers_and_the_rest_untouched(checked, sets):
    before = checked.copy()
    other = mo.tl.sanity
    with pytest.warns(UserWarning, match="no better than a control"):
        again = other(checked, sets, groupby="kind", reference="two", copy=True, key_added="again", **FAST)
    for name, value in again.uns["ae_sanity"].items():
        np.testing.assert_equal(again.uns["again"][name], value, err_msg=name)
    assert "again" not in checked.uns
    np.testing.assert_array_equal(checked.X.toarray(), before.X.toarray())
    np.testing.assert_array_equal(checked.uns["ae"]["model"]["w2"], before.uns["ae"]["model"]["w2"])
    assert list(checked.obs) == list(before.obs)


@pytest.mark.parametrize("suffix", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_survives_a_file(checked, sets, tmp_path, suffix):
    path = tmp_path / f"checked.{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own, about its formats
        getattr(checked, f"write_{suffix}")(path)
        back = getattr(ad, f"read_{suffix}")(path)
    for table in ("verdict", "controls", "units", "agreement", "groups", "deletion"):
        one, other = mo.get.sanity(checked, table=table), mo.get.sanity(back, table=table)
        assert one.equals(other), table
    assert mo.pl.sanity(back).keys() == {"units", "sets", "deletion"}
    check(back, sets, key_added="anew")
    assert "anew" in back.uns


def test_retraining_takes_the_result_away(checked):
    mo.tl.autoencoder(checked, mask_var="chosen", n_latent=4, n_splits=0, learning_rate=2e-4, device="cpu")
    assert "ae_sanity" not in checked.uns
    with pytest.raises(KeyError, match=r"Run `mo.tl.sanity\(adata, gene_sets\)` first"):
        mo.get.sanity(checked)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"explanation": {"method": "lime"}}, ValueError, "choose one of"),
        ({"explanation": {"aggregate": "sum"}}, ValueError, "choose one of"),
        ({"n_seeds": 0}, ValueError, "n_seeds is 0; give a whole number of at least 1"),
        ({"n_cells": 1}, ValueError, "at least 2"),
        ({"max_epochs": 1.5}, ValueError, "max_epochs is 1.5"),
        ({"n_draws": True}, ValueError, "n_draws is True"),
        ({"groupby": "nothing"}, KeyError, "Choose one of"),
        ({"groupby": "kind", "min_cells": 40}, ValueError, r"min_cells=40 cells: 'one' \(30 .* lower it: min_cells=30"),
        ({"groupby": "kind", "min_cells": 0}, ValueError, "min_cells is 0"),
        ({"groupby": "kind", "reference": "four"}, KeyError, "Choose from"),
        ({"key": "other"}, KeyError, "Trained models here"),
        ({"layer": "spliced"}, KeyError, "spliced"),
    ],
)
def test_bad_input_is_refused_before_any_work(trained, sets, given, error, message):
    trained.obs["kind"] = ["one", "two", "three"] * 30
    before = sorted(trained.uns)
    with pytest.raises(error, match=message):
        mo.tl.sanity(trained, sets, **(FAST | given))
    assert sorted(trained.uns) == before


def test_groups_of_a_few_cells_are_left_out_and_named(trained, sets):
    trained.obs["kind"] = np.array(["a", "b", "few"])[np.where(np.arange(90) < 3, 2, np.arange(90) % 2)]
    said = check(trained, sets, groupby="kind")
    assert any(
        text.startswith("left out, as a side is too small (min_cells=10): 'few' (3 and 87 cells). To") for text in said
    )
    entry = trained.uns["ae_sanity"]
    assert (entry["groups"].tolist(), entry["groups_left_out"].tolist()) == (["a", "b"], ["'few' (3 and 87 cells)"])
    assert entry["group_agreement"].shape[0] == 2
    assert not any("left out" in text for text in check(trained, sets, groupby="kind", min_cells=3))
    assert trained.uns["ae_sanity"]["groups"].tolist() == ["a", "b", "few"]


def test_too_few_sets_are_refused(trained, sets):
    with pytest.raises(ValueError, match=r"4 gene sets have enough genes in the model.*Give 5 sets or more"):
        mo.tl.sanity(trained, dict(list(sets.items())[:4]), **FAST)


def test_ctrl_c_ends_it(trained, sets, monkeypatch):
    """Training alone keeps its best weights on Ctrl-C; half-trained controls would be none."""
    import modulae.tl._sanity.sanity as module

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "progress_bar", lambda *_, **__: Bar())
    with pytest.raises(KeyboardInterrupt):
        mo.tl.sanity(trained, sets, **FAST)
    assert "ae_sanity" not in trained.uns


@given(st.one_of(st.none(), st.integers(-5, 5), st.floats(), st.booleans(), st.text(max_size=3)))
@settings(max_examples=60, deadline=None)
def test_only_whole_numbers_are_taken(value):
    fine = type(value) is int and value >= 1
    for name in ("n_seeds", "n_draws", "max_epochs"):
        if fine or (value is None and name == "max_epochs"):
            check_numbers(**{name: value})
        else:
            with pytest.raises(ValueError, match=f"{name} is .*; give a whole number"):
                check_numbers(**{name: value})


@given(st.integers(1, 300), st.integers(2, 400), st.integers(0, 3), st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_chosen_cells_keep_the_small_groups(n_total, n_cells, n_groups, seed):
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.geometric(0.6, size=n_total), 3) - 1
    members = labels[None, :] == np.arange(n_groups)[:, None]
    sides = np.stack([members, ~members])
    chosen = choose_cells(sides, n_cells, rng)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) >= min(n_cells, n_total)
    for side in sides.reshape(-1, n_total):
        assert side[chosen].sum() >= min(50, side.sum())
    if n_groups == 0:
        assert len(chosen) == min(n_cells, n_total)
    np.testing.assert_array_equal(choose_cells(sides, None, rng), np.arange(n_total))


KINDS = [
    "other seeds",
    "other seeds",
    "shuffled counts",
    "untrained, same start",
    "last layer redrawn",
    "expression alone",
]


def agreements(units, effect, strength=None):
    """One agreement a control, from a number each."""
    strength = effect if strength is None else strength
    return [
        Agreement(np.full(3, u), np.arange(3), np.full(3, 0.95), np.array([e, e]), np.array([s, s]))
        for u, e, s in zip(units, effect, strength, strict=True)
    ]


@pytest.mark.parametrize(
    ("values", "passed", "kind"),
    [
        ([0.9, 0.8, 0.1, 0.2, 0.3, 1.0], True, "untrained, same start"),
        ([0.8, 0.7, 0.64, 0.66, 0.3, 1.0], False, "untrained, same start"),  # within the margin of 0.75
        ([0.8, 0.7, 0.64, 0.2, 0.3, 1.0], True, "shuffled counts"),
        ([0.99, 0.97, 0.72, 0.2, 0.3, 1.0], False, "shuffled counts"),  # which says the same itself
        ([0.1, 0.2, 0.9, 0.2, 0.3, 1.0], False, "shuffled counts"),
    ],
)
def test_the_rule(values, passed, kind):
    controls = [Control(str(at), k, None) for at, k in enumerate(KINDS)]
    levels = judge(controls, agreements(values, values))
    assert levels.names == LEVELS
    assert levels.passed[1:].tolist() == [passed] * 4
    assert levels.control_kind[1:] == [kind] * 4
    np.testing.assert_allclose(levels.seeds, np.mean(values[:2]))


def test_a_redrawn_last_layer_counts_for_units_only():
    controls = [Control(str(at), k, None) for at, k in enumerate(KINDS)]
    values = [0.9, 0.8, 0.1, 0.2, 0.9, 1.0]
    levels = judge(controls, agreements(values, values))
    assert levels.passed.tolist() == [False, True, True, True, True]
    assert levels.control_kind[0] == "last layer redrawn"
    assert groups_passed(controls, agreements(values, values), "effect").tolist() == [True]


def test_most_groups_failing_by_themselves_is_a_failure():
    """Medians that pass: each group has another control that says the same."""
    controls = [Control(str(at), k, None) for at, k in enumerate(KINDS)]
    groups = np.array([[0.9, 0.9, 0.9, 0.1, 0, 0], [0.9, 0.9, 0.2, 0.9, 0, 0], [0.9, 0.9, 0.2, 0.1, 0, 0]]).T
    found = [
        Agreement(np.full(3, 0.5), np.arange(3), np.full(3, 0.95), np.array([0.5, *row]), np.array([0.5, *row[::-1]]))
        for row in groups
    ]
    levels = judge(controls, found)
    np.testing.assert_allclose(levels.control[3:], 0.2)
    assert levels.passed.tolist() == [False] * 5
    assert groups_passed(controls, found, "effect").tolist() == [False, False, True]
