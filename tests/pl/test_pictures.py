"""Every picture, asserted on its artists: labels, their order, numbers, colours."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

import modulae as mo


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def cells(ax):
    return next(mesh for mesh in ax.collections if mesh.get_gid() == "cells")


def shown_equals(ax, table, **tolerance):
    """The numbers in the picture are those of the table under the names in the picture."""
    np.testing.assert_allclose(cells(ax).get_array(), table.loc[rows(ax), columns(ax)], **tolerance)


def contents(adata):
    return [sorted(getattr(adata, name)) for name in ("obs", "var", "uns", "obsm", "varm")]


@pytest.fixture(autouse=True)
def _nothing_is_written(adata):
    before = contents(adata)
    yield
    assert contents(adata) == before


def test_history_draws_the_losses_and_marks_the_kept_epoch(adata):
    ax = mo.pl.history(adata)
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["held-out cells"].get_ydata(), [0.95, 0.6, 0.45, 0.41, 0.43])
    np.testing.assert_array_equal(lines["training cells"].get_ydata(), [0.9, 0.5, 0.4, 0.3, 0.2])
    assert [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] == [3]
    assert any("epoch 3" in text.get_text() for text in ax.texts)
    penalty = ax.figure.axes[-1]
    ax.figure.canvas.draw()
    assert penalty.get_legend().get_window_extent().y0 > ax.get_window_extent().y1  # clear of the curves
    np.testing.assert_array_equal(penalty.get_lines()[0].get_ydata(), [8, 4, 2, 1, 0.5])


def test_impact_draws_the_table_under_its_own_names(adata):
    ax = mo.pl.impact(adata, min_unit_impact=0)
    shown_equals(ax, mo.get.impact(adata))
    assert sorted(rows(ax)) == ["alpha", "mid", "zeta"]
    assert sorted(columns(ax)) == list("0123")
    assert cells(ax).get_clim() == (0, 1)
    assert ax.get_title() == "impact of gene sets, all cells"


def test_impact_leaves_out_dead_units_and_says_so(adata):
    ax = mo.pl.impact(adata)
    assert sorted(columns(ax)) == ["0", "1", "2"]
    assert "3 of 4" in ax.get_xlabel()
    few = mo.pl.impact(adata, n_sets=2)
    assert sorted(rows(few)) == ["alpha", "zeta"]  # 1.0 and 0.9; mid has 0.7
    assert "2 of 3" in few.get_ylabel()


def test_impact_keeps_the_order_asked_for(adata):
    ax = mo.pl.impact(adata, sets=["mid", "zeta"], units=[3, "1"])
    assert (rows(ax), columns(ax)) == (["mid", "zeta"], ["3", "1"])
    np.testing.assert_allclose(cells(ax).get_array(), [[0.2, 0.7], [0.1, 0.9]])


def test_a_difference_is_centred_on_zero_and_negative_cells_carry_a_dash(adata):
    ax = mo.pl.impact(adata, result="ae_impact_kind", group="z", min_unit_impact=0)
    shown_equals(ax, mo.get.impact(adata, result="ae_impact_kind", group="z"))
    assert cells(ax).get_clim() == (-1, 1)
    assert ax.get_title() == "impact of gene sets, z vs rest"
    dashes = next(points for points in ax.collections if points.get_gid() == "negative")
    marked = {(rows(ax)[int(y)], columns(ax)[int(x)]) for x, y in dashes.get_offsets()}
    assert marked == {("zeta", "0"), ("mid", "1")}  # below −0.3; −0.3 itself is not


def test_overlay_draws_triangles_where_the_group_differs(adata):
    ax = mo.pl.impact(adata, result="ae_impact_kind", group="z", overlay=True, min_unit_impact=0)
    shown_equals(ax, mo.get.impact(adata, result="ae_impact_kind"))
    found = {
        points.get_gid(): {(rows(ax)[int(y)], columns(ax)[int(x)]) for x, y in points.get_offsets()}
        for points in ax.collections
    }
    assert found["less"] == {("zeta", "0"), ("mid", "1"), ("alpha", "3")}
    assert found["more"] == {("alpha", "0"), ("alpha", "1"), ("mid", "0"), ("zeta", "1")}


def test_panels_of_groups_share_scale_and_order_and_all_cells_come_first(adata):
    axes = mo.pl.impact_groups(adata, groupby="kind", value="within", min_unit_impact=0)
    assert list(axes) == ["all cells", "z", "m", "a"]
    first = next(ax for ax in axes.values() if rows(ax) and columns(ax))
    names, units = rows(axes["all cells"]), next(columns(ax) for ax in reversed(axes.values()) if columns(ax))
    assert first is not None
    for name, ax in axes.items():
        group = None if name == "all cells" else name
        table = mo.get.impact(adata, result="ae_impact_kind", group=group, value="within")
        np.testing.assert_allclose(cells(ax).get_array(), table.loc[names, units])
        assert cells(ax).get_clim() == (0, 1)
        assert ax.get_title() == name


def test_panels_of_differences_have_no_panel_of_all_cells(adata):
    axes = mo.pl.impact_groups(adata, groupby="kind", groups=["a", "z"])
    assert list(axes) == ["a", "z"]
    assert {cells(ax).get_clim() for ax in axes.values()} == {(-1, 1)}


def test_bars_of_top_genes_are_loadings_and_the_part_of_the_unit(adata):
    ax = mo.pl.top_genes(adata, 0)
    assert rows(ax) == ["b", "e", "c"]  # by loading times share; none that it does not make
    assert [bar.get_width() for bar in ax.patches] == [4, 2, 1, 4, 1, 0.25]
    assert ax.get_title() == "unit 0"
    adata.uns["ae_units"] = {"of_model": "ae", "table": {"name": np.array(["b, e, c · Mono", ""], dtype=object)}}
    assert mo.pl.top_genes(adata, 0).get_title() == "unit 0: b, e, c · Mono"
    assert mo.pl.top_genes(adata, 1).get_title() == "unit 1 (no name)"
    del adata.uns["ae_units"]
    with pytest.raises(ValueError, match='Add by="saliency"'):
        mo.pl.top_genes(adata, 0, result="ae_saliency")


def test_bars_of_genes_that_a_unit_is_read_from_are_the_saliencies(adata):
    ax = mo.pl.top_genes(adata, 0, n=3, by="saliency")
    assert rows(ax) == ["c", "d", "a"]
    assert [bar.get_width() for bar in ax.patches] == [-5, 3, -2]
    colours = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1]
    assert ax.yaxis_inverted()
    assert ax.get_title() == "unit 0"


def test_embeddings_put_the_input_first_and_colour_alike(adata):
    adata.uns["kind_colors"] = ["#ff0000", "#00ff00", "#0000ff"]
    axes = mo.pl.embeddings(adata, color="kind", epochs=[10])
    assert list(axes) == ["input", "after 10 epochs", "representation"]
    want = {"z": "#ff0000", "m": "#00ff00", "a": "#0000ff"}
    for i, (name, ax) in enumerate(
        zip(("input", "representation"), (axes["input"], axes["representation"]), strict=True)
    ):
        points = ax.collections[0]
        cells = (points.get_offsets()[:, 0] - 100 * i).astype(int)
        expected = [to_rgba(want[kind]) for kind in adata.obs["kind"].to_numpy()[cells]]
        np.testing.assert_allclose(points.get_facecolors(), expected, err_msg=name)
        assert sorted(cells) == list(range(30))
    legend = axes["input"].figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["z", "m", "a"]
    del adata.uns["kind_colors"]


def test_embeddings_by_a_number_or_a_gene(adata):
    by_depth = mo.pl.embeddings(adata, color="depth")["representation"].collections[0]
    np.testing.assert_array_equal(by_depth.get_array(), by_depth.get_offsets()[:, 0] - 100)
    by_gene = mo.pl.embeddings(adata, color="c")["input"].collections[0]
    cells = by_gene.get_offsets()[:, 0].astype(int)
    np.testing.assert_array_equal(by_gene.get_array(), adata[:, "c"].X[cells, 0])


def test_panels_that_are_all_the_same_are_named(adata, recwarn):
    entry = adata.uns["ae_impact_kind"]
    mo.pl.impact_groups(adata, groupby="kind", value="within", min_unit_impact=0)
    assert not recwarn.list
    entry["within"] = np.stack([entry["all"] * 0.9] * len(entry["groups"]))
    with pytest.warns(UserWarning, match=r'the 4 panels are nearly the same .* value="impact"'):
        mo.pl.impact_groups(adata, groupby="kind", value="within", min_unit_impact=0)


def test_units_that_explain_most_come_first(adata):
    """By effect if it is known, else by the variance of what they make, else by their own."""
    varies = adata.obsm["X_ae"].var(axis=0)  # units 1, 3, 2, 0
    adata.varm["ae_loadings"] = np.full((5, 4), np.sqrt([4000, 1, 10, 10]), dtype=np.float32)
    made = varies * [4000, 1, 10, 10]
    assert list(mo.pl.units(adata)) == [str(unit) for unit in np.argsort(-made)] == ["3", "0", "1", "2"]
    adata.varm["ae_loadings"] *= -1  # those of the orthogonal architecture are for one standard deviation
    assert list(mo.pl.units(adata, n=1)) == ["0"]
    adata.uns["ae_units"] = {"of_model": "ae", "table": {"effect": np.array([-1.0, 0.5, 2.0, 1.0])}}
    assert list(mo.pl.units(adata, n=3)) == ["2", "3", "1"]
    del adata.uns["ae_units"]


def test_units_of_unknown_effect_are_in_the_order_of_their_variance(adata):
    axes = mo.pl.units(adata, n=3)
    assert list(axes) == ["1", "3", "2"]
    points = axes["1"].collections[0]
    cells = (points.get_offsets()[:, 0] - 100).astype(int)
    np.testing.assert_allclose(points.get_array(), adata.obsm["X_ae"][cells, 1])
    assert list(mo.pl.units(adata, [2, "0"], color="kind")) == ["kind", "2", "0"]


def dots(ax):
    """Area, colour value and ring of every dot, under the names of its row and column."""
    points = next(points for points in ax.collections if points.get_gid() == "dots")
    names = [(rows(ax)[int(y)], columns(ax)[int(x)]) for x, y in points.get_offsets()]
    drawn = zip(points.get_sizes(), points.get_array(), points.get_linewidths(), strict=True)
    return dict(zip(names, drawn, strict=True)), points


def test_dots_of_the_enrichment_are_the_numbers_under_their_own_names(adata):
    ax = mo.pl.enrichment(adata)
    assert sorted(rows(ax)) == ["alpha", "zeta"]  # mid has no q up to 0.05
    assert sorted(columns(ax)) == ["0", "1"]
    found, points = dots(ax)
    table = mo.get.enrichment(adata).set_index(["set", "unit"])
    for name, (area, colour, ring) in found.items():
        assert colour == table.loc[name, "z"]
        assert (ring > 0) == (table.loc[name, "q"] <= 0.05)
        assert area == pytest.approx(found["zeta", "1"][0] * -np.log10(table.loc[name, "q"]) / 4)
    assert points.get_clim() == (-5, 5)
    assert "2 of 3" in ax.get_ylabel()
    assert "2 of 4" in ax.get_xlabel()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["0.5", "0.05", "0.01", "0.001", "lowers the unit"]  # the last with a dash
    assert ax.get_legend().get_title().get_text() == "q (ringed: ≤ 0.05)"


def test_more_columns_than_asked_for_are_left_out(adata):
    """The weakest: of the sets that are drawn, by the largest absolute value, or by the smallest p."""
    every = mo.get.impact(adata).abs().max()
    drawn = columns(mo.pl.impact(adata, min_unit_impact=0, n_units=2))
    assert set(drawn) == set(every.nlargest(2).index)
    panels = mo.pl.impact_groups(adata, groupby="kind", min_unit_impact=0, n_units=1)
    assert len({label for ax in panels.values() for label in columns(ax)}) == 1
    assert columns(mo.pl.enrichment(adata, n_units=1)) == ["1"]
    with pytest.raises(ValueError, match="n_units is 0"):
        mo.pl.impact(adata, n_units=0)


def test_enrichment_draws_what_is_named_in_its_order(adata):
    ax = mo.pl.enrichment(adata, sets=["mid", "zeta"], units=[3, "0"])
    assert (rows(ax), columns(ax)) == (["mid", "zeta"], ["3", "0"])
    assert dots(ax)[0]["mid", "3"][1] == 2.4
    assert rows(mo.pl.enrichment(adata, n_sets=1)) == ["zeta"]
    loose = mo.pl.enrichment(adata, max_q=1, cluster=False)
    assert rows(loose) == ["zeta", "alpha", "mid"]  # by p
    assert rows(mo.pl.enrichment(adata, max_q=1))[1] == "mid"  # z of zeta is closer to mid's than to alpha's
    prerank = mo.pl.enrichment(adata, q="q_prerank", max_q=1)
    found, points = dots(prerank)
    assert found["mid", "1"][1] == 0.25
    assert points.get_clim() == (-2.5, 2.5)
    assert max(found, key=lambda name: found[name][0]) == ("mid", "1")


def test_pictures_draw_where_they_are_told(adata):
    import matplotlib.pyplot as plt

    for draw in (mo.pl.history, mo.pl.impact, mo.pl.enrichment, lambda a, ax: mo.pl.top_genes(a, 0, ax=ax)):
        ax = plt.subplots()[1]
        assert draw(adata, ax=ax) is ax


def with_a_column(adata, name):
    adata = adata.copy()
    adata.obs[name] = 1.0
    return adata


def on_a_line(adata):
    adata = adata.copy()
    adata.obsm["X_line"] = np.zeros((adata.n_obs, 1))
    return adata


MISTAKES = {
    "impact": (lambda a: mo.pl.impact(a, result="x"), KeyError, "no impact 'x'.*There are"),
    "group": (lambda a: mo.pl.impact(a, result="ae_impact_kind", group="q"), KeyError, "no group 'q'. Choose one of"),
    "set": (lambda a: mo.pl.impact(a, sets=["alpa"]), KeyError, "no gene set 'alpa'.*alpha"),
    "unit": (lambda a: mo.pl.impact(a, units=[9]), KeyError, "unit 9 does not exist: there are 4"),
    "dead": (lambda a: mo.pl.impact(a, min_unit_impact=2), ValueError, "Lower min_unit_impact"),
    "overlay": (lambda a: mo.pl.impact(a, overlay=True), ValueError, "name it in group="),
    "groupby": (
        lambda a: mo.pl.impact_groups(a, groupby="x"),
        KeyError,
        r"There are \['ae_impact_kind'\].*run `mo.tl.pathway_impact\(adata, gene_sets, groupby='x'\)`",
    ),
    "gene": (lambda a: mo.pl.top_genes(a, 7), KeyError, "unit 7 does not exist: there are 2"),
    "embedding": (lambda a: mo.pl.embeddings(a, key="b"), KeyError, "Run `mo.tl.embeddings"),
    "epoch": (lambda a: mo.pl.embeddings(a, epochs=[3]), KeyError, "snapshot_epochs"),
    "colour": (lambda a: mo.pl.embeddings(a, color="x"), KeyError, "neither a column of adata.obs nor a gene. Choose"),
    "q": (lambda a: mo.pl.enrichment(a, q="fdr"), ValueError, r"q is 'fdr'; choose one of \['q', 'q_correlated'"),
    "no q": (lambda a: mo.pl.enrichment(a, max_q=1e-6), ValueError, r"q <= 1e-06 to draw \(the lowest is 0.0001\)"),
    "no unit": (
        lambda a: mo.pl.enrichment(a, sets=["mid"]),
        ValueError,
        r"\(the lowest is 0.06\). Raise max_q, or name",
    ),
    "enrichment": (lambda a: mo.pl.enrichment(a, result="x"), KeyError, "no enrichment 'x'.*There are"),
    "units": (lambda a: mo.pl.units(a, 1), TypeError, r"units is 1; give a list: units=\[1\]"),
    "no units": (lambda a: mo.pl.units(a, []), ValueError, "units is empty"),
    "units of impact": (lambda a: mo.pl.impact(a, units=1), TypeError, r"units is 1; give a list: units=\[1\]"),
    "all but one": (lambda a: mo.pl.units(a, n=-1), ValueError, "n is -1; give a whole number of at least 1"),
    "all sets but one": (lambda a: mo.pl.impact(a, n_sets=-1), ValueError, "n_sets is -1; give a whole number"),
    "dots but one": (lambda a: mo.pl.enrichment(a, n_sets=-1), ValueError, "n_sets is -1; give a whole number"),
    "half a gene": (lambda a: mo.pl.top_genes(a, 0, n=1.5), ValueError, "n is 1.5; give a whole number"),
    "no scores": (lambda a: mo.pl.pathway_activity(a, n=0), ValueError, "n is 0; give a whole number"),
    "no columns": (lambda a: mo.pl.units(a, ncols=0), ValueError, "ncols is 0; give a whole number"),
    "no columns of maps": (lambda a: mo.pl.embeddings(a, ncols=0), ValueError, "ncols is 0; give a whole number"),
    "an epoch": (lambda a: mo.pl.embeddings(a, epochs=3), TypeError, r"epochs is 3; give a list: epochs=\[3\]"),
    "colours": (lambda a: mo.pl.embeddings(a, color=["x", "y"]), TypeError, "color is .*; name one column or gene"),
    "a unit by name": (lambda a: mo.pl.units(with_a_column(a, "0"), color="0"), ValueError, "also the name of a unit"),
    "line": (
        lambda a: mo.pl.units(on_a_line(a), basis="line"),
        ValueError,
        r"obsm\['X_line'\] has one column.*needs two",
    ),
    "basis": (lambda a: mo.pl.units(a, basis="X_tsne"), KeyError, "no 'X_tsne'. Choose one of .* or run `mo"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step(adata, name):
    call, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        call(adata)


@pytest.mark.parametrize(("n_sets", "n_units"), [(50, 64), (2, 3)])
def test_all_names_stay_inside_the_figure_and_apart(adata, n_sets, n_units):
    """50 sets with long names × 64 units, and 2 × 3: no label is cut off, no two overlap."""
    rng = np.random.default_rng(0)
    names = [f"REACTOME_A_LONG_NAME_OF_A_PATHWAY_THAT_GOES_ON_AND_ON_AND_ENDS_IN_{i}" for i in range(n_sets)]
    values = rng.uniform(size=(n_sets, n_units)).astype(np.float32)
    adata.uns["ae_impact"] |= {"sets": np.array(names, dtype=object), "n_genes": np.full(n_sets, 5)}
    adata.uns["ae_impact"] |= {"all": values, "all_unscaled": values}
    ax = mo.pl.impact(adata, n_sets=None, min_unit_impact=0)
    figure = ax.figure
    figure.canvas.draw()
    assert len(set(rows(ax))) == n_sets
    for labels, side in ((ax.get_yticklabels(), "y"), (ax.get_xticklabels(), "x")):
        boxes = [label.get_window_extent() for label in labels]
        assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
        assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)
        spans = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert all(end <= start + 2 for (_, end), (start, _) in pairwise(spans))
        assert min(label.get_fontsize() for label in labels) >= 5


def test_activity_draws_the_sets_that_vary_most_under_their_names(adata):
    axes = mo.pl.pathway_activity(adata, n=2, color="kind")
    assert list(axes) == ["kind", "HALLMARK_BETA", "HALLMARK_GAMMA"]
    assert [ax.get_title() for ax in axes.values()] == ["kind", "BETA", "GAMMA"]
    bars = [ax for ax in axes["kind"].figure.axes if ax not in axes.values()]
    assert [bar.get_ylabel() for bar in bars] == ["score", "score"]
    drawn = axes["HALLMARK_BETA"].collections[0]
    np.testing.assert_allclose(np.sort(drawn.get_array()), np.sort(adata.obsm["ae_pathways"][:, 1]))
    positions = dict(zip(drawn.get_array().tolist(), drawn.get_offsets()[:, 0], strict=True))
    for cell in (0, 17):
        assert positions[float(adata.obsm["ae_pathways"][cell, 1])] == adata.obsm["X_ae_umap"][cell, 0]


def test_percentiles_share_one_scale_from_0_to_100(adata):
    axes = mo.pl.pathway_activity(adata, ["HALLMARK_GAMMA", "HALLMARK_ALPHA"], percentile=True)
    assert list(axes) == ["HALLMARK_GAMMA", "HALLMARK_ALPHA"]
    for ax in axes.values():
        assert ax.collections[0].get_clim() == (0, 100)
        assert ax.collections[0].get_cmap().name == "viridis"


def test_activity_names_what_is_not_there(adata):
    with pytest.raises(KeyError, match=r"there is no set 'none' among the scores. Choose from"):
        mo.pl.pathway_activity(adata, ["none"])
    with pytest.raises(TypeError, match=r"give a list: sets=\['HALLMARK_BETA'\]"):
        mo.pl.pathway_activity(adata, "HALLMARK_BETA")
