"""The page as a file: its numbers are those of `get`, it needs nothing else, and names in it stay names."""

import base64
import hashlib
import html
import importlib.util
import json
import re

import numpy as np
import pytest

import modulae as mo
from modulae._report.units import readable
from modulae.core.statistics.group_pairs import pairs

from .conftest import NASTY, NASTY_GENE, NASTY_SET, SETTINGS, Page

LONG = "a name of the length that only an ontology has made"
QUIET = {"device": "cpu", "progress": False}


def test_adata_stays_as_it_is(cells, gene_sets, tmp_path):
    before = cells.copy()
    mo.report(cells, tmp_path / "a.html", gene_sets=gene_sets, groupby="kind", **QUIET)
    for store in ("obs", "var", "uns", "obsm", "varm", "layers", "obsp"):
        assert list(getattr(cells, store)) == list(getattr(before, store)), store
    assert (cells.X != before.X).nnz == 0
    assert cells.uns["ae"]["params"].keys() == before.uns["ae"]["params"].keys()


def test_groups_are_read_anew(cells, gene_sets, tmp_path):
    """A new clustering has the names of the old one: its cells are others."""
    again = cells.copy()
    again.obs["leiden"] = np.random.default_rng(0).permutation(["0", "1"] * 70)
    options = {"gene_sets": gene_sets, "groupby": "leiden", **QUIET}
    fresh = Page(mo.report(again, tmp_path / "a.html", **options))
    again.obs["leiden"], now = np.random.default_rng(1).permutation(["0", "1"] * 70), again.obs["leiden"]
    mo.tl.saliency(again, groupby="leiden", device="cpu")
    again.obs["leiden"] = now
    after = Page(mo.report(again, tmp_path / "b.html", **options))
    assert after.arrays.keys() == fresh.arrays.keys()
    for name, values in fresh.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], values, err_msg=name)


def test_a_column_may_have_a_slash(cells, gene_sets, tmp_path):
    again = cells.copy()
    again.obs["CD4/CD8"] = again.obs["half"].to_numpy()
    page = Page(mo.report(again, tmp_path / "a.html", gene_sets=gene_sets, groupby="CD4/CD8", **QUIET))
    assert "CD4/CD8" in page.text


def test_every_unit_that_does_something_has_a_card_in_the_order_of_get(page, results):
    table = mo.get.unit_summary(results)
    assert page.units() == list(table.index[~table["dead"]])
    cards = [attrs["id"] for tag, attrs in page.elements if tag == "li" and attrs.get("class") == "card"]
    assert cards == [f"card-{unit}" for unit in page.units()]
    for unit in page.facts["units"]:
        row = table.loc[unit["unit"]]
        assert unit["effect"] == pytest.approx(row["effect"])
        assert unit["share"] == pytest.approx(row["effect_share"])
        assert unit["name"] == row["name"]
        assert unit["genes_up"] == row["top_genes_up"].split(";")
        by_group = {group["group"]: group["difference"] for group in unit["groups"]}
        if isinstance(row["group"], str):
            assert by_group[row["group"]] == pytest.approx(row["group_difference"], rel=1e-5)
        assert unit["subtitle"] == (readable(row["set"]) if isinstance(row["set"], str) else "")


def test_units_below_the_level_have_a_card_and_nothing_on_it(halved, gene_sets, tmp_path):
    adata, *chance = halved
    del adata.uns["ae_units"]
    page = Page(mo.report(adata, tmp_path / "a.html", gene_sets=gene_sets, groupby="kind", **QUIET))
    names = {unit["unit"]: unit["name"] for unit in page.facts["units"]}
    assert set(names) == set(mo.get.unit_summary(mo.tl.unit_summary(adata, **QUIET, copy=True)).query("~dead").index)
    for unit in page.facts["units"]:
        silent = unit["unit"] in chance
        assert silent == (not unit["name"])
        for field in ("genes", "genes_up", "sets", "groups"):
            assert silent == (not unit[field]), field
        assert not (silent and (unit["subtitle"] or unit["caveats"] or unit["states"]))
        assert unit["share_text"]
        assert unit["reproducibility"]
    live = page.units()
    readers = {live[at] for name in ("gene_units", "set_units") for at in page.arrays[name]}
    assert readers == set(live) - set(chance)


