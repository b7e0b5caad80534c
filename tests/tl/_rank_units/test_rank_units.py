"""tl.rank_units and its table: what is written, what is asked for, what is refused."""

import re
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import modulae as mo

KIND = ("B", "T", "rare")


@pytest.fixture
def adata():
    """Three donors with both conditions, cell types of 120, 114 and 6 cells; unit 1 is more active in treated T."""
    rng = np.random.default_rng(0)
    n = 240
    kind = np.where(np.arange(n) < 120, "B", np.where(np.arange(n) < 234, "T", "rare"))
    condition = np.where(np.arange(n) % 2, "treated", "control")
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(kind, categories=KIND),
            "condition": pd.Categorical(condition, categories=["treated", "control"]),
            "donor": [f"d{at // 2 % 3}" for at in range(n)],
            "age": [30.0 + 10 * (at // 2 % 3) for at in range(n)],
        },
        index=[f"c{at}" for at in range(n)],
    )
    units = rng.gamma(1, 1, (n, 4)).astype(np.float32)
    units[(kind == "T") & (condition == "treated"), 1] += 2
    adata = ad.AnnData(np.ones((n, 1), np.float32), obs=obs)
    adata.obsm["X_ae"] = units
    adata.uns["ae"] = {"params": {}, "history": {}, "model": {}}
    return adata


def ranked(adata, **settings):
    mo.tl.rank_units(adata, "condition", **{"reference": "control", **settings})
    return mo.get.rank_units(adata, result=settings.get("key_added"))


@pytest.fixture
def quiet(recwarn):
    """What is left out is said elsewhere."""
    warnings.simplefilter("ignore")
    return recwarn


def test_the_table_has_the_unit_that_differs_where_it_differs(adata):
    with pytest.warns(UserWarning, match=r"min_cells=10\): 'treated' in 'rare' \(3 and 3 cells\)\."):
        table = ranked(adata, within="kind")
    assert table["within"].value_counts().to_dict() == {"T": 4, "B": 4}
    first = table.iloc[0]
    assert first["within"] == "T"
    assert (first["unit"], first["group"], first["reference"], first["over"]) == ("1", "treated", "control", "cells")
    units, kind = adata.obsm["X_ae"][:, 1].astype(float), adata.obs["kind"] == "T"
    treated = adata.obs["condition"] == "treated"
    mine, theirs = units[kind & treated], units[kind & ~treated]
    assert first["effect"] == pytest.approx((mine.mean() - theirs.mean()) / units.std(), rel=1e-5)
    assert first["p"] == pytest.approx(stats.mannwhitneyu(mine, theirs).pvalue, rel=1e-6)
    assert (first["n_cells"], first["n_cells_reference"]) == (57, 57)
    np.testing.assert_allclose(table["q"], stats.false_discovery_control(table["p"]))
    assert adata.uns["ae_rank_condition"]["left_out"].tolist() == ["'treated' in 'rare' (3 and 3 cells)"]
    assert "n_donors" not in table


def test_the_smallest_q_comes_first_and_of_these_the_largest_effect(adata, quiet):
    ranked(adata, within="kind")
    statistics = adata.uns["ae_rank_condition"]["statistics"]
    statistics["q"] = np.array([[0.5, 0.01, 0.5, 0.9], [0.01, 0.5, 0.2, 0.01]])
    statistics["effect"] = np.array([[0.1, -2.0, -3.0, 0.0], [1.0, 0.2, 9.0, -4.0]])
    table = mo.get.rank_units(adata)
    assert list(zip(table["within"], table["unit"], strict=True)) == [
        *(("T", "3"), ("B", "1"), ("T", "0"), ("T", "2")),
        *(("B", "2"), ("T", "1"), ("B", "0"), ("B", "3")),
    ]


def test_without_categories_all_cells_are_one(adata):
    table = ranked(adata)
    assert table["within"].unique().tolist() == ["all cells"]
    assert table["n_cells"].unique().tolist() == [120]


def test_every_group_against_the_rest_and_one_of_them(adata):
    mo.tl.rank_units(adata, "kind", key_added="kinds", min_cells=3)
    table = mo.get.rank_units(adata, result="kinds")
    assert sorted(table["group"].unique()) == sorted(KIND)
    assert table["reference"].unique().tolist() == ["rest"]
    assert mo.get.rank_units(adata, result="kinds", group="T").equals(
        table[table["group"] == "T"].reset_index(drop=True)
    )
    mo.tl.rank_units(adata, "kind", groups=["rare"], reference="B", key_added="kinds", min_cells=3)
    assert mo.get.rank_units(adata, result="kinds")["n_cells"].tolist() == [6] * 4
    with pytest.raises(KeyError, match=r"no group 'T'. Choose one of \['rare'\]"):
        mo.get.rank_units(adata, result="kinds", group="T")


