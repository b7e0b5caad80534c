"""What has to be told apart can be: in colour, in grey, and by readers who see red and green alike.

Distances are Euclidean in CIE L*a*b* (1976; about 2 is the least that is seen side by side). Colour vision without red-
or green-sensitive cones: Machado, Oliveira & Fernandes 2009, IEEE TVCG 15:1291, their matrices of severity 1.0. Grey is
the lightness L*, that is the luminance of ITU-R BT.709.
"""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

import modulae as mo
from modulae.pl import _history, _replication, _sanity, _search, _top_genes, _unit_summary
from modulae.pl._draw import grid, heatmap, overlay, palette, points
from modulae.pl._new_cells import transfer

VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def linear(colours):
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colours, vision="usual"):
    """Colours × (L*, a*, b*), as somebody sees them."""
    seen = np.clip(linear(colours) @ VISION[vision].T, 0, 1)
    t = seen @ XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def nearest(colours, vision="usual"):
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(lab(colours, vision), 2))


def lightness(colours):
    return lab(colours)[:, 0]


def test_the_formulas_give_known_answers():
    np.testing.assert_allclose(lab(["white", "black"]), [[100, 0, 0], [0, 0, 0]], atol=0.02)
    np.testing.assert_allclose(lab(["red"])[0], [53.24, 80.09, 67.20], atol=0.02)  # colour tables of sRGB, D65
    for vision in ("protanopia", "deuteranopia"):
        np.testing.assert_allclose(VISION[vision].sum(axis=1), 1, atol=1e-5)  # grey stays grey
        assert nearest(["red", "green"], vision) < 0.6 * nearest(["red", "green"])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize(("n", "least"), [(2, 100), (4, 30), (6, 25), (8, 20), (10, 17)])
def test_groups_are_told_apart(vision, n, least):
    """Scanpy's own palette leaves 7.6 between two of ten colours without green-sensitive cones."""
    assert nearest(palette.palette(n), vision) >= least


def test_two_groups_are_told_apart_in_grey():
    assert abs(np.diff(lightness(palette.palette(2)))[0]) > 10


@pytest.mark.parametrize("n", [2, 6, 8, 10])
def test_cells_of_no_label_are_lighter_than_any_group(n):
    assert lightness([points.MISSING_COLOUR])[0] > max(lightness(palette.palette(n))) - 1


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("cmap", [heatmap.SEQUENTIAL, "viridis", heatmap.PALE])
def test_a_scale_from_low_to_high_is_one_of_lightness(cmap, vision):
    """Every step goes the same way, and none is more than four times as large as another."""
    colours = mpl.colormaps.get_cmap(cmap)(np.linspace(0, 1, 21))[:, :3]
    steps = np.diff(lab(colours, vision)[:, 0])
    steps *= np.sign(steps.sum())
    assert steps.min() > 0.8
    if vision == "usual":
        assert steps.max() < 4 * steps.min()


@pytest.mark.parametrize("vision", VISION)
def test_a_scale_of_differences_is_white_in_the_middle_and_has_two_colours(vision):
    seen = lab(mpl.colormaps[heatmap.DIVERGING](np.linspace(0, 1, 41))[:, :3], vision)
    negative, positive = seen[20::-1], seen[20:]
    assert seen[20, 0] > 95
    for side in (negative, positive):
        assert (np.diff(side[:, 0]) < 0.1).all()
    for share in (0.3, 0.5, 1.0):
        at = round(20 * share)
        assert np.linalg.norm(negative[at] - positive[at]) > 25, share


def test_in_grey_such_a_scale_shows_no_sign():
    """Why negative cells carry a dash."""
    light = lightness(mpl.colormaps[heatmap.DIVERGING](np.linspace(0, 1, 41))[:, :3])
    assert np.abs(light - light[::-1]).max() < 10


