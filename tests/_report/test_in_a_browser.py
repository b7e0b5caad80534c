"""The page in Chromium: what it shows is what `get` says, it answers, and it loads nothing."""

import re

import numpy as np
import pandas as pd
import pytest

import modulae as mo

from .conftest import NASTY, NASTY_SET

pytestmark = pytest.mark.browser

QUIET = {"device": "cpu", "progress": False}
ONCE = {"n_splits": 0, "max_epochs": 4}


def pbmc68k(_):
    adata, sets = mo.datasets.pbmc68k(), mo.datasets.immune_signatures()
    mo.tl.autoencoder(adata, **ONCE, **QUIET)
    return adata, sets, ["bulk_labels"]


def kang(request):
    import anndata as ad

    folder = request.getfixturevalue("data_dir")
    adata, sets = (
        ad.read_h5ad(folder / "kang_ifnb_sub2000.h5ad"),
        mo.read_gene_sets(folder / "hallmark_human_v2025.gmt"),
    )
    mo.pp.gene_set_mask(adata, sets)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", **ONCE, **QUIET)
    centred = adata.obsm["X_ae"] - adata.obsm["X_ae"].mean(axis=0)
    adata.obsm["X_umap"] = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T  # PCA, which takes no time
    return adata, sets, ["seurat_annotations", "stim"]


@pytest.fixture(scope="session", params=[pbmc68k, pytest.param(kang, marks=pytest.mark.slow)], ids=["pbmc68k", "kang"])
def real(request, tmp_path_factory):
    adata, sets, groupby = request.param(request)
    mo.tl.enrich_units(adata, sets, n_permutations=50, **QUIET)
    mo.tl.unit_summary(adata, groupby=groupby[0], **QUIET)
    mo.tl.saliency(adata, device="cpu")
    path = mo.report(adata, tmp_path_factory.mktemp("real") / "modules.html", groupby=groupby, **QUIET)
    return adata, sets, groupby, path


def live_units(adata):
    return list(mo.get.unit_summary(adata).query("~dead").index)


def number(text):
    return float(re.sub("[^0-9.e+-]", "", text.replace("−", "-")))


def rows_of(table):
    return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in table.locator("tbody tr").all()]


def test_opens_with_every_map_drawn(real, visit):
    adata, _, groupby, path = real
    page = visit(path)
    live = mo.get.unit_summary(adata).query("~dead")
    assert page.locator(".card").count() == len(live)
    assert page.locator(".card .number").all_inner_texts() == list(live.index)
    colours = page.evaluate(
        """() => [...document.querySelectorAll(".thumbnail, #overview")].map((canvas) => new Set(new Uint32Array(
        canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size)"""
    )
    assert len(colours) == len(live) + 1
    assert min(colours) > 5
    legend = page.locator("#legend li").all_inner_texts()
    counts = adata.obs[groupby[0]].value_counts(sort=False)
    assert legend == [f"{name} ({n})" for name, n in counts[counts > 0].items()]


def test_finds_the_units_that_read_a_gene(real, visit):
    adata, _, _, path = real
    page = visit(path)
    saliency = mo.get.saliency(adata).dropna()[live_units(adata)]
    gene = saliency.abs().sum(axis=1).idxmax()
    page.get_by_role("combobox", name=re.compile("Find a gene")).fill(gene)
    page.keyboard.press("Enter")
    rows = rows_of(page.locator("#found"))
    units = [row[0].split(":")[0] for row in rows]
    np.testing.assert_allclose([number(row[1]) for row in rows], saliency.loc[gene, units], rtol=0.006)
    place = saliency.abs().rank(ascending=False)
    assert [int(row[2]) for row in rows] == [int(place.loc[gene, unit]) for unit in units]
    assert min(place.loc[gene]) == int(rows[0][2])
    assert page.locator(".card:not([hidden]) .number").all_inner_texts() == units
    page.get_by_role("button", name="Show all programmes again").click()
    assert page.locator(".card:not([hidden])").count() == page.locator(".card").count()


