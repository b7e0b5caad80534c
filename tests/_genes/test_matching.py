"""Which gene is which."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modulae._genes.matching import explain_few, explain_no_match, match_genes, orthologue_table

SYMBOLS = ["CD3D", "LYZ", "MS4A1"]
IDS = ["ENSG00000167286", "ENSG00000090382", "ENSG00000156738"]


def columns(model, data, **options):
    return match_genes(model, data, **options).columns.tolist()


def test_by_name_in_any_order():
    assert columns([SYMBOLS], [["LYZ", "X", "CD3D"]]) == [2, 0, -1]


def test_versions_of_ensembl_ids_do_not_count():
    assert columns([IDS], [["ENSG00000156738.18", "ENSG00000167286.10"]]) == [1, -1, 0]
    assert columns([["ENSG00000167286.3"]], [["ENSG00000167286"]]) == [0]


def test_a_dot_in_a_symbol_is_no_version():
    assert columns([["RP11-34P13.7"]], [["RP11-34P13"]]) == [-1]


def test_identifiers_match_where_names_do_not():
    assert columns([SYMBOLS, IDS], [["a", "b"], [IDS[2], IDS[0]]]) == [1, -1, 0]


def test_names_go_before_identifiers():
    assert columns([["CD3D"], [IDS[0]]], [["other", "CD3D"], [IDS[0], ""]]) == [1]


def test_a_gene_with_two_rows_is_ambiguous_and_not_found():
    match = match_genes([IDS], [[f"{IDS[0]}.1", f"{IDS[0]}.2", IDS[1]]])
    assert match.columns.tolist() == [-1, 2, -1]
    assert match.ambiguous == [IDS[0]]


def test_the_exact_name_settles_what_versions_leave_open():
    assert columns([["ENSG00000167286.2"]], [["ENSG00000167286.1", "ENSG00000167286.2"]]) == [1]


def test_capitals_only_on_request():
    assert columns([SYMBOLS], [["Cd3d", "Lyz"]]) == [-1, -1, -1]
    assert columns([SYMBOLS], [["Cd3d", "Lyz"]], upper_case=True) == [0, 1, -1]


def test_orthologues_are_translated_one_to_one():
    table = pd.DataFrame(
        {"mouse": ["Lyz1", "Lyz2", "Cd3d", "Ms4a1", "Ms4a1", None], "human": ["LYZ", "LYZ", "CD3D", "MS4A1", "X", "Y"]}
    )
    orthologues = orthologue_table(table)
    assert orthologues == {"Cd3d": "CD3D"}
    assert columns([SYMBOLS], [["Lyz2", "Cd3d", "Ms4a1"]], orthologues=orthologues) == [1, -1, -1]


def test_orthologues_of_versioned_ids():
    assert columns([SYMBOLS], [["ENSMUSG00000032094.8"]], orthologues={"ENSMUSG00000032094": "CD3D"}) == [0, -1, -1]


def test_a_table_with_one_column_is_refused():
    with pytest.raises(TypeError, match="two columns"):
        orthologue_table(pd.DataFrame({"mouse": ["Lyz1"]}))


def test_few_matches_are_explained_where_capitals_are_why():
    """Some symbols, as those of mitochondrial genes in some files, are alike in both species."""
    model = [f"GENE{i}" for i in range(10)]
    assert "upper_case=True" in explain_few(model, ["GENE0", *(f"Gene{i}" for i in range(1, 10))], 1)
    assert explain_few(model, model[:3], 3) == ""


@pytest.mark.parametrize(
    ("data", "step"), [(["Cd3d"], "upper_case=True"), (IDS, "gene_ids="), (["YAL001C"], "same species")]
)
def test_a_failed_match_names_the_next_step(data, step):
    assert step in explain_no_match(SYMBOLS, data)


NAMES = st.lists(
    st.sampled_from([*SYMBOLS, *IDS, *(f"{name}.{v}" for name in IDS for v in (1, 2)), "Lyz"]), unique=True
)


@given(NAMES.filter(bool), NAMES, st.booleans())
def test_no_gene_is_used_twice_and_every_match_is_a_name(model, data, upper_case):
    match = match_genes([model], [data], upper_case=upper_case)
    used = match.columns[match.found]
    assert len(set(used)) == len(used)
    for gene, column in zip(model, match.columns, strict=True):
        if column >= 0:
            assert data[column].split(".")[0].upper() == gene.split(".")[0].upper()


@given(NAMES.filter(bool), st.randoms())
def test_equal_names_always_match(names, random):
    shuffled = random.sample(names, len(names))
    assert [shuffled[at] for at in match_genes([names], [shuffled]).columns] == names


def test_a_row_that_is_taken_by_name_is_not_taken_again_by_its_identifier():
    assert columns([["A", "B"], ["x", "y"]], [["A"], ["y"]]) == [0, -1]