PAIRS = {
    "history": (_history.TRAIN, _history.TEST),
    "transfer": (transfer.TRUSTED, transfer.FLAGGED),
    "unit_summary": (_unit_summary.BAR, _unit_summary.DEAD),
    "replication": (_replication.UNITS, _replication.CHANCE),
    "joint_embedding": ("0.1", palette.BACKGROUND),
    "missing": (points.MISSING_COLOUR, points.PLAIN),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_told_apart_in_grey_and_in_colour(name):
    assert abs(np.diff(lightness(PAIRS[name]))[0]) > 15
    assert min(nearest(PAIRS[name], vision) for vision in VISION) > 20


@pytest.mark.parametrize(
    "pair",
    [(_top_genes.RAISES, _top_genes.LOWERS), (overlay.MORE, overlay.LESS), (_search.STABILITY, _search.LOSS)],
)
def test_colours_that_repeat_a_side_or_a_shape_need_no_grey(pair):
    """Bars to either side, triangles up and down, dots and squares: the colour only says it again."""
    assert min(nearest(pair, vision) for vision in VISION) > 80


def test_controls_have_a_colour_and_a_shape_each(adata):
    assert set(_sanity.SHAPES) == set(_sanity.COLOURS)
    assert len(set(_sanity.SHAPES.values())) == len(_sanity.SHAPES)
    assert min(nearest(list(_sanity.COLOURS.values()), vision) for vision in VISION) > 11
    axes = mo.pl.sanity(adata)
    keys = {line.get_ydata()[0]: line for line in axes["units"].get_lines() if line.get_gid() == "key"}
    names = [label.get_text() for label in axes["units"].get_yticklabels()]
    assert [keys[row].get_marker() for row in range(len(names))] == [_sanity.SHAPES[name] for name in names]
    dots = {points.get_label(): points for points in axes["sets"].collections}
    for name in names:
        own = mpl.markers.MarkerStyle(_sanity.SHAPES[name])
        expected = own.get_path().transformed(own.get_transform()).vertices
        np.testing.assert_allclose(dots[name].get_paths()[0].vertices, expected)


def contrast(one, other):
    """Of text on its ground; WCAG 2.2 asks for 4.5."""
    low, high = sorted(float(linear([colour])[0] @ XYZ[1]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("cmap", [heatmap.SEQUENTIAL, heatmap.DIVERGING, "viridis"])
def test_text_on_cells_can_be_read(cmap):
    for colour in mpl.colormaps[cmap](np.linspace(0, 1, 101))[:, :3]:
        assert contrast(colour, grid.ink(tuple(colour))) >= 4.5


def marks(ax):
    return next(points for points in ax.collections if points.get_gid() == "negative")


def test_dashes_are_seen_on_their_cells_and_explained_on_the_bar(adata):
    ax = mo.pl.impact(adata, result="ae_impact_kind", group="z", min_unit_impact=0)
    cells = next(mesh for mesh in ax.collections if mesh.get_gid() == "cells")
    drawn = marks(ax)
    values = np.asarray(cells.get_array())
    assert len(drawn.get_offsets()) == 2
    for (column, row), colour in zip(drawn.get_offsets(), drawn.get_edgecolors(), strict=True):
        ground = cells.to_rgba(values[int(row), int(column)])[:3]
        assert contrast(ground, colour[:3]) >= 4.5
    (bar,) = ax.child_axes
    ((across, height),) = marks(bar).get_offsets()
    assert (across, height) == (0.5, -0.65)
    assert bar.get_ylim() == (-1, 1)


def test_ringed_dots_below_0_carry_a_dash(adata):
    ax = mo.pl.enrichment(adata, units=[0, 1], sets=["zeta", "alpha", "mid"])
    assert marks(ax).get_offsets().tolist() == [[1, 0]]  # z is −5, q 1e-4
    ax = mo.pl.enrichment(adata, max_q=1, units=[3], sets=["zeta", "alpha"])
    assert marks(ax).get_offsets().tolist() == [[0, 1]]  # −0.2; zeta has 0.1


def test_scales_without_a_sign_carry_no_dash(adata):
    ax = mo.pl.impact(adata)
    assert "negative" not in [points.get_gid() for points in ax.collections]
    assert "negative" not in [points.get_gid() for points in ax.child_axes[0].collections]


def test_names_among_cells_have_an_edge_in_the_colour_of_their_cells(adata):
    adata.uns["kind_colors"] = ["#aa0000", "#00bb00", "#0000cc"]
    texts = mo.pl.embeddings(adata, color="kind", legend="on data")["representation"].texts
    edges = {text.get_text(): to_hex(text.get_bbox_patch().get_edgecolor()) for text in texts}
    assert edges == {"z": "#aa0000", "m": "#00bb00", "a": "#0000cc"}