def test_finds_the_units_that_read_a_set(real, visit):
    adata, _, _, path = real
    page = visit(path)
    table = mo.get.enrichment(adata)
    name = table.loc[table["p"].idxmin(), "set"]
    page.get_by_role("combobox", name=re.compile("Find a gene")).fill(name.lower())
    page.keyboard.press("Enter")
    rows = rows_of(page.locator("#found"))
    expected = table[(table["set"] == name) & table["unit"].isin(live_units(adata))].sort_values("p").head(8)
    expected = expected.set_index("unit")
    assert [row[0].split(":")[0] for row in rows] == list(expected.index)
    for column, statistic in ((1, "z"), (2, "q"), (3, "effect")):
        np.testing.assert_allclose([number(row[column]) for row in rows], expected[statistic], rtol=0.06)


def test_two_groups_differ_as_get_says(real, visit):
    adata, sets, groupby, path = real
    page = visit(path)
    column = groupby[-1]
    groups = [str(group) for group in adata.obs[column].astype("category").cat.categories][:2]
    page.get_by_label("Column").select_option(label=column)
    for a, b in (groups, groups[::-1]):
        page.locator("#group-a").select_option(label=_label(page, "#group-a", a))
        page.locator("#group-b").select_option(label=_label(page, "#group-b", b))
        more = page.locator("#differences").get_by_role("button", name=re.compile("^All "))
        while more.count():  # one that is clicked then offers the first rows again
            more.first.click()
        units, found = (rows_of(page.locator("#differences table").nth(at)) for at in (0, 1))
        activity = mo.get.representation(adata)
        labels = adata.obs[column].astype(str).to_numpy()
        both = activity[np.isin(labels, [a, b])]
        expected = (activity[labels == a].mean() - activity[labels == b].mean()) / both.std(ddof=0)
        shown = {row[0].split(":")[0]: number(row[1]) for row in units}
        np.testing.assert_allclose([shown[unit] for unit in shown], expected[list(shown)], atol=0.01, rtol=0.01)
        mo.tl.pathway_impact(adata, sets, groupby=column, groups=[a], reference=b, null=None, key_added="two")
        effects = mo.get.impact_table(adata, result="two").set_index("set")["effect"]
        labels_of = {mo._report.units.readable(name): name for name in effects.index}
        assert len(found) >= 10
        for row in found:
            assert number(row[1]) == pytest.approx(effects[labels_of[row[0]]], rel=0.01, abs=1e-4)
    assert "no p-values" in page.locator("#differences").inner_text()


@pytest.fixture(scope="session")
def ranked(results, tmp_path_factory):
    """Halves with more and less of a unit, compared within each kind."""
    adata = results.copy()
    of_unit = pd.Series(adata.obsm["X_ae"][:, int(live_units(adata)[0])], index=adata.obs_names)
    odd = of_unit > of_unit.groupby(adata.obs["kind"], observed=True).transform("median")
    adata.obs["half"] = pd.Categorical(np.where(odd, "odd", "even"))
    mo.tl.rank_units(adata, "half", reference="even", within="kind", min_cells=5)
    return adata, mo.report(
        adata, tmp_path_factory.mktemp("ranked") / "modules.html", groupby=["kind", "half"], **QUIET
    )


def test_groups_within_a_group_have_the_p_values_of_rank_units(ranked, visit):
    adata, path = ranked
    page = visit(path)
    page.get_by_label("Column").select_option(label="half")
    table = mo.get.rank_units(adata)
    where = table["within"].iloc[-1]
    page.locator("#within").select_option(label=where)
    expected = table[table["within"] == where].set_index("unit")
    for a, b, sign in (("odd", "even", 1), ("even", "odd", -1)):
        page.locator("#group-a").select_option(label=_label(page, "#group-a", a))
        page.locator("#group-b").select_option(label=_label(page, "#group-b", b))
        rows = {row[0].split(":")[0]: row for row in rows_of(page.locator("#differences table").first)}
        assert set(rows) == set(live_units(adata))
        for unit, row in rows.items():
            of_unit = expected.loc[unit, ["effect", "p", "q"]].astype(float)
            assert number(row[1]) == pytest.approx(sign * of_unit["effect"], rel=0.01)
            assert [number(cell) for cell in row[4:]] == pytest.approx(list(of_unit[["p", "q"]]), rel=0.06)
    assert "all cells" in page.locator("#differences .hint").inner_text()


