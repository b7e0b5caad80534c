"""Names of units at axes and above pictures."""

import numpy as np
import pytest

import modulae as mo
from modulae.pl._draw.labels import short_name, unit_labels, unit_title

NAMES = {"0": "LYZ, S100A8, S100A9 · CD14 Mono", "2": "AL928768.3, HIST1H4C, C14orf166 · CD8+/CD45RA+ Naive Cytotoxic"}


def test_numbers_stand_alone_where_there_is_no_name():
    assert unit_labels(["0", "1"], {}) == ["0", "1"]
    assert unit_title("1", {}, per_line=30) == "unit 1"


def test_who_has_no_name_among_others_that_have_is_said():
    assert unit_labels(["0", "1"], NAMES) == ["0: LYZ, S100A8, S100A9 · CD14 Mono", "1 (no name)"]
    assert unit_title("1", NAMES, per_line=30) == "unit 1 (no name)"
    assert unit_title("0", NAMES, per_line=60) == "unit 0: LYZ, S100A8, S100A9 · CD14 Mono"


@pytest.mark.parametrize(
    ("name", "per_line", "expected"),
    [
        ("Ins2, Nnat, Iapp · Beta", 27, "unit 1: Ins2, Nnat, Iapp\nBeta"),
        ("LTB, CD3D, LDHB · CD4 Naive T", 30, "unit 1: LTB, CD3D, LDHB\nCD4 Naive T"),
        ("HLA-DQA1, TXN, HLA-DPB1 · DC", 30, "unit 1: HLA-DQA1, TXN,\nHLA-DPB1 · DC"),
        ("Igfbpl1, Btbd17, Tubb3 · Ngn3 high EP", 30, "unit 1: Igfbpl1, Btbd17, Tubb3\nNgn3 high EP"),
        ("CXCL10, TNFSF10, CXCL11", 27, "unit 1: CXCL10, TNFSF10,\nCXCL11"),
    ],
)
def test_titles_break_between_genes_and_group_or_at_spaces(name, per_line, expected):
    assert unit_title("1", {"1": name}, per_line=per_line) == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (31, "LYZ, S100A8, S100A9 · CD14 Mono"),
        (30, "LYZ, S100A8 · CD14 Mono"),
        (16, "LYZ · CD14 Mono"),
        (10, "LYZ · …ono"),
    ],
)
def test_genes_go_before_the_group(width, expected):
    assert short_name(NAMES["0"], width) == expected


@pytest.mark.parametrize("per_line", [14, 20, 30, 50])
@pytest.mark.parametrize("unit", NAMES)
def test_titles_keep_to_their_lines(unit, per_line):
    lines = unit_title(unit, NAMES, per_line=per_line, lines=2).splitlines()
    assert len(lines) <= 2
    assert max(map(len, lines)) <= per_line
    assert lines[0].startswith(f"unit {unit}: ")


def test_pictures_of_units_have_their_names(adata):
    names = np.array([NAMES["0"], "", "B, C", "D · m"], dtype=object)
    adata.uns["ae_units"] = {"of_model": "ae", "table": {"name": names}, "caveat_above": 0.5}
    axes = mo.pl.units(adata, [0, 1])
    assert axes["0"].get_title() == "unit 0: LYZ, S100A8, S100A9\nCD14 Mono"
    assert axes["1"].get_title() == "unit 1 (no name)"
    heads = {f"0: {NAMES['0']}", "1 (no name)", "2: B, C", "3: D · m"}
    for ax in (mo.pl.impact(adata, min_unit_impact=0), mo.pl.enrichment(adata, max_q=1.0)):
        assert {label.get_text() for label in ax.get_xticklabels()} == heads
    panels = mo.pl.impact_groups(adata, groupby="kind", min_unit_impact=0)
    assert heads in [{label.get_text() for label in ax.get_xticklabels()} for ax in panels.values()]