def test_donors_are_pairs(adata):
    table = ranked(adata, donor_key="donor")
    assert table["over"].unique().tolist() == ["donors"]
    assert (table["n_donors"] == 3).all()
    assert table["paired"].all()
    first = table.iloc[0]
    assert (first["unit"], first["n_donors_agreeing"], first["p_exact"]) == ("1", 3, 0.25)
    assert first["effect_lowest"] <= first["effect"] <= first["effect_highest"]
    units, donor, treated = adata.obsm["X_ae"][:, 1], adata.obs["donor"], adata.obs["condition"] == "treated"
    own = [units[(donor == d) & treated].mean() - units[(donor == d) & ~treated].mean() for d in ("d0", "d1", "d2")]
    assert first["effect"] == pytest.approx(np.mean(own) / units.astype(float).std(), rel=1e-4)  # 40 cells everywhere


@pytest.mark.parametrize(
    "design", ["~ condition + age + (1|donor)", "condition+age+( 1 | donor )", ["age"], ("condition", "age")]
)
def test_a_formula_says_the_same_as_a_list(adata, design):
    adata.obs["age"] = np.random.default_rng(1).normal(size=adata.n_obs)
    want = ranked(adata, donor_key="donor", design=["age"])
    found = ranked(adata, design=design, **({} if "|" in str(design) else {"donor_key": "donor"}))
    pd.testing.assert_frame_equal(found, want)
    assert adata.uns["ae_rank_condition"]["donor_key"] == "donor"
    assert list(adata.uns["ae_rank_condition"]["covariates"]) == ["age"]
    assert not np.allclose(want["p"], ranked(adata, donor_key="donor")["p"])


def test_what_pairs_share_changes_nothing(adata):
    """Each donor has one age."""
    plain = ranked(adata, donor_key="donor")
    pd.testing.assert_frame_equal(ranked(adata, donor_key="donor", design=["age"]), plain)


def test_cells_without_a_label_take_no_part(adata):
    whole = ranked(adata[30:].copy(), donor_key="donor")
    adata.obs.loc[adata.obs_names[:30], "donor"] = None
    pd.testing.assert_frame_equal(ranked(adata, donor_key="donor"), whole)


def test_shares_of_cells_that_are_on(adata):
    assert ranked(adata)["share_on"].isna().all()
    adata.obsm["ae_on"] = adata.obsm["X_ae"] > 1
    table = ranked(adata).set_index("unit")
    treated = (adata.obs["condition"] == "treated").to_numpy()
    np.testing.assert_allclose(table.loc["1", "share_on"], (adata.obsm["X_ae"][treated, 1] > 1).mean())
    assert table.loc["1", "effect_from_more_cells"] > 0
    adata.obsm["ae_on_callable"] = np.tile(np.arange(adata.obsm["X_ae"].shape[1]) != 1, (adata.n_obs, 1))
    ranked(adata)
    undecided = mo.get.rank_units(adata)["unit"] == "1"
    for name in ("share_on", "share_on_reference", "effect_from_more_cells", "effect_from_more_in_cells"):
        np.testing.assert_array_equal(mo.get.rank_units(adata)[name].isna(), undecided)
    adata.obsm["ae_on"] = adata.obsm["X_ae"]
    with pytest.raises(ValueError, match=r"whether it is on.*Remove it: `del adata.obsm\['ae_on'\]`"):
        ranked(adata)


def test_names_are_those_of_the_summary(trained):
    trained.obs["side"] = np.where(np.arange(trained.n_obs) % 3 == 0, "one", "other")
    mo.tl.rank_units(trained, "side")
    assert mo.get.rank_units(trained)["name"].isna().all()
    mo.tl.unit_summary(trained, progress=False)
    table, summary = mo.get.rank_units(trained), mo.get.unit_summary(trained)
    named = dict(zip(table["unit"], table["name"].fillna(""), strict=True))
    assert named == summary["name"].fillna("").to_dict()
    assert any(named.values())


