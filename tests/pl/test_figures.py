"""What holds of every picture: its settings are the user's, nothing is cut off, vector files keep their text."""

import inspect
import re
from types import MappingProxyType
from xml.etree import ElementTree as ET

import anndata as ad
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib.colors import to_hex
from matplotlib.text import Text

import modulae as mo

NAMES = (
    *("confusion", "embeddings", "enrichment", "history", "impact", "impact, a group", "impact, overlay"),
    *(
        "impact_groups",
        "joint_embedding",
        "match_programmes",
        "match_programmes, several",
        "pathway_activity",
        "rank_units",
        "replication",
        "sanity",
        "search",
        "top_genes",
        "top_genes, read",
        "transfer",
    ),
    *("unit_summary", "units"),
)
GROUPS = "cell_type_of_the_atlas"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(path):
    return ET.parse(path).getroot()  # noqa: S314  (matplotlib has just written it)


def figure_of(drawn):
    return (next(iter(drawn.values())) if isinstance(drawn, dict) else drawn).figure


@pytest.fixture(scope="module")
def many(example):
    return example(12, 64)


@pytest.fixture(scope="module")
def few(example):
    return example(2, 5)


@pytest.fixture
def scanpys():
    """`sc.set_figure_params`, undone afterwards."""
    before = {name: getattr(sc.settings, name) for name in ("_frameon", "_vector_friendly")}
    with mpl.rc_context():
        yield sc.set_figure_params
    for name, value in before.items():
        setattr(sc.settings, name, value)


def test_every_function_is_tried(pictures):
    assert set(pictures) == set(NAMES)
    assert {name.split(",")[0] for name in pictures} == set(mo.pl.__all__)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_shown_saved_or_set(pictures, few, monkeypatch, name):
    def forbidden(*args, **options):
        pytest.fail("a picture is for the caller to show and save")

    monkeypatch.setattr(plt, "show", forbidden)
    monkeypatch.setattr(mpl.figure.Figure, "savefig", forbidden)
    settings, dpi = dict(mpl.rcParams), mpl.rcParams["figure.dpi"]
    fields = [sorted(getattr(few, field)) for field in ("obs", "var", "uns", "obsm", "varm")]
    assert figure_of(pictures[name](few)).dpi == dpi
    assert dict(mpl.rcParams) == settings
    assert [sorted(getattr(few, field)) for field in ("obs", "var", "uns", "obsm", "varm")] == fields


TENS = {"first ten": [f"GENE{at}" for at in range(10)], "last ten": [f"GENE{at}" for at in range(10, 20)]}
ONE_AXES = {
    "confusion": {"truth": GROUPS},
    **dict.fromkeys(("enrichment", "history", "impact", "rank_units", "transfer"), MappingProxyType({})),
    "match_programmes": {"second": TENS},
    "search": {},
    "top_genes": {"unit": 1},
}


@pytest.mark.parametrize("name", ONE_AXES)
def test_one_axes_may_be_given(few, name):
    """No other figure is made; the axes that come with it, as colour bars, are in the same one."""
    found = pd.DataFrame({"n_latent": [8, 16], "loss": [0.2, 0.1], "stability": [0.9, 0.7]})
    of = {"search": found, "match_programmes": TENS}.get(name, few)
    ax = plt.figure(figsize=(9, 6)).add_subplot()
    assert getattr(mo.pl, name)(of, ax=ax, **ONE_AXES[name]) is ax
    assert plt.get_fignums() == [ax.figure.number]
    ax.figure.canvas.draw()


def test_functions_of_one_axes_take_it():
    takes = {name for name in mo.pl.__all__ if "ax" in inspect.signature(getattr(mo.pl, name)).parameters}
    assert takes == set(ONE_AXES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("size", "text"), [pytest.param("few", "usual", marks=pytest.mark.slow), ("few", "large"), ("many", "usual")]
)
def test_nothing_is_cut_off(pictures, request, scanpys, name, size, text):
    """Long names, of 2 groups × 5 units and of 12 × 64, in matplotlib's text and in that of `sc.set_figure_params`."""
    if text == "large":
        scanpys()
        mpl.rcParams["font.sans-serif"] = ["DejaVu Sans"]  # scanpy's first choice may not be installed
    figure = figure_of(pictures[name](request.getfixturevalue(size)))
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -0.015  # inches


