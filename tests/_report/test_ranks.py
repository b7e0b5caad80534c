"""Stored comparisons of units on the page: the numbers of `get.rank_units`, where they were made."""

import re

import numpy as np
import pytest

import modulae as mo
from modulae._report import arrays, ranks

from .conftest import Page

QUIET = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def ranked(cells):
    adata = cells.copy()
    mo.tl.unit_summary(adata, groupby="kind", **QUIET)
    mo.tl.saliency(adata, device="cpu")
    mo.tl.rank_units(adata, "half", reference="even", within="kind", min_cells=5)
    return adata


@pytest.fixture(scope="module")
def ranked_page(ranked, tmp_path_factory):
    return Page(mo.report(ranked, tmp_path_factory.mktemp("ranks") / "x.html", **QUIET))


def test_columns_of_stored_comparisons_are_shown_where_none_are_named(ranked_page, page):
    assert [column["name"] for column in ranked_page.facts["columns"]] == ["kind", "half"]
    assert [one["name"] for one in ranked_page.facts["rankings"]] == ["ae_rank_half"]
    assert "Which programmes differ, and where" in ranked_page.text
    assert page.facts["rankings"] == []
    assert "Which programmes differ, and where" not in page.text


def test_numbers_are_those_of_get(ranked, ranked_page):
    table = mo.get.rank_units(ranked).set_index(["within", "unit"])
    (fact,) = ranked_page.facts["rankings"]
    units = ranked_page.units()
    assert {one["category"] for one in fact["comparisons"]} == set(table.index.get_level_values("within"))
    for row, one in enumerate(fact["comparisons"]):
        expected = table.loc[one["category"]].loc[units]
        assert (one["group"], one["reference"]) == ("odd", "even")
        assert one["n_cells"] == expected["n_cells"].iloc[0]
        for name in ("effect", "p", "q"):
            found = ranked_page.arrays[f"rank_{name}0"].reshape(-1, len(units))[row]
            np.testing.assert_allclose(found, expected[name], rtol=1e-6)


def test_groups_within_groups_have_the_moments_of_their_cells(ranked, ranked_page):
    kind, half = ranked_page.facts["columns"]
    units = [int(unit) for unit in ranked_page.units()]
    activity = ranked.obsm["X_ae"][:, units].astype(np.float64)
    parts = ranked_page.arrays["crossed0_1"]
    assert sum(n for _, _, n in parts) == ranked.n_obs
    means, variances = (ranked_page.arrays[f"{name}0_1"].reshape(len(parts), -1) for name in ("mean", "variance"))
    for (first, second, n), mean, variance in zip(parts, means, variances, strict=True):
        cells = (ranked.obs["kind"] == kind["groups"][first]) & (ranked.obs["half"] == half["groups"][second])
        assert cells.sum() == n
        np.testing.assert_allclose(mean, activity[cells].mean(axis=0))
        np.testing.assert_allclose(variance, activity[cells].var(axis=0))


def test_of_too_many_comparisons_the_surest_are_shown(ranked, monkeypatch):
    monkeypatch.setattr(ranks, "MAX_COMPARISONS", 1)
    (shown,) = ranks.read_rankings(ranked, "ae", 6)
    table = mo.get.rank_units(ranked)
    surest = set(table.loc[table["q"] == table["q"].min(), "within"])
    assert [one["category"] in surest for one in shown.comparisons] == [True]
    assert shown.n_left_out == table["within"].nunique() - 1


def test_of_columns_with_too_many_groups_none_are_crossed(ranked, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "MAX_PARTS", 3)
    page = Page(mo.report(ranked, tmp_path / "x.html", **QUIET))
    assert not [name for name in page.arrays if name.startswith("crossed")]


def test_the_share_of_cells_on_is_on_the_page_where_it_is_known(ranked, ranked_page, tmp_path):
    assert not [name for name in ranked_page.arrays if re.fullmatch(r"on\d", name)]
    adata = ranked.copy()
    rng = np.random.default_rng(4)
    known = rng.random(adata.obsm["X_ae"].shape) < 0.8
    known[:, 1] = np.arange(adata.n_obs) % 7 == 0
    on = (rng.random(known.shape) < 0.4) & known
    adata.obsm["ae_on"], adata.obsm["ae_on_callable"] = on, known
    adata.uns["ae_on"] = {"of_model": "ae", "threshold": np.ones(6), "level_on": np.ones(6)}
    page = Page(mo.report(adata, tmp_path / "x.html", **QUIET))
    units = [int(unit) for unit in page.units()]
    assert 1 in units
    for at, column in enumerate(page.facts["columns"]):
        found = page.arrays[f"on{at}"].reshape(len(column["groups"]), -1)
        for group, shares in zip(column["groups"], found, strict=True):
            cells = (adata.obs[column["name"]].astype(str) == group).to_numpy()
            for unit, share in zip(units, shares, strict=True):
                decided = cells & known[:, unit]
                enough = decided.sum() >= cells.sum() / 2
                np.testing.assert_allclose(share, on[decided, unit].mean() if enough else np.nan, rtol=1e-5)


def test_every_comparison_says_its_smallest_q(ranked, ranked_page):
    smallest = mo.get.rank_units(ranked).groupby("within")["q"].min()
    (fact,) = ranked_page.facts["rankings"]
    for one in fact["comparisons"]:
        assert one["q"] == pytest.approx(smallest[one["category"]])
