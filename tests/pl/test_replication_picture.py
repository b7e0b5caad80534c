"""The picture of `pl.replication`, asserted on its artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import modulae as mo
from modulae.pl._replication import CHANCE, UNITS


@pytest.fixture
def halved(adata):
    """Four units, the second the surest, the first below the level; one of the others was found beside them."""
    adata.uns["ae"]["replication"] = {
        "found": np.array([[[1, 1], [1, 0]], [[1, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]], dtype=bool),
        "similarity": np.array([[0.5, np.nan], [0.9, 0.9], [0.8, 0.8], [0.7, 0.9]], dtype=np.float32),
        "reproducibility": np.array([0.4, 0.9, 0.75, 0.8], dtype=np.float32),
        "level": 0.7,
        "sizes": np.array([4, 8, 12, 16]),
        "n_units": np.array([2, 2, 3, 4]),
        "explained": np.array([0.2, 0.5, 0.4, 0.3]),
        "size": 8,
        "min_likeness": 0.5,
    }
    return adata


def line(ax):
    (drawn,) = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    return drawn.get_xydata()


def upright(ax):
    return [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() != "-"]


def bars(ax):
    return [bar.get_width() for bar in ax.patches], [to_hex(bar.get_facecolor()) for bar in ax.patches]


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_sizes_with_the_one_that_was_taken(halved):
    axes = mo.pl.replication(halved)
    assert list(axes) == ["explained", "sizes", "units"]
    np.testing.assert_allclose(line(axes["explained"]), [[4, 20], [8, 50], [12, 40], [16, 30]])
    np.testing.assert_allclose(line(axes["sizes"]), [[4, 2], [8, 2], [12, 3], [16, 4]])
    assert axes["sizes"].get_ylabel() == "programmes that\nhalves find alike"
    assert axes["sizes"].get_ylim()[0] == 0
    assert [label.get_text() for label in axes["sizes"].get_xticklabels()] == ["4", "8", "12", "16"]
    for name in ("explained", "sizes"):
        assert upright(axes[name]) == [8]
    assert [text.get_text() for text in axes["explained"].texts] == ["8 looked for: 2 come back"]


def test_units_of_few_cells_are_counted(halved):
    halved.uns["ae"]["replication"] |= {"few_cells": np.array([True, False, True, False])}
    (text,) = mo.pl.replication(halved)["explained"].texts
    assert text.get_text() == "8 looked for: 2 come back, 2 of few cells"


def test_all_units_are_counted_where_none_is_alike(halved):
    halved.uns["ae"]["replication"] |= {"min_likeness": 0.0}
    axes = mo.pl.replication(halved)
    assert axes["sizes"].get_ylabel() == "programmes that\nboth halves find"
    assert [text.get_text() for text in axes["explained"].texts] == ["8 looked for: 2 come back"]


def test_units_from_the_surest_down_and_grey_below_the_level(halved):
    ax = mo.pl.replication(halved)["units"]
    widths, colours = bars(ax)
    np.testing.assert_allclose(widths, [0.9, 0.8, 0.75, 0.4], rtol=1e-6)
    assert rows(ax) == ["1", "3", "2", "0"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first is on top
    assert colours == [to_hex(UNITS)] * 3 + [to_hex(CHANCE)]
    assert upright(ax) == [0.7]
    assert ax.get_title() == "3 of 4 reach 70% (grey: may be chance)"
    assert "probability" in ax.get_xlabel()


def test_one_size_that_was_asked_for(halved):
    replication = halved.uns["ae"]["replication"]
    replication |= {name: replication[name][1:2] for name in ("sizes", "n_units", "explained")}
    axes = mo.pl.replication(halved)
    np.testing.assert_allclose(line(axes["sizes"]), [[8, 2]])
    assert [label.get_text() for label in axes["sizes"].get_xticklabels()] == ["8"]


def test_many_units_make_the_figure_taller_and_not_the_sizes(example):
    heights = {}
    for n in (5, 60):
        axes = mo.pl.replication(example(2, n))
        axes["sizes"].figure.canvas.draw()
        heights[n] = {name: ax.get_window_extent().height for name, ax in axes.items()}
        assert len(axes["units"].patches) == n
    assert heights[60]["units"] > 2.5 * heights[5]["units"]
    assert heights[60]["sizes"] == pytest.approx(heights[5]["sizes"], rel=0.25)
