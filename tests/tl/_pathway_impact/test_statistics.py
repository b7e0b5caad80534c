"""p-values of `tl.pathway_impact`: what is written, what is asked for, and what they are worth."""

import warnings

import numpy as np
import pytest

import modulae as mo


@pytest.fixture
def groups(trained):
    trained.obs["side"] = np.where(np.arange(trained.n_obs) % 3 == 0, "one", "other")
    trained.obs["donor"] = [f"d{i % 6}" for i in range(trained.n_obs)]  # three on either side of "late"
    trained.obs["late"] = np.where(np.arange(trained.n_obs) % 6 < 3, "early", "late")
    trained.obs["batch"] = np.where(np.arange(trained.n_obs) < 45, "first", "second")
    trained.obs["cell"] = [f"c{i}" for i in range(trained.n_obs)]
    trained.obs["paired"] = [f"p{i % 5}" for i in range(trained.n_obs)]
    return trained


@pytest.fixture
def gene_sets(trained):
    genes = list(trained.var_names[trained.var["ae_gene"]])
    return {"alpha": genes[:5], "beta": genes[5:12], "gamma": genes[12:25]}


def run(adata, gene_sets, **settings):
    settings = {"groupby": "side", "n_permutations": 50, "device": "cpu", **settings}
    mo.tl.pathway_impact(adata, gene_sets, key_added="result", **settings)
    return mo.get.impact_table(adata, result="result")


def test_table_has_effect_direction_error_and_p(groups, gene_sets):
    table = run(groups, gene_sets)
    head = ["group", "reference", "set", "n_genes", "share_found", "effect", "direction", "se"]
    assert list(table)[:8] == head
    assert {"p", "q", "p_cells", "p_matched", "null_mean"} <= set(table)
    assert table["p"].between(1 / 51, 1).all()
    assert (table["q"] >= table["p"] - 1e-7).all()
    assert (table["p"] >= table[["p_cells", "p_matched"]].max(axis=1) - 1e-7).all()
    assert (table["direction"].str.startswith("more in") == (table["effect"] > 0)).all()
    by_unit = mo.get.impact_table(groups, result="result", by_unit=True)
    assert len(by_unit) == 2 * 3 * 5
    assert by_unit["p"].between(1 / 51, 1).all()


BOTH = pytest.mark.parametrize("difference", ["activity", "saliency"])


@BOTH
def test_two_groups_against_each_other_mirror_each_other(groups, gene_sets, difference):
    table = run(groups, gene_sets, n_permutations=400, explanation={"difference": difference}).set_index(
        ["group", "set"]
    )
    one, other = table.loc["one"], table.loc["other"]
    np.testing.assert_allclose(one["effect"], -other["effect"], rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(one["se"], other["se"], rtol=1e-4)
    np.testing.assert_allclose(one["p"], other["p"], atol=0.15)


def cell_values(adata, gene_sets, difference):
    """What is compared, per cell: sets × units, summed over units."""
    from modulae._adata.counts import read_cells
    from modulae._adata.stored.models import read_model
    from modulae.core.scores.set_values import set_indicator, set_values

    fitted = read_model(adata, "ae")
    genes = list(fitted.genes)
    positions = [np.array([genes.index(gene) for gene in names]) for names in gene_sets.values()]
    cells = read_cells(adata, fitted, layer=None)
    blocks = set_values(fitted.network, cells, set_indicator(positions, len(genes)))
    values = np.concatenate([block for _, block in blocks])[:, :, :-1].astype(float)
    if difference == "saliency":
        return values.sum(axis=2)
    activity = adata.obsm["X_ae"].astype(float)
    return activity / activity.std(axis=0) @ values.mean(axis=0).T


@BOTH
def test_effect_and_error_are_welchs_over_cells(groups, gene_sets, difference):
    from scipy import stats

    table = run(groups, gene_sets, groups=["one"], explanation={"difference": difference})
    values = cell_values(groups, gene_sets, difference)
    inside = (groups.obs["side"] == "one").to_numpy()
    welch = stats.ttest_ind(values[inside], values[~inside], equal_var=False)
    np.testing.assert_allclose(table["effect"] / table["se"], welch.statistic, rtol=1e-3)
    np.testing.assert_allclose(
        table["effect"], values[inside].mean(axis=0) - values[~inside].mean(axis=0), rtol=1e-3, atol=1e-7
    )


@BOTH
def test_units_add_up_to_their_sum(groups, gene_sets, difference):
    table = run(groups, gene_sets, explanation={"difference": difference})
    by_unit = mo.get.impact_table(groups, result="result", by_unit=True)
    of_set = ["group", "set"]
    np.testing.assert_allclose(
        by_unit.groupby(of_set)["effect"].sum(), table.set_index(of_set)["effect"].sort_index(), rtol=1e-3, atol=1e-6
    )
    assert (by_unit["se"] > 0).all()
    if difference == "activity":  # the p over cells is that of the unit, whatever the set
        assert (by_unit.groupby(["group", "unit"], observed=True)["p_cells"].nunique() == 1).all()


def test_same_seed_same_p_and_block_size_changes_nothing(groups, gene_sets):
    first, again, blocks, other = (
        run(groups, gene_sets, **settings)["p"].to_numpy() for settings in ({}, {}, {"batch_size": 7}, {"seed": 1})
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, blocks, atol=1e-6)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("null", "there"), [("cells", {"p_cells"}), ("matched", {"p_matched", "null_mean"}), (None, set())]
)
def test_only_the_nulls_that_were_asked_for(groups, gene_sets, null, there):
    table = run(groups, gene_sets, null=null)
    assert set(table) & {"p_cells", "p_matched", "null_mean"} == there
    assert ("p" in table) == (null is not None)


