"""Dots of tl.rank_units: their places, colours and sizes."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import modulae as mo

EFFECT = np.array([[0.5, -4.0, 0.1], [1.0, 2.0, 0.0]])
Q = np.array([[0.2, 1e-6, 0.9], [0.01, 1e-3, 0.8]])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def adata():
    """Two cell types × three units, written by hand."""
    adata = ad.AnnData(np.ones((5, 1), np.float32))
    adata.uns["ae"] = {"params": {}, "history": {}, "model": {}}
    others = ("ci_low", "ci_high", "mean", "mean_reference", "share_on", "share_on_reference", "auc")
    zeros = dict.fromkeys((*others, "effect_from_more_cells", "effect_from_more_in_cells"), np.zeros((2, 3)))
    adata.uns["ae_rank_treatment"] = {
        "of_model": "ae",
        "groupby": "treatment",
        "within": "kind",
        "over": "cells",
        "categories": np.array(["T", "B"], dtype=object),
        "groups": np.array(["drug", "drug"], dtype=object),
        "references": np.array(["rest", "rest"], dtype=object),
        "n_cells": np.array([10, 10]),
        "n_cells_reference": np.array([10, 10]),
        "statistics": {**zeros, "effect": EFFECT, "q": Q, "p": Q / 2},
    }
    return adata


def names(ax):
    return [[label.get_text() for label in labels] for labels in (ax.get_yticklabels(), ax.get_xticklabels())]


def dots(ax):
    points = next(points for points in ax.collections if points.get_gid() == "dots")
    places = [tuple(place) for place in points.get_offsets().astype(int).tolist()]
    drawn = zip(points.get_sizes(), points.get_array(), points.get_linewidths(), strict=True)
    return dict(zip(places, drawn, strict=True)), points


def test_dots_are_the_numbers_under_their_names(adata):
    ax = mo.pl.rank_units(adata)
    assert names(ax) == [["1", "0"], ["T", "B"]]  # the smallest p first; no q of the third is low enough
    found, points = dots(ax)
    for row, unit in enumerate((1, 0)):
        for column in (0, 1):
            area, colour, ring = found[column, row]
            assert colour == EFFECT[column, unit]
            assert (ring > 0) == (Q[column, unit] <= 0.05)
            assert area == pytest.approx(found[0, 0][0] * -np.log10(Q[column, unit]) / 6)
    assert points.get_clim() == (-3, 3)
    assert ax.get_title() == "drug against the rest"
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("programme (2 of 3)", "kind")


def test_what_a_dash_means_and_how_many_cell_types_are_missing_is_said(adata):
    ax = mo.pl.rank_units(adata)
    assert [text.get_text() for text in ax.get_legend().get_texts()][-1] == "less active"
    adata.uns["ae_rank_treatment"]["left_out"] = np.array(["'drug' in 'rare' (3 and 3 cells)"], dtype=object)
    assert mo.pl.rank_units(adata).get_xlabel() == "kind\n(1 more with too few cells)"
    adata.uns["ae_rank_treatment"]["statistics"]["effect"] = np.abs(EFFECT)
    words = [text.get_text() for text in mo.pl.rank_units(adata).get_legend().get_texts()]
    assert "less active" not in words


def test_columns_are_in_the_order_of_the_comparisons_whatever_differs_most(adata):
    adata.uns["ae_rank_treatment"]["statistics"] |= {"q": Q[::-1], "p": Q[::-1] / 2}
    assert mo.get.rank_units(adata)["within"].iloc[0] == "B"
    assert names(mo.pl.rank_units(adata))[1] == ["T", "B"]


def test_units_are_drawn_as_they_are_named(adata):
    assert names(mo.pl.rank_units(adata, units=[2, "1"]))[0] == ["2", "1"]
    assert names(mo.pl.rank_units(adata, n_units=1))[0] == ["1"]
    assert names(mo.pl.rank_units(adata, max_q=1.0))[0] == ["1", "0", "2"]


def test_groups_without_categories_are_the_columns(adata):
    entry = adata.uns["ae_rank_treatment"]
    entry["within"], entry["categories"] = None, np.array(["all cells"] * 2, dtype=object)
    entry["groups"] = np.array(["drug", "other"], dtype=object)
    ax = mo.pl.rank_units(adata)
    assert names(ax)[1] == ["drug", "other"]
    assert ax.get_xlabel() == "treatment"
    assert ax.get_title() == "groups against the rest"
    assert names(mo.pl.rank_units(adata, group="other"))[1] == ["other"]


def test_what_was_not_compared_has_no_dot(adata):
    entry = adata.uns["ae_rank_treatment"]
    entry["categories"] = np.array(["T", "B"], dtype=object)
    entry["groups"] = np.array(["drug", "other"], dtype=object)
    found, _ = dots(mo.pl.rank_units(adata))
    assert names(mo.pl.rank_units(adata))[1] == ["T · drug", "B · other"]
    assert all(area > 0 for area, _, _ in found.values())


MISTAKES = {
    "q": (
        lambda a: mo.pl.rank_units(a, max_q=1e-9),
        ValueError,
        r"no unit has q <= 1e-09.*lowest is 1e-06.*Raise max_q",
    ),
    "text": (lambda a: mo.pl.rank_units(a, max_q="0.1"), ValueError, r"max_q is '0.1'; give a number from 0 to 1"),
    "unit": (lambda a: mo.pl.rank_units(a, units=[9]), KeyError, "unit 9 does not exist"),
    "list": (lambda a: mo.pl.rank_units(a, units=1), TypeError, r"give a list: units=\[1\]"),
    "n": (lambda a: mo.pl.rank_units(a, n_units=0), ValueError, "n_units is 0"),
    "group": (lambda a: mo.pl.rank_units(a, group="x"), KeyError, r"no group 'x'. Choose one of"),
    "result": (lambda a: mo.pl.rank_units(a, result="x"), KeyError, r"There are \['ae_rank_treatment'\]"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step(adata, name):
    call, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        call(adata)