def test_dead_units_are_named_and_have_no_card(cells, tmp_path):
    adata = cells.copy()
    mo.tl.unit_summary(adata, **QUIET)
    adata.uns["ae_units"]["table"]["dead"] = np.arange(6) == 4
    page = Page(mo.report(adata, tmp_path / "a.html", **QUIET))
    assert "4" not in page.units()
    assert len(page.units()) == 5
    assert "1 dead unit, without which nothing is lost, has no card: 4." in page.text


def test_genes_and_sets_of_a_unit_are_those_of_get(page, results):
    saliency, enrichment = mo.get.saliency(results), mo.get.enrichment(results)
    for unit in page.facts["units"]:
        values = saliency[unit["unit"]]
        by_size = values.abs().sort_values(ascending=False)
        ranking = mo.get.top_genes(results, unit=unit["unit"], n=25)
        assert [row["gene"] for row in unit["genes"]][: len(ranking)] == list(ranking["gene"])
        assert set(by_size.index[:25]) <= {row["gene"] for row in unit["genes"]}
        for row, loading, share in zip(unit["genes"], ranking["loading"], ranking["share"], strict=False):
            assert (row["loading"], row["share"]) == (pytest.approx(loading, rel=1e-4), pytest.approx(share, rel=1e-4))
        for row in unit["genes"]:
            assert row["saliency"] == pytest.approx(values[row["gene"]], rel=1e-5)
            assert by_size.iloc[row["place"] - 1] == pytest.approx(abs(values[row["gene"]]))
        rows = enrichment[enrichment["unit"] == unit["unit"]]
        assert [row["set"] for row in unit["sets"]] == list(rows["set"])
        for name in ("z", "q", "effect"):
            np.testing.assert_allclose([row[name] for row in unit["sets"]], rows[name], rtol=1e-5)


def test_readers_of_a_gene_and_of_a_set(page, results):
    saliency, enrichment = mo.get.saliency(results), mo.get.enrichment(results)
    live = page.units()
    n = min(8, len(live))
    readers = page.arrays["gene_units"].reshape(-1, n)
    assert page.arrays["genes"] == list(saliency.index)
    place = saliency[live].abs().rank(ascending=False, method="first")
    for at, gene in enumerate(saliency.index):
        units = [live[i] for i in readers[at]]
        assert sorted(place.loc[gene, units]) == sorted(place.loc[gene])[:n]
        np.testing.assert_allclose(
            page.arrays["gene_saliency"].reshape(-1, n)[at], saliency.loc[gene, units], rtol=1e-6
        )
    for at, name in enumerate(page.arrays["sets"]):
        rows = enrichment[enrichment["set"] == name].sort_values("p").head(n)
        assert [live[i] for i in page.arrays["set_units"].reshape(-1, n)[at]] == list(rows["unit"])
        np.testing.assert_allclose(page.arrays["set_q"].reshape(-1, n)[at], rows["q"], rtol=1e-5)


@pytest.mark.parametrize(("at", "column"), [(0, "kind"), (1, "half")])
def test_sets_between_groups_are_those_of_impact_table(page, results, gene_sets, at, column):
    groups = page.facts["columns"][at]["groups"]
    effects = page.arrays[f"pair_effects{at}"].reshape(-1, len(page.arrays["sets"]))
    for row, (group, reference) in enumerate(pairs(len(groups))):
        against = {"groups": [groups[group[0]]]}
        if len(reference) == 1:
            against["reference"] = groups[reference[0]]
        mo.tl.pathway_impact(results, gene_sets, groupby=column, null=None, key_added="pair", device="cpu", **against)
        table = mo.get.impact_table(results, result="pair").set_index("set")["effect"]
        np.testing.assert_allclose(effects[row], table[page.arrays["sets"]], rtol=1e-4, atol=1e-6)