def test_no_p_values_where_they_would_not_hold(groups, gene_sets):
    assert "p" not in run(groups, gene_sets, explanation={"aggregate": "median"})
    mo.tl.pathway_impact(groups, gene_sets)
    assert "p" not in mo.get.impact_table(groups)


def test_few_donors_can_be_sure_where_their_permutations_cannot(groups, gene_sets):
    """Five pairs: 2 of 32 flips are as far out, so that nothing but a t-test can say less."""
    how = {"groupby": "late", "groups": ["late"], "donor_key": "paired", "null": "cells"}
    units, late = groups.obsm["X_ae"], (groups.obs["late"] == "late").to_numpy()
    table = run(groups, gene_sets, **how)
    assert table["p_exact"].min() >= 2 / 32 - 1e-6
    values = cell_values(groups, gene_sets, "activity")
    pairs = [groups.obs["paired"] == donor for donor in sorted(set(groups.obs["paired"]))]
    own = np.array([values[late & pair].mean(axis=0) - values[~late & pair].mean(axis=0) for pair in pairs])
    np.testing.assert_allclose(table["effect"], own.mean(axis=0), rtol=1e-3, atol=1e-7)  # nine cells in each
    np.testing.assert_array_equal(table["p"], table["p_donors"])
    mo.tl.rank_units(groups, "late", groups=["late"], reference="early", donor_key="paired")
    of_units = mo.get.rank_units(groups).set_index("unit")["p"]
    by_unit = mo.get.impact_table(groups, result="result", by_unit=True)
    for unit, p in by_unit.groupby("unit")["p_donors"]:
        np.testing.assert_allclose(p, of_units[unit], rtol=1e-4)  # the same test, whatever the set
    assert units.shape[1] == len(of_units)


@pytest.mark.parametrize("null", ["cells", "matched", "matched+cells"])
def test_too_few_permutations_are_said(groups, gene_sets, null):
    with pytest.warns(
        UserWarning, match=r"n_permutations=18 is too few: no p can be below 0.053, so that no q .* 1000 or more"
    ):
        run(groups, gene_sets, null=null, n_permutations=18)
    run(groups, gene_sets, null=null, n_permutations=19)


