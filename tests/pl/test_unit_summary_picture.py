"""The picture of `pl.unit_summary`, asserted on its artists."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import modulae as mo
from modulae.pl._unit_summary import DEAD

CAVEATS = ["library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation"]


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def cells(ax):
    return next(mesh for mesh in ax.collections if mesh.get_gid() == "cells")


def written(ax):
    return {(round(t.get_position()[0]), round(t.get_position()[1])): t.get_text() for t in ax.texts}


@pytest.fixture
def summed(adata):
    """Five units, out of order, one with all there is to be said."""
    texts = {
        "redundant_with": ["", "", "3", "", ""],
        "direction": ["up", "down", "up", "", "up"],
        "name": ["a, b, c · z", "f, g", "h", "k, l · a", ""],
        "top_genes_up": ["a;b;c;d;e", "f;g", "h", "k;l", ""],
        **{name: [""] * 5 for name in ("top_genes_down", "saliency_up", "saliency_down", "sets")},
        "set": ["HALLMARK_ONE", "", "HALLMARK_THREE", "", ""],
        "group": ["z", "", "", "a", ""],
        "caveats": ["ribosomal", "", "library_size;dissociation", "", ""],
    }
    numbers = {
        "effect": [2.0, 1.0, 3.0, 5.0, 0.0],
        "effect_share": [0.2, 0.1, 0.3, 0.4, 0.0],
        "redundant_r": [np.nan, np.nan, 0.95, np.nan, np.nan],
        "direction_r": [0.5, -0.5, 0.3, 0.05, 0.2],
        "reproducibility": [np.nan] * 5,
        "set_q": [0.02, np.nan, 0.01, np.nan, np.nan],
        **{name: [1.25, np.nan, np.nan, 2.0, np.nan] for name in ("group_difference", "group_auc")},
        "stability": [0.9, 0.8, 0.7, 0.95, 0.1],
        **{name: np.linspace(-0.8, 0.8, 5) * (at + 1) / 5 for at, name in enumerate(CAVEATS)},
    }
    table = {name: np.array(values, dtype=object) for name, values in texts.items()}
    table |= {name: np.array(values, dtype=float) for name, values in numbers.items()}
    table["dead"], table["below_level"] = np.array([False] * 4 + [True]), np.zeros(5, dtype=bool)
    adata.uns["ae_units"] = {"of_model": "ae", "table": table, "caveat_above": 0.5}
    return adata


def test_rows_are_the_units_by_effect_with_their_names(summed):
    axes = mo.pl.unit_summary(summed, n_units=None)
    assert list(axes) == ["effect", "stability", "caveats"]
    assert rows(axes["effect"]) == [
        "k, l · a   3",
        "h (as 3)   2",
        "a, b, c · z   0",
        "f, g   1",
        "(dead)   4",
    ]
    assert axes["effect"].get_ylim()[0] > axes["effect"].get_ylim()[1]  # the first is on top
    bars = axes["effect"].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], [40, 30, 20, 10, 0])
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert len(set(colours[:4])) == 1
    assert colours[4] != colours[0]
    assert axes["effect"].get_ylabel() == "programme"
    assert axes["effect"].figure.get_supxlabel() == ""


def test_caveats_are_the_numbers_and_the_strong_ones_are_written(summed):
    axes = mo.pl.unit_summary(summed, n_units=None)
    table = mo.get.unit_summary(summed)
    np.testing.assert_allclose(cells(axes["caveats"]).get_array(), table[CAVEATS])
    assert cells(axes["caveats"]).get_clim() == (-1, 1)
    expected = {(2, 2): "−0.5", (0, 1): "0.0", (4, 1): "0.0"}
    found = {at: text for at, text in written(axes["caveats"]).items() if at[0] < 5}
    assert found == expected
    texts = [text.get_text() for text in axes["caveats"].texts]
    assert [text for text in texts if text.isupper()] == ["THREE", "ONE"]
    assert "best gene set (q ≤ 0.05)" in texts
    labels = [label.get_text() for label in axes["caveats"].get_xticklabels()]
    assert labels == [name.replace("_", " ") for name in CAVEATS]


def test_stability_is_drawn_where_it_is_known(summed):
    axes = mo.pl.unit_summary(summed, n_units=None)
    dots = axes["stability"].collections[0].get_offsets()
    np.testing.assert_allclose(dots[:, 0], [0.95, 0.7, 0.9, 0.8, 0.1])
    np.testing.assert_allclose(dots[:, 1], range(5))
    summed.uns["ae_units"]["table"]["stability"] = np.full(5, np.nan)
    assert list(mo.pl.unit_summary(summed)) == ["effect", "caveats"]


def test_reproducibility_is_drawn_where_it_is_known(summed):
    summed.uns["ae_units"]["table"]["reproducibility"] = np.array([0.9, np.nan, 0.6, 0.8, 0.5])
    summed.uns["ae"]["replication"] = {"level": 0.7}
    axes = mo.pl.unit_summary(summed, n_units=None)
    assert list(axes) == ["effect", "reproducibility", "stability", "caveats"]
    (dots,) = axes["reproducibility"].collections
    places = np.ma.filled(dots.get_offsets(), np.nan)
    np.testing.assert_allclose(places[:, 0], [0.8, 0.6, 0.9, np.nan, 0.5])
    grey = to_hex(DEAD)
    assert [to_hex(colour) == grey for colour in dots.get_facecolors()] == [False, True, False, True, True]
    assert [line.get_xdata()[0] for line in axes["reproducibility"].get_lines()] == [0.7]
    assert axes["reproducibility"].get_xlabel() == "reproducibility"


def test_the_strongest_units_only(summed):
    axes = mo.pl.unit_summary(summed, n_units=2)
    assert [name[-1] for name in rows(axes["effect"])] == ["3", "2"]
    assert axes["effect"].get_ylabel() == "programme (2 of 5)"
    assert len(rows(mo.pl.unit_summary(summed, n_units=None)["effect"])) == 5


def test_unknown_caveats_and_sets_leave_room_for_nothing(summed):
    table = summed.uns["ae_units"]["table"]
    table["mitochondrial"] = np.full(5, np.nan)
    table["set"] = np.array([""] * 5, dtype=object)
    axes = mo.pl.unit_summary(summed)
    assert np.ma.getmaskarray(cells(axes["caveats"]).get_array())[:, 1].all()
    note = axes["effect"].figure.get_supxlabel().splitlines()[-1]
    assert note == "light grey: unknown, as adata has too few of the genes for it (mitochondrial)"
    assert not [text for text in axes["caveats"].texts if "gene set" in text.get_text()]


def test_grey_squares_are_explained_where_there_are_any(summed):
    assert "grey" not in mo.pl.unit_summary(summed)["effect"].figure.get_supxlabel()
    table = summed.uns["ae_units"]["table"]
    for name in CAVEATS:
        table[name][4] = np.nan  # the dead unit
    assert "grey" not in mo.pl.unit_summary(summed)["effect"].figure.get_supxlabel()
    note = mo.pl.unit_summary(summed, n_units=None)["effect"].figure.get_supxlabel()
    assert note == "light grey: unknown, as the unit is dead or may be chance"


@pytest.mark.parametrize("n_units", [0, 2.5, True])
def test_a_number_of_units_that_makes_no_sense(summed, n_units):
    with pytest.raises(ValueError, match="or None for all units"):
        mo.pl.unit_summary(summed, n_units=n_units)


def test_no_result_says_what_to_run(adata):
    with pytest.raises(KeyError, match=r"Run `mo.tl.unit_summary\(adata\)` first"):
        mo.pl.unit_summary(adata)


def test_a_flagged_unit_is_drawn_only_among_all(summed):
    summed.uns["ae"]["transfer"] = {
        **{name: np.full(5, 0.9) for name in ("coverage", "reliability")},
        "trusted": np.array([True, True, True, False, True]),
        "share_of_genes": 0.5,
        "n_model_genes": 10,
        "missing": "model",
        "min_reliability": 0.7,
    }
    axes = mo.pl.unit_summary(summed)
    assert [name.split()[-1] for name in rows(axes["effect"])] == ["2", "0", "1"]
    words = "left out: 1 without effect, 1 that the genes are too few for; n_units=None draws all"
    assert axes["effect"].figure.get_supxlabel() == words
    assert rows(mo.pl.unit_summary(summed, n_units=None)["effect"])[0] == "k, l · a (flagged)   3"


def test_technical_units_have_words_of_their_own(summed):
    summed.uns["ae"]["model"]["technical"] = np.array([True, False, True, False, False])
    axes = mo.pl.unit_summary(summed)
    assert [name.split()[-1] for name in rows(axes["effect"])] == ["3", "1"]
    words = "left out: 1 without effect, 2 marked as technical; n_units=None draws all"
    assert axes["effect"].figure.get_supxlabel() == words
    assert rows(mo.pl.unit_summary(summed, n_units=None)["effect"])[2] == "a, b, c · z (technical)   0"


def test_a_unit_below_the_level_says_so_instead_of_a_name(summed):
    table = summed.uns["ae_units"]["table"]
    table["below_level"][3], table["name"][3] = True, ""
    assert rows(mo.pl.unit_summary(summed, n_units=None)["effect"])[0] == "(may be chance)   3"


def test_all_units_with_a_name_are_drawn_and_what_is_left_out_is_said(summed):
    table = summed.uns["ae_units"]["table"]
    table["below_level"][3], table["name"][3] = True, ""
    axes = mo.pl.unit_summary(summed)
    assert [name[-1] for name in rows(axes["effect"])] == ["2", "0", "1"]
    assert axes["effect"].get_ylabel() == "programme (3 of 5)"
    said = axes["effect"].figure.get_supxlabel()
    assert said == "left out: 1 that may be chance, 1 without effect; n_units=None draws all"
    some = mo.pl.unit_summary(summed, n_units=2)["effect"].figure.get_supxlabel()
    assert some == "left out: 1 of smaller effect, 1 that may be chance, 1 without effect; n_units=None draws all"


def test_up_to_sixty_units_are_drawn(summed):
    """Twelve times the same five, of which the dead ones are left out: 48 units."""
    entry = summed.uns["ae_units"]
    entry["table"] = {name: np.tile(values, 12) for name, values in entry["table"].items()}
    assert len(rows(mo.pl.unit_summary(summed)["effect"])) == 48
    entry["table"]["dead"] = np.arange(60) == 0
    assert len(rows(mo.pl.unit_summary(summed)["effect"])) == 59
    entry["table"] = {name: np.tile(values, 2) for name, values in entry["table"].items()}
    axes = mo.pl.unit_summary(summed)
    assert len(rows(axes["effect"])) == 60
    assert "left out: 58 of smaller effect, 2 without effect" in axes["effect"].figure.get_supxlabel()


def test_where_no_unit_has_a_name_all_are_drawn(summed):
    table = summed.uns["ae_units"]["table"]
    table["below_level"] = np.ones(5, dtype=bool)
    axes = mo.pl.unit_summary(summed)
    assert len(rows(axes["effect"])) == 5
    assert axes["effect"].figure.get_supxlabel() == ""