def test_stored_p_values_come_with_their_effects(results, tmp_path):
    page = Page(mo.report(results, tmp_path / "a.html", groupby="half", **QUIET))
    table = mo.get.impact_table(results, result="ae_impact_half")
    assert [(entry["group"], entry["reference"]) for entry in page.arrays["tested0"]] == [
        ("even", "rest"),
        ("odd", "rest"),
    ]
    for entry in page.arrays["tested0"]:
        rows = table[table["group"] == entry["group"]].set_index("set").loc[page.arrays["sets"]]
        for name in ("effect", "p", "q"):
            np.testing.assert_allclose(entry[name], rows[name], rtol=1e-5)
    results.uns["ae_impact_half"]["method"] = "guided"  # other numbers than those of the page
    try:
        other = Page(mo.report(results, tmp_path / "b.html", groupby="half", **QUIET))
    finally:
        results.uns["ae_impact_half"]["method"] = "gradient"
    assert "tested0" not in other.arrays


def test_of_too_many_sets_those_with_evidence_are_compared(results, tmp_path, monkeypatch):
    monkeypatch.setattr("modulae._report.arrays.MAX_PAIR_VALUES", 7)  # three comparisons of two groups: two sets
    page = Page(mo.report(results, tmp_path / "a.html", groupby="half", **QUIET))
    kept = [page.arrays["sets"][at] for at in page.arrays["pair_sets0"]]
    evidence = mo.get.enrichment(results).groupby("set")["p"].min().nsmallest(2)
    assert sorted(kept) == sorted(evidence.index)
    table = mo.get.impact_table(results, result="ae_impact_half").set_index(["group", "set"])["effect"]
    effects = page.arrays["pair_effects0"].reshape(3, 2)
    np.testing.assert_allclose(effects[0], table.loc["even"][kept], rtol=1e-4, atol=1e-6)


def test_activity_and_labels_of_every_cell(page, cells):
    live = [int(unit) for unit in page.units()]
    codes = page.arrays["activity"].reshape(len(live), -1).astype(float)
    low, high = page.arrays["scale"].reshape(-1, 2).T
    inside = codes < 254
    back = low[:, None] + codes / 253 * (high - low)[:, None]
    error = np.abs(back - cells.obsm["X_ae"][:, live].T)
    assert (error[inside] <= np.repeat(((high - low) / 500)[:, None], codes.shape[1], axis=1)[inside]).all()
    assert inside.mean() > 0.9
    assert page.arrays["cells"] == list(cells.obs_names)
    groups = page.facts["columns"][0]["groups"]
    assert [groups[code] for code in page.arrays["codes0"]] == list(cells.obs["kind"])


def test_names_stay_names(page, cells):
    """Of all tags in the file only the template's own are elements, whatever genes, groups and sets are called."""
    handlers = [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert handlers == []
    assert [tag for tag, _ in page.elements if tag in {"img", "iframe", "object", "link"}] == []
    own = [attrs["text"] for tag, attrs in page.elements if tag == "script" and "type" not in attrs]
    policy = next(attrs["content"] for tag, attrs in page.elements if "http-equiv" in attrs)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in own]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert not any("alert(" in script for script in own)
    assert NASTY not in page.html
    assert NASTY_GENE not in page.html
    assert NASTY in page.text
    assert NASTY_SET in page.arrays["sets"]
    assert page.facts["columns"][0]["groups"].count(NASTY) == 1