def test_it_opens_on_the_tested_comparison_with_the_smallest_q(ranked, visit):
    """Not on the first column, nor on all cells, both of which are untested."""
    adata, path = ranked
    page = visit(path)
    table = mo.get.rank_units(adata)
    best = table.loc[table["q"] == table["q"].min(), "within"]
    said = page.locator("#differences caption").first.inner_text()
    assert said in {f"Programmes: odd against even, within {where}" for where in best}
    where = said.removeprefix("Programmes: odd against even, within ")
    expected = table[table["within"] == where].set_index("unit")
    rows = rows_of(page.locator("#differences table").first)
    p = expected.loc[[row[0].split(":")[0] for row in rows], "p"].to_numpy()
    assert (np.diff(p) >= 0).all()
    page.get_by_label("Column").select_option(label="kind")  # nothing is tested there
    assert "no p-values" in page.locator("#differences").inner_text()
    page.get_by_label("Column").select_option(label="half")
    assert page.locator("#differences caption").first.inner_text() == said


def test_the_page_of_a_unit_says_in_what_share_of_each_group_it_is_on(results, visit, tmp_path):
    adata = results.copy()
    shape = adata.obsm["X_ae"].shape
    known = np.random.default_rng(4).random(shape) < 0.9
    known[adata.obs["kind"] == "group_1"] = False
    on = known & (adata.obsm["X_ae"] > np.median(adata.obsm["X_ae"], axis=0))
    adata.obsm["ae_on"], adata.obsm["ae_on_callable"] = on, known
    adata.uns["ae_on"] = {"of_model": "ae", "threshold": np.ones(shape[1]), "level_on": np.ones(shape[1])}
    page = visit(mo.report(adata, tmp_path / "on.html", groupby="kind", **QUIET))
    unit = live_units(adata)[0]
    page.locator(f"#card-{unit} .open").click()
    shown = page.locator("#unit-tables table", has_text="Where it is active")
    rows = {row[0]: row[-1] for row in rows_of(shown)}
    assert rows.pop("group_1") == "–"
    for group, text in rows.items():
        decided = (adata.obs["kind"] == group).to_numpy() & known[:, int(unit)]
        assert number(text) == pytest.approx(100 * on[decided, int(unit)].mean(), abs=0.51)
    assert len(rows) == 3


def test_groups_within_a_group_that_were_not_compared_have_no_p_values(ranked, visit):
    adata, path = ranked
    page = visit(path)
    page.get_by_label("Column").select_option(label="kind")
    page.locator("#within").select_option(label="odd")
    page.locator("#group-b").select_option(value="")
    activity = adata.obsm["X_ae"].astype(np.float64)
    odd = (adata.obs["half"] == "odd").to_numpy()
    group = page.locator("#group-a option").first.inner_text().rsplit(" (", 1)[0]
    first = odd & (adata.obs["kind"] == group).to_numpy()
    means = (activity[first].mean(axis=0) - activity[odd & ~first].mean(axis=0)) / activity[odd].std(axis=0)
    for row in rows_of(page.locator("#differences table").first):
        assert number(row[1]) == pytest.approx(means[int(row[0].split(":")[0])], rel=0.01, abs=1e-3)
    assert 'run mo.tl.rank_units(adata, "kind", within="half")' in page.locator("#differences").inner_text()


def test_dots_show_where_a_unit_differs(ranked, visit):
    adata, path = ranked
    page = visit(path)
    table = mo.get.rank_units(adata)
    called = table[table["q"] <= 0.05]["unit"].unique()
    rows = page.locator("#ranked-dots tbody tr")
    assert {row[0].split(":")[0] for row in rows_of(page.locator("#ranked-dots table"))} == set(called)
    for row in rows.all():
        unit = row.locator("td").first.inner_text().split(":")[0]
        of_unit = table[table["unit"] == unit]
        assert row.locator(".dot").count() == len(of_unit)
        assert row.locator(".dot.sure").count() == (of_unit["q"] <= 0.05).sum()
    rows.first.locator("button").click()
    assert "Where it differs: half" in page.locator("#unit-tables").inner_text()


def _label(page, where, group):
    return next(text for text in page.locator(f"{where} option").all_inner_texts() if text.rsplit(" (", 1)[0] == group)


