"""Hard gates, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from anndata import AnnData

import modulae as mo

# Of CD34 eight cells of twelve express something: first quartile 2.75, median 4.5, third quartile 6.25.
CD34 = [0, 5, 1, 8, -3, 2, 6, 3, 0, 4, 7, 0]
HIGH = [False, True, False, True, False, False, True, False, False, False, True, False]
MID = [False, True, False, False, False, False, True, True, False, True, False, False]


def cells(**markers):
    n_cells = len(next(iter(markers.values())))
    adata = AnnData(np.ones((n_cells, 2), np.float32))
    adata.obsm["facs"] = pd.DataFrame(markers, index=adata.obs_names)
    return adata


@pytest.fixture
def adata():
    return cells(CD34=CD34)


@pytest.mark.parametrize(
    ("level", "expected"), [("high", HIGH), ("mid", MID), ("low", np.logical_not(HIGH))], ids=["high", "mid", "low"]
)
def test_levels_by_the_cells_that_express_the_marker(adata, level, expected):
    assert mo.pp.gate_cells(adata, {"in": {"CD34": level}}, markers="facs") is None
    np.testing.assert_array_equal(adata.obs["gate"] == "in", expected)
    np.testing.assert_array_equal(adata.obs["gate"].isna(), np.logical_not(expected))


def test_a_value_on_a_quartile_counts_as_below_it():
    """Quartiles 2, 3 and 4."""
    adata = cells(CD34=[1, 2, 3, 4, 5])
    mo.pp.gate_cells(adata, {"mid": {"CD34": "mid"}}, markers="facs")
    assert adata.obs["gate"].notna().tolist() == [False, False, True, True, False]


def test_equal_values_are_never_separated():
    """The median is 1, and no cell at 1 is high."""
    adata = cells(CD34=[1, 1, 1, 1, 2, 0])
    mo.pp.gate_cells(adata, {"high": {"CD34": "high"}, "low": {"CD34": "low"}}, markers="facs")
    assert list(adata.obs["gate"]) == ["low", "low", "low", "low", "high", "low"]


def test_all_cells_are_low_where_none_expresses_the_marker():
    adata = cells(CD34=[0.0, 0.0, -1.0])
    gates = {"low": {"CD34": "low"}, "mid": {"CD34": "mid"}, "high": {"CD34": "high"}}
    mo.pp.gate_cells(adata, gates, markers="facs")
    assert list(adata.obs["gate"]) == ["low"] * 3


def test_all_markers_of_a_gate_must_have_their_level():
    adata = cells(CD34=[1, 2, 3, 4], CD38=[4, 1, 2, 3])
    gates = {"stem": {"CD34": "high", "CD38": "low"}, "later": {"CD34": "high", "CD38": "high"}}
    mo.pp.gate_cells(adata, gates, markers="facs")
    assert list(adata.obs["gate"].astype(object).fillna("")) == ["", "", "stem", "later"]


def test_labels_are_ordered_as_given_also_those_without_cells(adata):
    gates = {"z": {"CD34": "high"}, "nobody": {"CD34": "high", "CD38": "high"}, "a": {"CD34": "low"}}
    adata.obsm["facs"]["CD38"] = 0
    mo.pp.gate_cells(adata, gates, markers="facs", key_added="mine")
    assert list(adata.obs["mine"].cat.categories) == ["z", "nobody", "a"]
    assert adata.obs["mine"].cat.ordered
    assert adata.obs["mine"].notna().all()


@pytest.mark.parametrize("markers", [["CD34"], {"CD34": "facs_cd34"}], ids=["list", "dict"])
def test_markers_in_obs(adata, markers):
    adata.obs["facs_cd34" if isinstance(markers, dict) else "CD34"] = CD34
    del adata.obsm["facs"]
    mo.pp.gate_cells(adata, {"in": {"CD34": "high"}}, markers=markers)
    np.testing.assert_array_equal(adata.obs["gate"] == "in", HIGH)


def test_cells_in_several_gates_get_no_label(adata):
    """Mid overlaps both: cells 1 and 6 are high and mid, cells 7 and 9 low and mid."""
    gates = {"high": {"CD34": "high"}, "mid": {"CD34": "mid"}, "low": {"CD34": "low"}}
    with pytest.warns(
        UserWarning, match=r"^4 cells are in more than one gate .*: high and mid \(2\), mid and low \(2\)\. Tell"
    ) as w:
        mo.pp.gate_cells(adata, gates, markers="facs")
    assert [warning.filename for warning in w] == [__file__]
    assert list(np.flatnonzero(adata.obs["gate"].isna())) == [1, 6, 7, 9]
    assert adata.obs["gate"].value_counts().to_dict() == {"high": 2, "mid": 0, "low": 6}


def test_copy_leaves_the_original(adata):
    changed = mo.pp.gate_cells(adata, {"in": {"CD34": "high"}}, markers="facs", copy=True)
    np.testing.assert_array_equal(changed.obs["gate"] == "in", HIGH)
    assert list(adata.obs) == []


def test_labels_survive_a_file(adata, tmp_path):
    mo.pp.gate_cells(adata, {"b": {"CD34": "high"}, "a": {"CD34": "low"}}, markers="facs")
    adata.write_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_series_equal(sc.read_h5ad(tmp_path / "a.h5ad").obs["gate"], adata.obs["gate"])


def test_the_table_of_the_paper_labels_every_kind_of_cell():
    """One bright cell of each kind among twelve dim ones, so that the median of every marker is the dim value."""
    bright = {
        "MEP": {"CD34", "CD38"},
        "CMP": {"CD34", "CD38", "CD135"},
        "GMP": {"CD34", "CD38", "CD135", "CD45RA"},
        "HSC": {"CD34", "CD90"},
        "MPP": {"CD34"},
        "MLP": {"CD34", "CD10", "CD45RA"},
        "granular": {"CD34", "SSC"},
        "lineage": {"CD34", "lin"},
        "mature": {"CD38", "CD135"},
    }
    kinds = [*bright, *["dim"] * 12]
    markers = ["CD34", "CD38", "CD10", "CD90", "CD135", "CD45RA", "SSC", "lin"]
    table = {marker: [9.0 if marker in bright.get(kind, ()) else 1.0 for kind in kinds] for marker in markers}
    adata = cells(**table, FSC=[5.0] * 9 + [1.0] * 6 + [9.0] * 6)  # quartiles 1 and 9
    mo.pp.gate_cells(adata, mo.presets.VELTEN_2017_GATES, markers="facs")
    assert adata.obs["gate"].astype(object).fillna("").tolist() == [
        "MEP",
        "CMP",
        "GMP",
        "HSC",
        "MPP",
        "MLP",
        *[""] * 15,
    ]


# Bad input


@pytest.mark.parametrize(
    ("gates", "error", "message"),
    [
        ({}, ValueError, r"there are no gates\. Write them as \{'HSC'"),
        ({"a": {}}, ValueError, r"gate 'a' has no markers, .* Add some"),
        ({"a": {"CD34": "High"}}, ValueError, r"CD34 of gate 'a' is 'High'; choose one of \['high', 'mid', 'low'\]"),
        ({"a": "CD34 high"}, TypeError, r"label → marker → level\. Write them as"),
        (["a"], TypeError, r"label → marker → level\. Write them as"),
        ({1: {"CD34": "high"}}, TypeError, r"label 1 of a gate is not text\. Write it as '1'"),
        ({"a": {"CD43": "high"}}, KeyError, r"not there: CD43\. There are \['CD34'\]: rename them"),
    ],
)
def test_gates_that_make_no_sense(adata, gates, error, message):
    with pytest.raises(error, match=message):
        mo.pp.gate_cells(adata, gates, markers="facs")
    assert list(adata.obs) == []


@pytest.mark.parametrize(
    ("markers", "error", "message"),
    [
        ("FACS", KeyError, r"no adata\.obsm\['FACS'\]\. Choose one of \['facs', 'array'\], or give markers= as a list"),
        ("array", TypeError, r"adata\.obsm\['array'\] has no column names\. Store it as a table: .*pd\.DataFrame"),
        (["CD34"], KeyError, r"markers='CD34' is not a column of adata\.obs\. Choose one of \['depth'\]"),
        ({"CD34": "cd34"}, KeyError, r"markers='cd34' is not a column of adata\.obs\. Choose one of \['depth'\]"),
    ],
)
def test_markers_that_are_not_there(adata, markers, error, message):
    adata.obsm["array"] = np.ones((12, 1))
    adata.obs["depth"] = 1.0
    with pytest.raises(error, match=message):
        mo.pp.gate_cells(adata, {"a": {"CD34": "high"}}, markers=markers)


@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_missing_values(adata, bad):
    adata.obsm["facs"]["CD34"] = [bad, *CD34[1:]]
    with pytest.raises(ValueError, match=r"marker 'CD34' is missing or infinite for 1 cell.* leave these cells out"):
        mo.pp.gate_cells(adata, {"a": {"CD34": "high"}}, markers="facs")
    assert "gate" not in adata.obs


def test_missing_values_of_a_marker_that_no_gate_uses(adata):
    adata.obsm["facs"]["CD38"] = np.nan
    mo.pp.gate_cells(adata, {"in": {"CD34": "high"}}, markers="facs")
    np.testing.assert_array_equal(adata.obs["gate"] == "in", HIGH)


def test_markers_that_are_no_numbers(adata):
    adata.obsm["facs"]["CD34"] = ["bright"] * 12
    with pytest.raises(TypeError, match=r"marker 'CD34' holds no numbers\. Convert it first"):
        mo.pp.gate_cells(adata, {"a": {"CD34": "high"}}, markers="facs")


def test_two_columns_of_one_name(adata):
    table = pd.concat([adata.obsm["facs"]] * 2, axis=1)
    adata.obsm["facs"] = table
    with pytest.raises(ValueError, match=r"two columns called 'CD34'\. Rename or drop"):
        mo.pp.gate_cells(adata, {"a": {"CD34": "high"}}, markers="facs")
    del adata.obsm["facs"]
    adata.obs = table
    with pytest.raises(ValueError, match=r"adata\.obs has 2 columns called 'CD34'\. Keep one of them"):
        mo.pp.gate_cells(adata, {"a": {"CD34": "high"}}, markers=["CD34"])