def test_nothing_is_fetched_from_anywhere(page):
    policy = next(attrs["content"] for tag, attrs in page.elements if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    linked = [attrs[name] for _, attrs in page.elements for name in ("src", "href") if name in attrs]
    assert [address for address in linked if not address.startswith("#")] == []
    styles = [attrs["text"] for tag, attrs in page.elements if tag == "style"]
    assert [style for style in styles if "url(" in style or "@import" in style] == []


def test_fewer_cells_are_drawn_and_that_is_said(cells, gene_sets, tmp_path, page):
    few = Page(mo.report(cells, tmp_path / "a.html", gene_sets=gene_sets, groupby="kind", max_cells=50, **QUIET))
    assert len(few.arrays["cells"]) == 50
    assert len(few.arrays["activity"]) == 50 * len(few.units())
    assert "50 of 140 cells" in few.text
    assert "cells drawn" not in page.text
    at = [list(cells.obs_names).index(name) for name in few.arrays["cells"]]
    groups = few.facts["columns"][0]["groups"]
    assert [groups[code] for code in few.arrays["codes0"]] == list(cells.obs["kind"].iloc[at])
    np.testing.assert_array_equal(few.arrays["mean0"], page.arrays["mean0"])  # over all cells


def test_what_is_there_is_not_run_again(results, tmp_path, monkeypatch):
    from modulae import tl

    def refuse(*_, **__):
        raise AssertionError

    for name in ("unit_summary", "enrich_units"):
        monkeypatch.setattr(tl, name, refuse)
    sets = {str(name): [] for name in results.uns["ae_enrichment"]["sets"]}
    page = Page(mo.report(results, tmp_path / "a.html", groupby="kind", **QUIET))
    assert page.arrays["sets"] == list(sets)
    assert "Worked out for this page" not in page.text


def test_without_sets_or_groups_units_are_named_by_genes(cells, tmp_path):
    page = Page(mo.report(cells, tmp_path / "a.html", **QUIET))
    assert "tl.unit_summary, tl.saliency" in page.text
    for unit in page.facts["units"]:
        assert unit["name"].split(", ")[0] in (*unit["genes_up"][:1], *unit["genes_down"][:1])
    assert page.facts["columns"] == []
    assert "compare" not in [attrs.get("id") for _, attrs in page.elements]


def test_verdict_of_sanity_and_stability_are_shown(cells, gene_sets, tmp_path):
    adata = cells.copy()
    many = {f"{name} {i}": genes for name, genes in gene_sets.items() for i in range(2)}
    with pytest.warns(UserWarning, match="no better than a control"):
        mo.tl.sanity(adata, many, n_seeds=1, n_draws=2, max_epochs=1, **QUIET)
    page = Page(mo.report(adata, tmp_path / "a.html", **QUIET))
    for words in mo.get.sanity(adata)["words"]:
        assert re.sub(r"\s+", " ", words) in page.text
    activity = mo.get.sanity(adata, table="units")["activity"]
    for unit in page.facts["units"]:
        assert unit["stability"]["value"] == pytest.approx(activity[unit["unit"]])


def cards(page, inside):
    """Units with a card in this list, which ends where the next list of cards begins."""
    start = next(at for at, (_, attrs) in enumerate(page.elements) if attrs.get("id") == inside)
    ids = []
    for tag, attrs in page.elements[start + 1 :]:
        if tag == "ol":
            break
        if tag == "li" and attrs.get("class") == "card":
            ids.append(attrs["id"].removeprefix("card-"))
    return ids


def test_units_that_may_be_chance_come_last_under_their_own_heading(halved, tmp_path):
    adata, *chance = halved
    page = Page(mo.report(adata, tmp_path / "a.html", **QUIET))
    order = list(mo.get.unit_summary(adata).index)
    sure = [unit for unit in order if unit not in chance]
    assert cards(page, "cards") == sure
    assert cards(page, "chance-cards") == [unit for unit in order if unit in chance]
    assert page.units() == sure + cards(page, "chance-cards")
    assert "These may be chance" in page.text
    table = mo.get.replication(adata)
    for unit in page.facts["units"]:
        known = unit["reproducibility"]
        assert known["value"] == pytest.approx(table["reproducibility"][unit["unit"]], rel=1e-5)
        assert known["sure"] == (unit["unit"] not in chance)
    live = [int(unit) for unit in page.units()]
    scale = page.arrays["scale"].reshape(-1, 2)[:, 1]
    np.testing.assert_allclose(scale, np.percentile(adata.obsm["X_ae"], 99, axis=0)[live], rtol=0.05)
    assert page.facts["reproducibility"] == "reproducibility"


def test_reproducibility_is_the_first_badge(halved, tmp_path):
    adata = halved[0]
    adata.uns["ae_units"]["table"]["stability"] = np.full(6, 0.95)
    page = Page(mo.report(adata, tmp_path / "a.html", **QUIET))
    first = re.findall(r'<p class="chips">\s*<span class="chip ([a-z]+)" title="([^"]*)">([^<]*)</span>', page.html)
    expected = mo.get.replication(adata).loc[page.units()]
    assert [text for *_, text in first] == [f"reproducibility {value:.2f}" for value in expected["reproducibility"]]
    assert [look == "good" for look, *_ in first] == expected["replicates"].tolist()
    assert {means.startswith("Probability that a model of as many new cells") for _, means, _ in first} == {True}


def test_a_model_that_was_trained_once_has_neither_badge_nor_heading(page):
    assert "chance" not in {attrs.get("id") for _, attrs in page.elements}
    assert {unit["reproducibility"] for unit in page.facts["units"]} == {None}
    assert page.facts["reproducibility"] == ""
    assert "Not known for this model" in page.text


def test_parts_have_loadings(cells, tmp_path):
    adata = cells.copy()
    mo.tl.autoencoder(adata, key_added="parts", **SETTINGS)
    page = Page(mo.report(adata, tmp_path / "a.html", key="parts", **QUIET))
    assert "mo.get.unit_summary(adata, key=&#39;parts&#39;)" in (tmp_path / "a.html").read_text(encoding="utf-8")
    loadings = mo.get.loadings(adata, key="parts")
    unit = page.facts["units"][0]
    for row in unit["genes"]:
        assert row["loading"] == pytest.approx(loadings.loc[row["gene"], unit["unit"]], rel=1e-5)


def test_layout_is_the_one_asked_for_or_the_first_there_is(cells, tmp_path):
    adata = cells.copy()
    adata.obsm["X_mine"] = adata.obsm["X_umap"][:, ::-1].copy()
    first = Page(mo.report(adata, tmp_path / "a.html", **QUIET))
    mine = Page(mo.report(adata, tmp_path / "b.html", basis="X_mine", **QUIET))
    assert 'adata.obsm["X_umap"]' in first.text
    assert 'adata.obsm["X_mine"]' in mine.text
    np.testing.assert_array_equal(first.arrays["layout"].reshape(-1, 2)[:, ::-1], mine.arrays["layout"].reshape(-1, 2))
    del adata.obsm["X_umap"], adata.obsm["X_mine"]
    new = Page(mo.report(adata, tmp_path / "c.html", **QUIET))
    assert 'adata.obsm["X_ae_umap"]' in new.text


def test_a_file_on_disk_and_a_layer_give_the_same_page(cells, gene_sets, tmp_path, page, monkeypatch):
    import anndata as ad

    def loaded(_matrix):
        pytest.fail("all counts of the file were read into memory")

    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    monkeypatch.setattr(type(backed.X), "to_memory", loaded)
    of_disk = Page(mo.report(backed, tmp_path / "a.html", gene_sets=gene_sets, groupby=["kind", "half"], **QUIET))
    layered = cells.copy()
    layered.layers["counts"], layered.X = layered.X, None
    of_layer = Page(
        mo.report(layered, tmp_path / "b.html", gene_sets=gene_sets, groupby=["kind", "half"], layer="counts", **QUIET)
    )
    backed.file.close()
    for other in (of_disk, of_layer):
        assert other.of_id("arrays") == page.of_id("arrays")
        assert other.facts["units"] == page.facts["units"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"key": "other"}, KeyError, "Trained models here"),
        ({"groupby": "nothing"}, KeyError, "Choose one of"),
        ({"groupby": ["kind", "barcode"]}, ValueError, "140 groups with cells; the page shows 1 to 100"),
        ({"basis": "X_nothing"}, KeyError, "Choose one of"),
        ({"layer": "nothing"}, KeyError, "there is no layer"),
        ({"max_cells": 0}, ValueError, "whole number of at least 1"),
        ({"gene_sets": {"a": ["nothing"]}}, ValueError, "gene sets"),
        ({"gene_sets": "nowhere.gmt"}, FileNotFoundError, "nowhere.gmt"),
    ],
)
def test_bad_input_is_refused_before_the_work(cells, tmp_path, settings, error, message, monkeypatch):
    from modulae import tl

    adata = cells.copy()
    adata.obs["barcode"] = adata.obs_names.to_numpy()
    monkeypatch.setattr(tl, "unit_summary", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(error, match=re.escape(message)):
        mo.report(adata, tmp_path / "a.html", **{**QUIET, **settings})
    assert not (tmp_path / "a.html").exists()


def test_a_place_that_cannot_be_written(cells, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="Give the path of a file in a folder that exists"):
        mo.report(cells, tmp_path / "no" / "a.html")
    with pytest.raises(FileNotFoundError, match="can't be written"):
        mo.report(cells, tmp_path)
    monkeypatch.setattr("modulae.tl.unit_summary", lambda *_, **__: pytest.fail("work was done"))
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(OSError(30, "Read-only file system"))
    )
    with pytest.raises(PermissionError, match=r"\(Read-only file system\)\. Give the path of a file in another folder"):
        mo.report(cells, tmp_path / "a.html", **QUIET)