@pytest.mark.parametrize("way", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", [{}, {"donor_key": "donor", "within": "kind"}])
def test_it_survives_a_file(adata, tmp_path, quiet, way, settings):
    table = ranked(adata, **settings)
    path = tmp_path / f"a.{way}"
    getattr(adata, f"write_{way}")(path)
    again = ad.read_h5ad(path) if way == "h5ad" else ad.io.read_zarr(path)
    pd.testing.assert_frame_equal(mo.get.rank_units(again), table)
    ranked(again, **settings)
    assert mo.pl.rank_units(again, max_q=1.0) is not None


def test_a_copy_leaves_the_object_as_it_was(adata):
    changed = mo.tl.rank_units(adata, "condition", copy=True)
    assert "ae_rank_condition" in changed.uns
    assert list(adata.uns) == ["ae"]


def test_so_few_cells_that_no_rank_could_tell_are_said(adata, quiet):
    """Two cells against two: p of SciPy's normal approximation, all of one side equal and above all of the other."""
    least = stats.mannwhitneyu([1, 1], [0, 0], method="asymptotic").pvalue
    few = adata[[0, 1, 2, 3]].copy()
    with pytest.warns(UserWarning, match=rf"no p can be below {least:.2g}, so that no q reaches 0.05.*Merge groups"):
        mo.tl.rank_units(few, "condition", min_cells=2)
    enough = adata[:10].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mo.tl.rank_units(enough, "condition", min_cells=2)


def test_the_only_result_needs_no_name(adata, quiet):
    ranked(adata, key_added="mine")
    assert len(mo.get.rank_units(adata)) == 4
    mo.tl.rank_units(adata, "kind")
    with pytest.raises(KeyError, match=r"several results, \['mine', 'ae_rank_kind'\]\. Name one of them in result="):
        mo.get.rank_units(adata)


def test_a_column_with_a_slash_needs_a_name(adata):
    adata.obs["a/b"] = adata.obs["condition"].to_numpy()
    with pytest.raises(ValueError, match=r"would be called 'ae_rank_a/b'.*Name it: key_added="):
        mo.tl.rank_units(adata, "a/b")
    mo.tl.rank_units(adata, "a/b", key_added="ab")
    assert set(mo.get.rank_units(adata)["group"]) == {"treated", "control"}


MISTAKES = {
    "column": ({"within": "x"}, KeyError, r"within='x' is not a column of adata.obs. Choose one of"),
    "group": ({"groups": ["x"]}, KeyError, "there is no group 'x'. Choose from"),
    "text": ({"groups": "treated"}, TypeError, r"give a list of names: groups=\['treated'\]"),
    "reference": ({"reference": "x"}, KeyError, "there is no group 'x'"),
    "twice": ({"within": "condition"}, ValueError, "'condition' is named twice.*Name others"),
    "donors": ({"donor_key": "x"}, KeyError, "donor_key='x' is not a column"),
    "several donors": ({"donor_key": ["donor"]}, TypeError, r"donor_key is the list \['donor'\]; .* donor_key='donor'"),
    "several categories": ({"within": ["kind"]}, TypeError, r"within is the list \['kind'\]; .* such as within='kind'"),
    "several references": ({"reference": ["control"]}, TypeError, r"name one group, such as reference='control'"),
    "no intercept": ({"design": "~ 0 + condition + (1|donor)"}, ValueError, "has '0': a design is a sum of columns"),
    "no design": ({"design": 3}, TypeError, r"design is 3; give a list of columns, design=\['age'\]"),
    "infinite": (
        {"design": ["endless"], "donor_key": "donor"},
        ValueError,
        r"infinite for 4 cells.*`adata = adata\[np.isfinite\(adata.obs\['endless'\]\)\].copy\(\)`",
    ),
    "no categories": (
        {"within": "empty"},
        ValueError,
        r"compared: of 240 cells a label is missing in 'empty' for 240, which take no part\. Name other columns in ",
    ),
    "no donor": (
        {"donor_key": "empty"},
        ValueError,
        r"0 and 0 cells\); of 240 cells a label is missing in 'empty' for 240, .* or donor_key=\.$",
    ),
    "design": ({"design": "~ condition * age"}, ValueError, r"a design is a sum of columns.*design=\['age'\]"),
    "no donors": ({"design": ["age"]}, ValueError, r"Name it: donor_key=, or \(1\|donor\)"),
    "two donors": (
        {"design": "~ (1|age)", "donor_key": "donor"},
        ValueError,
        r"several columns of donors: \['age', 'donor'\]. Name one",
    ),
    "covariate": ({"design": ["x"], "donor_key": "donor"}, KeyError, "design='x' is not a column"),
    "missing": (
        {"design": ["gaps"], "donor_key": "donor"},
        ValueError,
        r"missing or infinite for 3 cells.*`adata = adata\[adata.obs\['gaps'\].notna\(\)\].copy\(\)`",
    ),
    "few": ({"min_cells": 500}, ValueError, r"120 and 120 cells\)\. Lower min_cells to 120 \(min_cells=120\), or name"),
    "one donor": (
        {"donor_key": "same"},
        ValueError,
        r"1 and 0 donors; a side needs 2\)\. One donor on a side.*leave out donor_key= to compare cells, .* donors\.$",
    ),
    "one donor each": (
        {"donor_key": "sample"},
        ValueError,
        r"1 and 1 donors; a side needs 2\)\. One donor on a side.*Add donors; or leave out donor_key= .* donors\.$",
    ),
    "covariate of the sides": (
        {"donor_key": "well", "design": ["sample"]},
        ValueError,
        r"the covariates tell the sides apart.*Leave covariates out of design=\.$",
    ),
    "cells": ({"min_cells": 1}, ValueError, "min_cells is 1; give a whole number of at least 2"),
    "seed": ({"seed": -1}, ValueError, "seed is -1"),
    "model": ({"key": "x"}, KeyError, r"no 'X_x'. Trained models here: \['ae'\]"),
    "name": ({"key_added": "ae"}, ValueError, "the name of a trained model"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_change_nothing(adata, name):
    adata.obs["gaps"] = np.where(np.arange(adata.n_obs) < 3, np.nan, 1.0)
    adata.obs["same"] = "d"
    adata.obs["endless"] = np.where(np.arange(adata.n_obs) < 4, np.inf, 1.0)
    adata.obs["empty"] = pd.Series([np.nan] * adata.n_obs, index=adata.obs_names, dtype=object)
    adata.obs["sample"] = adata.obs["condition"].astype(str)
    adata.obs["well"] = adata.obs["sample"] + [str(at % 3) for at in range(adata.n_obs)]
    settings, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        mo.tl.rank_units(adata, "condition", **{"reference": "control", **settings})
    assert list(adata.uns) == ["ae"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_line_that_a_message_gives_helps(adata, value):
    adata.obs["gaps"] = np.where(np.arange(adata.n_obs) < 3, value, 1.0)
    with pytest.raises(ValueError, match="gaps") as said:
        ranked(adata, donor_key="donor", design=["gaps"])
    line = re.findall(r"`(adata = .*?)`", str(said.value))[0]
    at_hand = {"adata": adata, "np": np}
    exec(line, at_hand)  # noqa: S102
    assert len(ranked(at_hand["adata"], donor_key="donor", design=["gaps"])) == 4


@pytest.mark.slow
def test_interferon_leads_in_every_cell_type_of_kang(data_dir):
    """Its units lead by AUC, whichever split of the genes among them the model has found."""
    adata = ad.read_h5ad(data_dir / "kang_ifnb_sub2000.h5ad")
    mo.tl.autoencoder(adata, n_splits=0, n_latent=16, max_epochs=10, progress=False)
    sides = {"groups": ["STIM"], "reference": "CTRL", "within": "seurat_annotations"}
    with pytest.warns(UserWarning, match="left out, as a side is missing or too small"):
        mo.tl.rank_units(adata, "stim", **sides, min_cells=30)
    table, loadings = mo.get.rank_units(adata), mo.get.loadings(adata)
    first = table.loc[table.groupby("within")["auc"].idxmax()]
    assert len(first) == 8
    assert (first["q"] < 1e-6).all()
    for unit in first["unit"]:
        assert {"ISG15", "IFI6", "ISG20"} & set(loadings[unit].nlargest(10).index)


def test_too_few_donors_are_not_said_to_be_too_few_cells(adata):
    adata.obs["donor"] = np.where(adata.obs["kind"] == "B", adata.obs["donor"], "one")
    some = adata[adata.obs["kind"] != "rare"].copy()
    with pytest.warns(UserWarning, match=r"missing or too small: 'treated' in 'T' \(1 and 0 donors") as caught:
        mo.tl.rank_units(some, "condition", reference="control", within="kind", donor_key="donor")
    assert "min_cells" not in str(caught[0].message)


def test_the_ranking_of_another_model_is_named(adata):
    adata.uns["other"], adata.obsm["X_other"] = adata.uns["ae"], adata.obsm["X_ae"]
    mo.tl.rank_units(adata, "condition", key="other")
    with pytest.raises(KeyError, match=r"no ranking of units 'ae_rank'.*name the model that has one: key='other'\."):
        mo.get.rank_units(adata)
    assert len(mo.get.rank_units(adata, key="other")) == 8


def test_groups_are_offered_once(adata, quiet):
    ranked(adata, within="kind", groups=["treated"])
    with pytest.raises(KeyError, match=r"no group 'x'. Choose one of \['treated'\]\."):
        mo.get.rank_units(adata, group="x")
