"""The picture of `pl.sanity`, asserted on its artists."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import modulae as mo

COLOURS = {
    "other seeds": "#0072b2",
    "shuffled counts": "#d55e00",
    "untrained, same start": "0.35",
    "last layer redrawn": "#cc79a7",
    "expression alone": "#009e73",
}


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_a_box_a_kind_of_control_holds_the_middle_half_of_the_units(adata):
    ax = mo.pl.sanity(adata)["units"]
    agreement = mo.get.sanity(adata, table="agreement")
    assert rows(ax) == list(COLOURS)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    for at, (kind, box) in enumerate(zip(COLOURS, ax.patches, strict=True)):
        corners = box.get_path().vertices
        np.testing.assert_allclose(
            [corners[:, 0].min(), corners[:, 0].max()], np.quantile(agreement[kind], [0.25, 0.75])
        )
        np.testing.assert_allclose(corners[:-1, 1].mean(), at, atol=0.3)
        assert box.get_facecolor()[:3] == to_rgba(COLOURS[kind])[:3]
    assert ax.get_title() == "genes of each unit (no better than a control)"


def test_the_verdict_stands_large_on_top(adata):
    def head():
        title = mo.pl.sanity(adata)["units"].figure._suptitle
        return title.get_text().replace("\n", " "), title.get_fontsize()

    passed = mo.get.sanity(adata)["passed"]
    words, size = head()
    assert passed.to_dict() == {
        "units": False,
        "sets": True,
        "set strength": False,
        "groups": True,
        "group strength": False,
        "deletion": True,
    }
    assert words == (
        "Better than controls: gene sets, sets between groups, deletion of genes. No better: genes of units, strength "
        "of sets, their strength"
    )
    assert size > mo.pl.sanity(adata)["units"].title.get_fontsize()
    adata.uns["ae_sanity"]["passed"] = np.ones(5, dtype=bool)
    assert head()[0] == "The explanation is better than its controls"


def test_a_dot_a_control_in_the_colour_of_its_box(adata):
    ax = mo.pl.sanity(adata)["sets"]
    controls = mo.get.sanity(adata, table="controls")
    levels = ["sets", "set_strength", "groups", "group_strength"]
    found = {}
    for dots in ax.collections:
        for x, y in dots.get_offsets():
            found.setdefault((round(float(y)), tuple(dots.get_facecolor()[0])), []).append(float(x))
    for row, level in enumerate(levels):
        for kind, colour in COLOURS.items():
            expected = controls.loc[controls["kind"] == kind, level]
            np.testing.assert_allclose(sorted(found[row, to_rgba(colour)]), sorted(expected), rtol=1e-6)
    judged = [label.rsplit("\n", 1)[-1] for label in rows(ax)]
    yes, no = "(better than controls)", "(no better than a control)"
    assert judged == [yes, no, yes, no]
    assert [label.split(",")[0] for label in rows(ax)] == ["all cells"] * 2 + ["between groups"] * 2


def test_deletion_curves_are_medians_over_units(adata):
    ax = mo.pl.sanity(adata)["deletion"]
    curves = mo.get.sanity(adata, table="deletion")
    lines = {line.get_label(): line for line in ax.get_lines()}
    for label, column in (("its top genes", "top"), ("others of like expression", "random")):
        np.testing.assert_allclose(lines[label].get_xdata(), [0.01, 0.04, 0.1])
        medians = curves.groupby("n_deleted")[column].median().loc[[1, 4, 10]]
        np.testing.assert_allclose(lines[label].get_ydata(), medians)
    assert {text.get_text() for text in ax.texts} == set(lines)
    assert lines["its top genes"].get_color() == "#0072b2"
    assert ax.get_xscale() == "log"
    assert "further than others" in ax.get_title()


def test_without_groups_two_rows_of_sets(adata):
    entry = adata.uns["ae_sanity"] = dict(adata.uns["ae_sanity"])
    for name in ("levels", "passed", "seeds", "control", "control_kind", "agreement"):
        entry[name] = entry[name][:3]
    entry["verdict"] = entry["verdict"][[0, 1, 2, -1]]
    assert len(rows(mo.pl.sanity(adata)["sets"])) == 2


def test_no_result_says_what_to_run(adata):
    with pytest.raises(KeyError, match=r"There are \['ae_sanity'\]"):
        mo.pl.sanity(adata, result="other_sanity")
    del adata.uns["ae_sanity"]
    with pytest.raises(KeyError, match=r"Run `mo.tl.sanity\(adata, gene_sets\)` first"):
        mo.pl.sanity(adata)