def test_an_old_page_stays_until_the_new_one_is_whole(cells, tmp_path, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("old")
    before = path.stat().st_mode
    mo.report(cells, path, **QUIET)
    assert path.stat().st_mode == before  # as other files: colleagues may open it
    whole = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="full"):
        mo.report(cells, path, **QUIET)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_stands_on_the_map_where_most_of_its_group_is(cells, tmp_path):
    """A cloud of 70 cells about the corner of four squares, and 30 cells on one spot: no square holds most."""
    adata = cells.copy()
    group = np.arange(140) < 100
    adata.obs["kind"] = np.where(group, LONG, "other")
    layout = np.random.default_rng(0).uniform([0.8, 0], [1, 0.2], size=(140, 2))
    layout[:70] = 0.48 + np.random.default_rng(1).uniform(-0.04, 0.04, size=(70, 2))
    layout[70:100] = [0.1, 0.9]
    layout[[138, 139]] = [[0, 0], [1, 1]]
    adata.obsm["X_mine"] = layout
    page = Page(mo.report(adata, tmp_path / "a.html", groupby="kind", basis="X_mine", **QUIET))
    column = page.facts["columns"][0]
    assert column["groups"][0] == LONG
    assert column["names"] == ["a name of the len…y has made", "other"]
    np.testing.assert_allclose(column["labels"][0], 0.48, atol=0.03)