def test_so_few_cells_that_no_permutation_could_tell_are_said(groups, gene_sets):
    """Two against two can be dealt in six ways, two against seven in 36."""
    for n, said in ((4, True), (9, False)):
        few = groups[:n].copy()
        few.obs["side"] = ["one", "one", *["other"] * (n - 2)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(few, gene_sets, null="cells", min_cells=2)
        messages = [str(one.message) for one in caught if "few ways" in str(one.message)]
        assert bool(messages) == said
        assert all("no p can be below 0.17, so that no q reaches 0.05" in message for message in messages)


@BOTH
def test_donors_are_replicates(groups, gene_sets, difference):
    table = run(
        groups, gene_sets, groupby="late", donor_key="donor", null="cells", explanation={"difference": difference}
    )
    assert table["p_exact"].min() >= 0.1 - 1e-6  # 3 against 3: 20 ways, two of them as extreme
    assert "p_cells" not in table
    for by_unit in (False, True):
        table = mo.get.impact_table(groups, result="result", by_unit=by_unit)
        assert (table["effect_lowest"] <= table["effect"] + 1e-7).all()
        assert (table["effect_highest"] >= table["effect"] - 1e-7).all()


def test_a_mistake_about_donors_costs_no_reading_of_the_cells(groups, gene_sets, monkeypatch):
    """Hours, with many cells; and with many groups the message has to say which."""
    monkeypatch.setattr(
        "modulae.tl._pathway_impact.pathway_impact.read_cells", lambda *_, **__: pytest.fail("read the cells")
    )
    groups.obs["three"] = np.where(groups.obs["donor"] == "d0", "lone", groups.obs["late"])
    with pytest.raises(ValueError, match=r"group 'lone': .*leave the group out: groups="):
        run(groups, gene_sets, groupby="three", donor_key="donor")


def test_each_group_is_compared_once_however_often_it_is_named(groups, gene_sets):
    """A group that is tested twice would count twice in q."""
    once = run(groups, gene_sets, groups=["one"])
    twice = run(groups, gene_sets, groups=["one", "one"])
    assert list(twice["group"]) == ["one"] * 3
    np.testing.assert_array_equal(twice["q"], once["q"])


def test_a_single_cell_has_no_standard_error(groups, gene_sets):
    groups.obs["alone"] = ["one"] + ["other"] * 89
    table = run(groups, gene_sets, groupby="alone", min_cells=1)
    assert table["se"].isna().all()
    assert table[["effect", "p", "q"]].notna().all(axis=None)


def test_groups_that_are_numbers_can_be_named_as_numbers(groups, gene_sets):
    groups.obs["cluster"] = np.arange(90) % 3
    table = run(groups, gene_sets, groupby="cluster", groups=[np.int64(2)], reference=0)
    assert (set(table["group"]), set(table["reference"])) == ({"2"}, {"0"})


def test_labels_stay_within_strata(groups, gene_sets):
    plain = run(groups, gene_sets, groupby="late", null="cells", n_permutations=200)["p"]
    within = run(groups, gene_sets, groupby="late", null="cells", n_permutations=200, stratify_by="batch")["p"]
    np.testing.assert_allclose(plain, within, atol=0.2)  # the batches hold both groups alike
    with pytest.warns(UserWarning, match=r"no category of stratify_by= has cells of both sides for first, second") as w:
        confounded = run(groups, gene_sets, groupby="batch", null="cells", stratify_by="batch")["p_cells"]
    assert [warning.filename for warning in w] == [__file__]
    np.testing.assert_array_equal(confounded, 1)  # nothing can be permuted


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_statistics_survive_a_file(groups, gene_sets, tmp_path):
    import anndata as ad

    table = run(groups, gene_sets)
    groups.write_h5ad(tmp_path / "a.h5ad")
    groups.write_zarr(tmp_path / "a.zarr")
    for again in (ad.read_h5ad(tmp_path / "a.h5ad"), ad.read_zarr(tmp_path / "a.zarr")):
        found = mo.get.impact_table(again, result="result")
        np.testing.assert_array_equal(found["p"], table["p"])
        assert list(found) == list(table)  # HDF5 keeps names in the order of the alphabet
        assert list(found["direction"]) == list(table["direction"])


MISTAKES = {
    "null": ({"null": "genes"}, ValueError, r"null is 'genes'; choose one of \['matched\+cells'"),
    "permutations": ({"n_permutations": 0}, ValueError, "n_permutations is 0; give a whole number"),
    "strata": (
        {"stratify_by": "nothing"},
        KeyError,
        "stratify_by='nothing' is not a column of adata.obs. Choose one of",
    ),
    "donor": ({"donor_key": "nothing"}, KeyError, "donor_key='nothing' is not a column"),
    "both": ({"donor_key": "donor", "stratify_by": "batch"}, ValueError, "Give one of them"),
    "one donor": (
        {"donor_key": "late", "groupby": "late"},
        ValueError,
        "group 'early': there are 1 and 1 donors; a side needs 2, so",
    ),
    "untested donors": ({"donor_key": "donor", "groupby": None}, ValueError, "donor_key= says how .* groupby="),
    "untested strata": ({"stratify_by": "batch", "null": None}, ValueError, "stratify_by= says how .* a null"),
    "untested median": (
        {"donor_key": "donor", "explanation": {"aggregate": "median"}},
        ValueError,
        "donor_key= .* mean over genes",
    ),
    "genes only": ({"stratify_by": "batch", "null": "matched"}, ValueError, "null='matched' exchanges genes only"),
    "cells as donors": ({"donor_key": "cell"}, ValueError, "has 90 values for 90 cells, so donor_key= would group"),
    "cells as strata": ({"stratify_by": "cell"}, ValueError, "has 90 values for 90 cells, so stratify_by= would"),
    "groups of nothing": ({"groupby": None, "groups": ["one"]}, ValueError, "groups= and reference= choose.*groupby="),
    "reference of nothing": ({"groupby": None, "reference": "one"}, ValueError, "groups= and reference= choose"),
    "no groups": ({"groups": []}, ValueError, r"groups is empty.*Choose from \['one', 'other'\]"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_write_nothing(groups, gene_sets, name):
    settings, error, message = MISTAKES[name]
    before = set(groups.uns)
    with pytest.raises(error, match=message):
        run(groups, gene_sets, **settings)
    assert set(groups.uns) == before


def test_groups_of_a_few_cells_are_left_out_and_named(groups, gene_sets):
    groups.obs["kind"] = np.array(["a", "b", "few"])[np.where(np.arange(90) < 3, 2, np.arange(90) % 2)]
    said = r"left out, as a side is too small \(min_cells=10\): 'few' \(3 and 87 cells\)\. To compare them"
    with pytest.warns(UserWarning, match=said):
        table = run(groups, gene_sets, groupby="kind")
    assert sorted(table["group"].unique()) == ["a", "b"]
    entry = groups.uns["result"]
    assert (entry["min_cells"], entry["groups_left_out"].tolist()) == (10, ["'few' (3 and 87 cells)"])
    assert len(entry["n_cells"]) == len(entry["impact"]) == 2
    every = run(groups, gene_sets, groupby="kind", min_cells=3)  # a warning would be an error
    assert sorted(every["group"].unique()) == ["a", "b", "few"]
    assert groups.uns["result"]["groups_left_out"].tolist() == []
    untested = run(groups, gene_sets, groupby="kind", null=None)  # nor is there one where nothing is tested
    assert sorted(untested["group"].unique()) == ["a", "b", "few"]
    two = run(groups, gene_sets, groupby="kind", groups=["a"], reference="b")
    kept = table[table["group"] == "a"]
    assert len(two) == len(kept)


def test_where_every_group_is_too_small_nothing_is_written(groups, gene_sets):
    before = str(groups)
    with pytest.raises(
        ValueError, match=r"fewer than min_cells=40 cells: 'one' \(30 and 60 .*lower it: min_cells=30\.$"
    ):
        run(groups, gene_sets, min_cells=40)
    with pytest.raises(ValueError, match=r"min_cells is 0; give a whole number"):
        run(groups, gene_sets, min_cells=0)
    assert str(groups) == before


def test_a_group_called_rest_has_two_meanings_and_a_line_that_mends_it(groups, gene_sets):
    groups.obs["side"] = np.where(np.arange(90) % 2 == 0, "rest", "stim")
    for compare in (run, lambda adata, _: mo.tl.rank_units(adata, "side")):
        with pytest.raises(ValueError, match=r"adata\.obs\['side'\] is itself called 'rest'.*two meanings") as caught:
            compare(groups, gene_sets)
        line = str(caught.value).split("`")[1]
        renamed = groups.copy()
        exec(line, {"adata": renamed})  # noqa: S102 (the line that the message says to run)
        compare(renamed, gene_sets)
    assert run(groups, gene_sets, reference="stim")["group"].unique().tolist() == ["rest"]