def test_a_click_shows_a_unit_and_pointing_shows_the_cell(real, visit):
    adata, _, groupby, path = real
    page = visit(path)
    unit = mo.get.unit_summary(adata).query("~dead").index[2]
    page.locator(f"#card-{unit}").click()
    assert page.locator("#unit-title .number").inner_text() == unit
    values = page.evaluate("['cell', 'activity', 'group'].map((name) => [...report.models.activity_cells.data[name]])")
    activity = mo.get.representation(adata)[unit]
    low, high = np.quantile(activity, [0.01, 0.99])
    np.testing.assert_allclose(values[1], np.clip(activity[values[0]], low, high), atol=(high - low) / 250)
    assert values[2] == list(adata.obs.loc[values[0], groupby[0]].astype(str))
    assert (np.diff(values[1]) >= 0).all()  # the most active cells are on top
    where = page.evaluate(
        """() => {
          const { x, y } = report.models.activity_cells.data, last = x.length - 1;
          const views = Object.values(Bokeh.index).flatMap((view) => (view.roots ? view.roots : [view]));
          const { el, frame } = views.find((view) => view.model.name === "activity");
          const corner = el.getBoundingClientRect();
          return { x: corner.x + frame.x_scale.compute(x[last]), y: corner.y + frame.y_scale.compute(y[last]) };
        }"""
    )
    page.mouse.move(where["x"] - 2, where["y"])
    page.mouse.move(where["x"], where["y"])
    tip = page.locator(".bk-Tooltip").first
    tip.wait_for(state="visible", timeout=5000)
    assert f"cell:{values[0][-1]}" in re.sub(r"\s", "", tip.evaluate("(tip) => tip.shadowRoot.textContent"))
    genes = rows_of(page.locator("#unit-tables table").nth(0))
    expected = mo.get.top_genes(adata, unit=unit, n=len(genes)).set_index("gene")
    assert [row[0].split(" ")[1] for row in genes] == list(expected.index)
    for column, values in ((1, expected["loading"]), (2, expected["share"]), (3, mo.get.saliency(adata)[unit])):
        np.testing.assert_allclose([number(row[column]) for row in genes], values.loc[expected.index], rtol=0.006)


def test_a_table_is_downloaded(real, visit):
    adata, _, _, path = real
    page = visit(path)
    page.get_by_text("Show the table").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download CSV: All programmes").click()
    table = pd.read_csv(waiting.value.path(), dtype={"unit": str}, encoding="utf-8-sig").set_index("unit")
    expected = mo.get.unit_summary(adata).query("~dead")
    assert list(table.index) == list(expected.index)
    np.testing.assert_allclose(table["effect"], expected["effect"])
    assert table["makes more of"].iloc[0] == expected["top_genes_up"].iloc[0].replace(";", " ")
    assert list(table["name"]) == list(expected["name"])


def test_works_from_the_keyboard(written, visit):
    page = visit(written)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Go to the programmes"
    first, second = page.locator(".card .number").all_inner_texts()[:2]
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    title = page.locator("#unit-title .number")
    assert title.inner_text() == first
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == second
    for _ in range(60):  # the focus stays in the dialog
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    assert not page.locator("dialog").evaluate("(dialog) => dialog.open")
    assert page.evaluate("document.activeElement.className") == "open"


def test_everything_has_a_name_for_who_cannot_see_it(written, visit):
    page = visit(written)
    page.locator(".open").first.click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas, dialog, section")].filter(
        (e) => !(e.getAttribute("aria-label") || e.textContent.trim() || (e.labels && e.labels.length)
          || document.getElementById(e.getAttribute("aria-labelledby")))).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((e) => e.tagName)")
    assert levels[0] == "H1"
    assert levels.count("H1") == 1
    label = page.locator("#map-activity").get_attribute("aria-label")
    assert label.startswith("Map of the cells, darker where programme")


def test_names_that_look_like_html_are_shown_as_they_are(written, visit):
    page = visit(written)
    assert f"{NASTY} (35)" in page.locator("#legend li").all_inner_texts()
    page.get_by_role("combobox", name=re.compile("Find a gene")).fill("</script>")
    assert NASTY_SET in page.locator("#suggestions").inner_text()
    page.keyboard.press("Enter")
    assert f"Programmes that read {NASTY_SET}" in page.locator("#found").inner_text()
    page.locator("#group-a").select_option(label=f"{NASTY} (35 cells)")
    assert f"Programmes: {NASTY} against all other cells" in page.locator("#differences").inner_text()
    page.locator(".card:not([hidden]) .open").first.click()
    assert NASTY in page.locator("#unit-tables").inner_text()
    assert page.locator("img").count() == 0