def test_of_one_map_it_is_not_said_that_two_move(cells, page, tmp_path):
    assert "two maps move together" in page.text
    assert "two maps move together" not in Page(mo.report(cells, tmp_path / "a.html", **QUIET)).text


def test_without_bokeh_it_says_what_to_install(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "modulae._report.report.find_spec", lambda name: None if name == "bokeh" else importlib.util.find_spec(name)
    )
    with pytest.raises(ImportError, match=r"needs bokeh, not installed here. Run `pip install 'modulae\[report\]'`"):
        mo.report(cells, tmp_path / "a.html")


def test_cells_without_a_place_are_left_out_of_the_maps_and_counted(cells, tmp_path):
    """All numbers stay those of all cells; a group of which no cell has a place is named nowhere."""
    adata = cells.copy()
    lost = np.zeros(140, dtype=bool)
    lost[[0, 7, 20]] = True
    adata.obsm["X_umap"][lost] = np.nan
    adata.obsm["X_umap"][9, 1] = np.inf
    lost[9] = True
    adata.obs["sample"] = np.where(lost, "gone", "here")
    page = Page(mo.report(adata, tmp_path / "a.html", groupby="sample", **QUIET))
    assert "4 of 140 cells have no place in this layout" in page.text
    arrays = page.unpacked()
    assert arrays["cells"] == list(adata.obs_names[~lost])
    np.testing.assert_array_equal(arrays["codes0"], 1)
    (column,) = page.facts["columns"]
    assert column["groups"] == ["gone", "here"]
    assert column["n_cells"] == [4, 136]
    assert column["labels"][0] == [-1, -1]
    assert all(0 < at < 1 for at in column["labels"][1])
    adata.obsm["X_umap"][:] = np.nan
    with pytest.raises(ValueError, match=r"no cell has a place in adata.obsm\['X_umap'\].*basis="):
        mo.report(adata, tmp_path / "b.html", **QUIET)
    assert not (tmp_path / "b.html").exists()