def test_what_explains_the_colours_of_two_short_rows_is_not_cut_off():
    adata = ad.AnnData(np.ones((6, 2), np.float32))
    adata.obs["k"] = pd.Categorical(list("aaabbb"))
    adata.obs["ae_label"] = pd.Categorical(list("123456"))
    figure = mo.pl.confusion(adata, truth="k").figure
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > 0.02  # inches


@pytest.mark.parametrize("name", NAMES)
def test_vector_files_hold_text(pictures, few, tmp_path, name):
    """With `svg.fonttype: none` every label is a text that can be edited, and none has become a shape."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure = figure_of(pictures[name](few))
        figure.savefig(tmp_path / "picture.svg")
    tree = parsed(tmp_path / "picture.svg")
    groups = [node for node in tree.iter(f"{SVG}g") if re.match(r"text_\d", node.get("id", ""))]
    assert groups
    assert [node.get("id") for node in groups if node.find(f".//{SVG}text") is None] == []
    found = " ".join("".join(node.itertext()) for node in tree.iter(f"{SVG}text"))
    written = [ax.get_title() for ax in figure.axes] + [ax.get_xlabel() for ax in figure.axes]
    written += [text.get_text() for ax in figure.axes for text in ax.texts]
    written += [label.get_text() for ax in figure.axes for label in ax.get_yticklabels() if "$" not in label.get_text()]
    written += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    lines = {line.strip() for words in written for line in words.splitlines() if line.strip()}
    inside = {line for line in lines if not re.fullmatch(r"[−\d.]+", line)}  # ticks beyond the axes are not drawn
    assert inside
    assert {line for line in inside if line not in found} == set()


def test_an_outline_would_be_noticed(tmp_path):
    """The test above can fail: matplotlib writes shapes where text has an outline."""
    from matplotlib.patheffects import withStroke

    with mpl.rc_context({"svg.fonttype": "none"}):
        figure = plt.figure()
        figure.text(0.5, 0.5, "name", path_effects=[withStroke(linewidth=2, foreground="w")])
        figure.savefig(tmp_path / "picture.svg")
    tree = parsed(tmp_path / "picture.svg")
    assert not list(tree.iter(f"{SVG}text"))


@pytest.mark.parametrize("name", ["embeddings", "units", "pathway_activity", "joint_embedding"])
def test_many_points_are_a_bitmap_and_few_are_not(pictures, few, tmp_path, monkeypatch, name):
    def shapes():
        figure = figure_of(pictures[name](few))
        figure.savefig(tmp_path / "picture.svg")
        tree = parsed(tmp_path / "picture.svg")
        return len(list(tree.iter(f"{SVG}use"))) + len(list(tree.iter(f"{SVG}path"))), len(
            list(tree.iter(f"{SVG}image"))
        )

    n_vector, images = shapes()
    assert n_vector > 300  # a shape for each cell
    monkeypatch.setattr("modulae.pl._draw.style.RASTER_FROM", 100)
    n_bitmap, more_images = shapes()
    assert n_vector - n_bitmap >= 300
    assert more_images > images


def test_vector_friendly_of_scanpy_is_asked(pictures, few, scanpys):
    assert not pictures["units"](few)["0"].collections[0].get_rasterized()
    scanpys(vector_friendly=True)
    assert pictures["units"](few)["0"].collections[0].get_rasterized()


@pytest.mark.parametrize("name", ["impact", "impact_groups", "confusion", "unit_summary"])
def test_cells_of_a_heat_map_are_shapes(pictures, few, name):
    drawn = pictures[name](few)
    for ax in drawn.values() if isinstance(drawn, dict) else [drawn]:
        assert not ax.images
        assert not any(artist.get_rasterized() for artist in ax.collections)


def test_a_very_large_heat_map_is_a_bitmap(pictures, few, monkeypatch):
    monkeypatch.setattr("modulae.pl._draw.grid.RASTER_FROM", 10)
    assert pictures["impact"](few).collections[0].get_rasterized()


def test_long_names_that_are_alike_stay_different(few):
    few = few.copy()
    names = ["a" * 30 + middle + "z" * 30 for middle in "bcd"]
    few.obs["long"] = pd.Categorical.from_codes(np.arange(few.n_obs) % 3, names)
    assert len(set(legend(mo.pl.embeddings(few, color="long")["input"].figure))) == 3
    assert len({text.get_text() for text in mo.pl.embeddings(few, color="long", legend="on data")["input"].texts}) == 3
    few.obs["ae_label"] = few.obs["long"]
    ax = mo.pl.confusion(few, truth="long")
    assert len({label.get_text() for label in ax.get_xticklabels()}) == 3


def test_text_and_what_holds_it_grow_together(pictures, few):
    sizes = {}
    for points in (10, 20):
        with mpl.rc_context({"font.size": points}):
            ax = pictures["impact"](few)
            sizes[points] = (
                ax.get_yticklabels()[0].get_fontsize(),
                ax.figure.get_figheight(),
                ax.figure.get_figwidth(),
            )
    np.testing.assert_allclose(sizes[20], 2 * np.array(sizes[10]), rtol=0.02)


def test_a_panel_is_as_large_as_the_figure_that_was_asked_for(pictures, few, scanpys):
    usual = figure_of(pictures["embeddings"](few)).get_size_inches()
    scanpys(fontsize=10)  # sets a figsize that nobody has asked for
    np.testing.assert_allclose(figure_of(pictures["embeddings"](few)).get_size_inches(), usual, rtol=0.02)
    scanpys(fontsize=10, figsize=(5, 6))
    figure = figure_of(pictures["embeddings"](few))
    assert figure.get_figheight() == pytest.approx(5.3)
    assert tuple(figure_of(pictures["history"](few)).get_size_inches()) == (5, 6)


@pytest.mark.parametrize("frameon", [True, False])
def test_maps_have_a_frame_if_scanpys_have(pictures, few, scanpys, frameon):
    scanpys(frameon=frameon)
    for name in ("embeddings", "units", "joint_embedding"):
        axes = pictures[name](few)
        assert {ax.axison for ax in axes.values()} == {frameon}
        assert all(ax.get_title() for ax in axes.values())
    assert pictures["impact"](few).axison


def test_numbers_take_the_colour_map_of_matplotlib(few, scanpys):
    """That is viridis, or what `sc.set_figure_params(color_map=)` says."""
    for wanted in ("viridis", "magma"):
        if wanted != "viridis":
            scanpys(color_map=wanted)
        for draw in (mo.pl.units, mo.pl.pathway_activity, lambda a: mo.pl.embeddings(a, color="GENE1")):
            axes = draw(few)
            assert {ax.collections[0].get_cmap().name for ax in axes.values()} == {wanted}
        assert mo.pl.joint_embedding(few, color="GENE1")["new"].collections[1].get_cmap().name == wanted
    assert mo.pl.units(few, cmap="cividis")["0"].collections[0].get_cmap().name == "cividis"


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_groups_keep_the_order_of_their_categories(pictures, few, many):
    """Neither by the alphabet nor by size; groups without cells are not drawn, and cells without a group come last."""
    groups = [f"CD{12 - at}+" for at in range(12)]
    shown = legend(figure_of(pictures["embeddings"](many)))
    assert [name.split()[0] for name in shown] == [*groups, "no"]
    assert [name.split()[0] for name in legend(figure_of(pictures["joint_embedding"](many)))] == [*groups, "unknown"]
    assert [name.split()[0] for name in pictures["impact_groups"](many)] == groups
    ax = pictures["confusion"](many)
    assert [label.get_text().split()[0] for label in ax.get_xticklabels()] == [*groups, "unknown"]
    assert [label.get_text().split()[0] for label in ax.get_yticklabels()] == groups
    on_data = mo.pl.embeddings(few, color=GROUPS, legend="on data")["input"].texts
    assert [text.get_text().split()[0] for text in on_data] == ["CD2+", "CD1+"]


def test_colours_of_scanpy_are_taken_and_too_few_are_not(adata):
    adata.obs["kind"] = adata.obs["kind"].cat.add_categories("nobody").cat.reorder_categories(["nobody", *"zma"])
    adata.obs.loc[adata.obs_names[:3], "kind"] = None

    def drawn():
        handles = mo.pl.embeddings(adata, color="kind")["input"].figure.legends[0].legend_handles
        return {handle.get_label(): to_hex(handle.get_color()) for handle in handles}

    adata.uns["kind_colors"] = ["#000000", "#ff0000", "#00ff00", "#0000ff"]
    assert drawn() == {"z": "#ff0000", "m": "#00ff00", "a": "#0000ff", "no label": "#cccccc"}
    adata.uns["kind_colors"] = ["#000000", "#ff0000"]
    fallback = drawn()
    assert "#ff0000" not in fallback.values()
    assert len(set(fallback.values())) == 4
    assert adata.uns["kind_colors"] == ["#000000", "#ff0000"]


def test_names_among_the_points_are_apart_and_inside(few):
    few = few.copy()
    names = [f"type {at}" for at in range(12)]
    few.obs["type"] = pd.Categorical.from_codes(np.arange(few.n_obs) % 12, names)
    few.obsm["X_ae_umap"] = np.random.default_rng(0).normal(size=(few.n_obs, 2)).astype(np.float32)  # all in one cloud
    ax = mo.pl.units(few, [0], color="type")["type"]
    ax.figure.canvas.draw()
    assert sorted(text.get_text() for text in ax.texts) == sorted(names)
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    frame = ax.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    overlapping = [
        (i, j)
        for i, a in enumerate(boxes)
        for j, b in enumerate(boxes[:i])
        if a.shrunk(0.97, 0.8).overlaps(b.shrunk(0.97, 0.8))
    ]
    assert overlapping == []


def test_a_name_stands_on_cells_of_its_own(few):
    """Two islands of one group, another group between them: the median of the first lies in the second."""
    few = few.copy()
    few.obs["type"] = pd.Categorical(np.where(np.arange(few.n_obs) % 3 == 1, "between", "islands"))
    place = np.array([-10.0, 0.0, 10.5])[np.arange(few.n_obs) % 3]
    few.obsm["X_ae_umap"] = np.column_stack([place, np.zeros(few.n_obs)]).astype(np.float32)
    found = {text.get_text(): text.get_position()[0] for text in mo.pl.units(few, [0], color="type")["type"].texts}
    assert found["between"] == pytest.approx(0, abs=1)
    assert abs(found["islands"]) > 8


def test_a_name_stands_where_most_cells_of_the_group_are(few):
    """Not at the cell that is nearest to the median, which is one of few between two islands."""
    few, n = few.copy(), few.n_obs
    side = np.random.default_rng(0).normal(0, 0.05, (n, 2))
    side[: n // 4] += [-10, 0]
    side[n // 4 : n // 2 - 2] += [-10, 4]
    side[n // 2 + 2 :] += [10, 0]
    few.obsm["X_ae_umap"] = side.astype(np.float32)
    few.obs["kind"] = "all"
    (text,) = mo.pl.units(few, [0], color="kind")["kind"].texts
    assert text.get_text() == "all"
    assert text.get_position()[0] > 9


def test_names_that_would_hide_the_points_go_into_a_legend(many):
    ax = mo.pl.units(many, [0], color=GROUPS)[GROUPS]
    assert not ax.texts
    assert len(legend(ax.figure)) == 13


def test_a_colour_bar_says_where_a_gene_is_from(few):
    few = few.copy()
    few.layers["logs"] = np.log1p(few.X)
    assert mo.pl.embeddings(few, color="GENE1")["input"].figure.axes[-1].get_ylabel() == "GENE1 in .X"
    bar = mo.pl.units(few, [0], color="GENE1", layer="logs")["0"].figure.axes[2]
    assert bar.get_ylabel() == "GENE1 in layer logs"


@pytest.mark.parametrize("name", mo.pl.__all__)
def test_what_a_picture_returns_is_said(name):
    """As the first words of *Returns*, where it is no Axes but a dict of them."""
    function = getattr(mo.pl, name)
    said = re.search(r"Returns\n-+\n(.+)", inspect.getdoc(function)).group(1)
    assert ("dict" in inspect.signature(function).return_annotation) == said.startswith("A dict with ")