@pytest.mark.parametrize(("a", "b"), [("even", "odd"), ("odd", "even"), ("odd", "all other cells")])
def test_stored_p_values_stand_beside_the_groups_they_are_of(results, visit, tmp_path, a, b):
    page = visit(mo.report(results, tmp_path / "a.html", groupby="half", **QUIET))
    page.locator("#group-a").select_option(label=_label(page, "#group-a", a))
    page.locator("#group-b").select_option(label=_label(page, "#group-b", b))
    table = mo.get.impact_table(results, result="ae_impact_half")
    expected = table[table["group"] == a].set_index("set")
    rows = rows_of(page.locator("#differences table").nth(1))
    names = {mo._report.units.readable(name): name for name in expected.index}
    assert sorted(row[0] for row in rows) == sorted(names)
    for row in rows:
        for column, name in ((1, "effect"), (2, "p"), (3, "q")):
            assert number(row[column]) == pytest.approx(expected.loc[names[row[0]], name], rel=0.06, abs=1e-6)


def test_a_model_of_dead_units_has_a_page_too(results, visit, tmp_path):
    adata = results.copy()
    adata.uns["ae_units"]["table"]["dead"] = np.ones(6, dtype=bool)
    page = visit(mo.report(adata, tmp_path / "a.html", groupby="half", **QUIET))
    assert page.locator(".card").count() == 0
    assert "6 dead units" in page.inner_text("main")


@pytest.mark.parametrize("width", [1400, 900, 420])
def test_nothing_is_wider_than_the_window(written, visit, width):
    page = visit(written, width=width)
    page.get_by_role("combobox", name=re.compile("Find a gene")).fill("gene_0002")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".card:not([hidden]) .open").first.click()
    page.wait_for_timeout(300)
    assert page.evaluate("document.querySelector('.sheet').scrollWidth <= document.querySelector('.sheet').clientWidth")
    boxes = page.evaluate("[...document.querySelectorAll('.map')].map((e) => e.getBoundingClientRect().right)")
    assert max(boxes) <= width


@pytest.mark.parametrize("width", [1400, 420])
def test_a_group_with_a_very_long_name_moves_nothing_out_of_sight(results, visit, tmp_path, width):
    adata = results.copy()
    adata.obs["half"] = adata.obs["half"].replace("odd", "a cell type with a name of many words, " * 8)
    page = visit(mo.report(adata, tmp_path / "a.html", groupby="half", **QUIET), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("Math.max(...[...document.querySelectorAll('select')].map((e) => e.offsetWidth))") < 420
    head = page.locator("#differences th").nth(2)
    assert head.bounding_box()["width"] < 300


def test_printed_it_has_the_cards_and_no_controls(written, visit, tmp_path):
    page = visit(written)
    page.emulate_media(media="print")
    assert page.locator(".card").first.is_visible()
    assert not page.locator("#search").is_visible()
    page.pdf(path=tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size > 20_000


def test_units_that_may_be_chance_stay_below_their_heading(halved, visit, tmp_path):
    adata, *chance = halved
    page = visit(mo.report(adata, tmp_path / "a.html", **QUIET))
    by = mo.get.replication(adata)["reproducibility"].sort_values(ascending=False)
    page.select_option("#order", "reproducibility")
    assert page.locator("#cards .card .number").all_inner_texts() == [unit for unit in by.index if unit not in chance]
    assert page.locator("#chance .card .number").all_inner_texts() == [unit for unit in by.index if unit in chance]
    page.locator("#chance .card .open").first.click()
    facts = page.locator("#unit-facts").inner_text()
    assert f"Reproducibility {by[chance].max():.2f}: may be chance." in facts
    assert page.locator("#place").inner_text().endswith("of 6")
    page.locator("#close").click()
    page.evaluate("(place) => { report.only = [place]; report.arrangeCards(); }", 0)
    assert page.locator(".card:visible").count() == 1
    assert not page.locator("#chance").is_visible()
    page.locator("#table summary").click()
    heads = page.locator("#all-units th").all_inner_texts()
    at = heads.index("reproducibility")
    assert {row[0].split(":")[0]: number(row[at]) for row in rows_of(page.locator("#all-units"))} == pytest.approx(
        dict(by.round(3)), abs=0.01
    )