def test_the_first_screen_lists_the_findings(halved, gene_sets, tmp_path):
    """Their names, where each is most active, and how surely it would be found again; none that may be chance."""
    adata, *chance = halved
    del adata.uns["ae_units"]
    page = Page(mo.report(adata, tmp_path / "a.html", gene_sets=gene_sets, groupby="kind", **QUIET))
    listed = page.html[page.html.index('<table class="found">') : page.html.index("</table>")]
    rows = [re.sub(r"<[^>]*>", "|", row) for row in re.findall(r"<tr>(.*?)</tr>", listed, flags=re.S)[1:]]
    table = mo.get.replication(adata)
    shown = [[html.unescape(cell) for cell in row.split("|") if cell.strip()] for row in rows]
    findings = [unit for unit in page.facts["units"] if unit["unit"] not in chance]
    assert [row[0] for row in shown] == [unit["unit"] for unit in findings]
    for row, unit in zip(shown, findings, strict=True):
        assert row[1] == unit["name"]
        assert row[2:-1] == [group["group"] for group in unit["groups"][:1]]
        assert row[-1] == f"{table['reproducibility'][unit['unit']]:.2f}"
    assert f"{len(findings)} programmes in 140 cells" in page.text
    assert f"{len(page.facts['units']) - len(findings)} more may be chance" in page.text


def test_a_group_of_a_handful_of_cells_has_no_name_on_the_map(cells, tmp_path):
    """9 cells are too few to say where a programme is active, 10 are enough."""
    adata = cells.copy()
    adata.obs["sample"] = np.repeat(["few", "ten", "many"], [9, 10, 121])
    page = Page(mo.report(adata, tmp_path / "a.html", groupby="sample", **QUIET))
    (column,) = page.facts["columns"]
    named = [group for group, (x, _) in zip(column["groups"], column["labels"], strict=True) if x >= 0]
    assert named == [group for group in column["groups"] if group != "few"]
    start = page.html.index('<select id="in-group">')
    options = page.html[start : page.html.index("</select>", start)]
    assert re.findall(r">([a-z]+)</option>", options) == named


def test_a_group_may_be_called_rest(cells, tmp_path):
    cells.obs["side"] = np.where(np.arange(cells.n_obs) % 2 == 0, "rest", "stim")
    page = Page(mo.report(cells, tmp_path / "a.html", groupby="side", **QUIET))
    assert "rest" in json.dumps(page.facts)
    assert {"rest", "stim"} <= set(page.facts["columns"][0]["groups"])
