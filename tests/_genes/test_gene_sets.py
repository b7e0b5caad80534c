"""Gene sets in every form they come in, and what broken ones are told."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import modulae as mo
from modulae._genes.gene_sets import explain_mismatch, found_sets, genes_in_data

T_AND_B = {"T": ["CD3D", "CD3E"], "B": ["CD79A"]}

# no field separators, no line ends, none of the surrogates that no file can hold
WORDS = st.text(
    st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1
)
SAME_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def gmt(tmp_path):
    """Write a GMT file from text or bytes."""

    def write(content, name="sets.gmt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def enrichr(monkeypatch):
    """Enrichr with one library, and no network."""
    asked = {}

    def get_library(name, *, organism, max_size):
        asked.update(name=name, organism=organism, max_size=max_size)
        return {"T": ["CD3D", "CD3E"], "B": ["CD79A"]}

    monkeypatch.setattr("gseapy.get_library_name", lambda **_: ["KEGG_2021_Human", "MSigDB_Hallmark_2020"])
    monkeypatch.setattr("gseapy.get_library", get_library)
    return asked


# Every form says the same


def test_dict():
    assert mo.read_gene_sets(T_AND_B) == T_AND_B


@pytest.mark.parametrize("make", [tuple, np.array, pd.Series, pd.Index, iter, dict.fromkeys], ids=lambda f: f.__name__)
def test_genes_in_any_iterable_become_plain_lists(make):
    read = mo.read_gene_sets({"T": make(["CD3E", "CD3D"])})
    assert read == {"T": ["CD3E", "CD3D"]}
    assert type(read["T"]) is list
    assert {type(gene) for gene in read["T"]} == {str}


def test_python_sets_have_no_order_and_get_one():
    genes = {f"G{i}" for i in range(50)}
    assert mo.read_gene_sets({"a": genes}) == {"a": sorted(genes)}


@pytest.mark.parametrize("as_given", [str, Path])
@pytest.mark.parametrize("packed", [False, True])
def test_gmt_file(gmt, as_given, packed):
    content = b"T\tof the thymus\tCD3D\tCD3E\nB\t\tCD79A\n"
    path = gmt(gzip.compress(content), "sets.gmt.gz") if packed else gmt(content)
    assert mo.read_gene_sets(as_given(path)) == T_AND_B


def test_gmt_file_without_a_telling_suffix(gmt, monkeypatch):
    """A text without a suffix is taken for a library only where there is no such file."""
    monkeypatch.chdir(gmt("T\td\tCD3D\n", "KEGG_2021_Human").parent)
    assert mo.read_gene_sets("KEGG_2021_Human") == {"T": ["CD3D"]}


def test_weights_below_0_turn_the_meaning_around_and_are_pointed_out():
    table = pd.DataFrame({"source": ["T", "T"], "target": ["CD3D", "CD19"], "weight": [1, -1]})
    with pytest.warns(UserWarning, match=r"1 gene set has genes with negative weights.*'T \(negative\)'") as caught:
        assert mo.read_gene_sets(table) == {"T": ["CD3D"], "T (negative)": ["CD19"]}
    assert [warning.filename for warning in caught] == [__file__]


def test_table_of_decoupler_keeps_the_order_and_ignores_weights():
    table = pd.DataFrame({"source": ["T", "B", "T"], "target": ["CD3D", "CD79A", "CD3E"], "weight": [1.0, 2.0, 3.0]})
    assert list(mo.read_gene_sets(table).items()) == list(T_AND_B.items())
    assert mo.read_gene_sets(table.astype({"source": "category", "target": "category"})) == T_AND_B


def test_enrichr_library(enrichr):
    """Large sets come too: gseapy would drop those above 2000 genes unasked."""
    assert mo.read_gene_sets("MSigDB_Hallmark_2020", organism="mouse") == T_AND_B
    assert enrichr["name"] == "MSigDB_Hallmark_2020"
    assert enrichr["organism"] == "mouse"
    assert enrichr["max_size"] > 100_000


# What files have in them that nobody sees


@pytest.mark.parametrize(
    "content",
    [
        b"T\td\tCD3D\tCD3E\r\nB\td\tCD79A\r\n",
        b"T\td\tCD3D\tCD3E\rB\td\tCD79A\r",
        b"\xef\xbb\xbfT\td\tCD3D\tCD3E\nB\td\tCD79A",
        b"T\td\tCD3D\tCD3E\t\t\t\nB\td\tCD79A\t\n",
        b"\n\nT\td\tCD3D\tCD3E\n   \n\t\t\nB\td\tCD79A\n\n",
        b" T \td\t CD3D\tCD3E \n B\td\t CD79A \n",
        b"T\td\tCD3D\tCD3E\tCD3D\nB\td\tCD79A\tCD79A\n",
        b"T\t\tCD3D,1.0\tCD3E,0.25\nB\t\tCD79A,3e-05\n",
    ],
    ids=["windows", "old mac", "byte order mark", "trailing tabs", "blank lines", "spaces", "twice", "weights"],
)
def test_gmt_file_that_looks_the_same(gmt, content):
    assert mo.read_gene_sets(gmt(content)) == T_AND_B


def test_names_beyond_ascii_and_with_commas_stay(gmt):
    path = gmt("Th17 γδ-Zellen\td\tIL17Å\t1,2-diol\tHLA-DRB1\n")
    assert mo.read_gene_sets(path) == {"Th17 γδ-Zellen": ["IL17Å", "1,2-diol", "HLA-DRB1"]}


@SAME_FILE
@given(
    sets=st.dictionaries(WORDS, st.lists(WORDS, min_size=1), min_size=1),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.sampled_from(["", "\ufeff"]),
    blank=st.booleans(),
)
def test_what_is_written_is_what_is_read(tmp_path, sets, end, mark, blank):
    """Whatever the names, the repetitions and the line ends."""
    sets = {name: genes for name, genes in sets.items() if not any("," in gene for gene in genes)} or {"a": ["b"]}
    if next(iter(sets)).startswith("\ufeff"):
        sets = {"a": ["b"]}
    lines = ["\t".join([name, "from hypothesis", *genes, *genes[:2]]) for name, genes in sets.items()]
    path = tmp_path / "sets.gmt"
    path.write_bytes((mark + (end * (1 + blank)).join(lines) + end).encode())
    assert mo.read_gene_sets(path) == {name: list(dict.fromkeys(genes)) for name, genes in sets.items()}


@SAME_FILE
@given(content=st.binary() | st.lists(st.sampled_from(["T", "\t", "\n", "\r\n", "G", "é", ",1.0", " "])).map("".join))
@example(content=b"\x1f\x8b")
@example(content=b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03no")
@example(content="T\td\tA\nT\td\tB")
def test_any_file_is_read_or_refused_in_words(tmp_path, content):
    """Never another error than one that names the file, never a set without genes."""
    path = tmp_path / "sets.gmt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            read = mo.read_gene_sets(path)
        except ValueError as error:
            assert "sets.gmt" in str(error)  # noqa: PT017
            assert str(error).endswith((".", "again."))  # noqa: PT017
            return
    assert read
    assert all(genes and len(set(genes)) == len(genes) and all(genes) for genes in read.values())


# Sets without genes


def test_sets_without_genes_are_left_out_and_named(gmt):
    path = gmt("T\td\tCD3D\nno_genes\td\nonly_blanks\td\t \t\n")
    with pytest.warns(
        UserWarning, match=r"2 gene sets have no genes and are left out: no_genes, only_blanks\."
    ) as seen:
        assert mo.read_gene_sets(path) == {"T": ["CD3D"]}
    assert seen[0].filename == __file__, "the warning points at the user's line"


def test_the_warning_points_at_the_user_also_from_within_the_package():
    adata = mo.datasets.simulated(n_cells=5, n_genes=4, n_programmes=1, genes_per_programme=2, n_groups=1)
    with pytest.warns(UserWarning, match="left out: empty") as seen:
        mo.pp.gene_set_mask(adata, {"all": list(adata.var_names), "empty": []})
    assert seen[0].filename == __file__


@pytest.mark.parametrize("source", [{}, {"a": []}, {"a": [" "]}, pd.DataFrame({"source": [], "target": []})])
def test_no_genes_at_all(source):
    with pytest.raises(ValueError, match=r"no gene sets with genes in the (dict|DataFrame)\. .*one set per line"):
        mo.read_gene_sets(source)


def test_empty_file(gmt):
    path = gmt("")
    with pytest.raises(ValueError, match=r"no gene sets with genes in '.*sets\.gmt'"):
        mo.read_gene_sets(path)


# Broken input, by the message that a user sees


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"T\td\tCD3D\n\nB CD79A CD79B\n", r"sets\.gmt, line 3 has no tab\. Write it as: name, tab, description, tab"),
        (b"T\td\tCD3D\r\nB CD79A CD79B\r\n", r"sets\.gmt, line 2 has no tab\. Write it as"),
        (b"T\td\tCD3D\n\td\tCD79A\n", r"sets\.gmt, line 2 has no name before the first tab\. Write it as"),
        (b"T\td\tCD3D\nB\td\tX\n T\td\tCD3E\n", r"sets\.gmt, lines 1 and 3 both call their set 'T'\. Rename one"),
        (b"T\td\tCD3D\nB\td\t\xff\xfe\n", r"sets\.gmt, line 2 is not UTF-8 text\. Save the file as UTF-8"),
        (gzip.compress(b"T\td\tCD3D\n" * 99)[:-9], r"sets\.gmt is a damaged gzip file .* download it again"),
    ],
    ids=["spaces", "windows", "no name", "twice", "not utf-8", "truncated"],
)
def test_broken_gmt_file(gmt, content, message):
    path = gmt(content)
    with pytest.raises(ValueError, match=message):
        mo.read_gene_sets(path)


@pytest.mark.parametrize(
    "path", ["nowhere.gmt", "nowhere.gmt.gz", "data/nowhere", "C:\\data\\nowhere", Path("nowhere")]
)
def test_a_path_without_a_file(path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist \(looked from .*\)\. Give the path of a GMT"):
        mo.read_gene_sets(path)


def test_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is a folder .* Give the path of a GMT file"):
        mo.read_gene_sets(tmp_path)


def test_the_contents_of_a_file_in_place_of_its_path():
    with pytest.raises(ValueError, match=r"contents of a file\. Give the path"):
        mo.read_gene_sets("T\td\tCD3D\n")


@pytest.mark.parametrize("genes", ["CD3D", b"CD3D", 3, None])
def test_one_gene_in_place_of_a_list(genes):
    with pytest.raises(TypeError, match=r"gene set 'T' is .*, not a list of genes\. Write \{'T': \[.*\]\}"):
        mo.read_gene_sets({"T": genes})


@pytest.mark.parametrize("gene", [915, b"CD3E", ("CD3E",), pd.Timestamp(2024, 3, 1)])
def test_genes_that_are_not_text(gene):
    with pytest.raises(TypeError, match=r"gene set 'T' has .* among its genes\. Give gene names, as text"):
        mo.read_gene_sets({"T": ["CD3D", gene]})


def test_set_names_that_are_not_text():
    with pytest.raises(TypeError, match=r"name of a gene set is 7, not text\. Give it as text: '7'"):
        mo.read_gene_sets({7: ["CD3D"]})


def test_set_names_that_are_blank():
    with pytest.raises(ValueError, match=r"without a name has the genes CD3D, CD3E\. Give it a name"):
        mo.read_gene_sets({" ": ["CD3D", "CD3E"]})


def test_set_names_that_become_equal():
    with pytest.raises(ValueError, match=r"two gene sets called 'T'\. Rename one"):
        mo.read_gene_sets({"T": ["CD3D"], "T ": ["CD3E"]})


def test_table_with_other_columns():
    table = pd.DataFrame({"geneset": ["T"], "target": ["CD3D"]})
    with pytest.raises(ValueError, match=r"no column 'source', only \['geneset', 'target'\]\. Rename the column"):
        mo.read_gene_sets(table)


def test_table_with_missing_values():
    table = pd.DataFrame({"source": ["T", None, "B"], "target": ["CD3D", "CD3E", np.nan]})
    with pytest.raises(ValueError, match=r"2 rows of the table .* Drop them: `table\.dropna"):
        mo.read_gene_sets(table)


@pytest.mark.parametrize("source", [["CD3D", "CD3E"], None, 5])
def test_other_things(source):
    with pytest.raises(TypeError, match=r"can't be read from (list|NoneType|int)\. Give a dict of set name → genes"):
        mo.read_gene_sets(source)


def test_unknown_library(enrichr):
    with pytest.raises(
        ValueError, match=r"neither a file nor an Enrichr library for human\. Similar names: \['MSigDB_Hall"
    ):
        mo.read_gene_sets("MSigDB_Hallmark_2021")
    assert enrichr == {}, "nothing was downloaded"


def test_unknown_library_like_none(enrichr):
    with pytest.raises(ValueError, match=r"for fly\. `gseapy\.get_library_name\(\)` lists the libraries"):
        mo.read_gene_sets("zzz", organism="fly")


@pytest.mark.parametrize("fails", ["get_library_name", "get_library"])
def test_no_network(enrichr, monkeypatch, fails):
    def unreachable(*args, **kwargs):
        raise requests.ConnectionError

    monkeypatch.setattr(f"gseapy.{fails}", unreachable)
    with pytest.raises(ConnectionError, match=r"no file, and Enrichr.* can't be reached\. .* download a GMT file"):
        mo.read_gene_sets("KEGG_2021_Human")


# Which genes the data have


def test_positions_are_by_name_and_ascending():
    sets = {"T": ["i", "zzz", "b", "i"], "B": ["zzz"]}
    found = genes_in_data(sets, list("abcdefghi"))
    assert list(found) == ["T", "B"]
    np.testing.assert_array_equal(found["T"], [1, 8])
    assert found["T"].dtype == found["B"].dtype == np.intp
    assert found["B"].shape == (0,)


def test_positions_need_unique_names():
    with pytest.raises(ValueError, match=r"more than once\. Run `adata\.var_names_make_unique\(\)` first"):
        genes_in_data({"T": ["a"]}, ["a", "b", "a"])


def test_found_sets_leaves_out_those_without_genes():
    names, positions = found_sets({"B": ["zzz"], "T": ["a"]}, np.array(["b", "a"]))
    assert names == ["T"]
    np.testing.assert_array_equal(positions, [[1]])


def test_nothing_found_names_examples_of_both():
    with pytest.raises(
        ValueError, match=r"no gene of the 2 gene sets is in the model\. .*CD3D, CD3E.*the model such as X, Y"
    ):
        found_sets(T_AND_B, ["X", "Y"], where="the model")


# Why few genes are found


@pytest.mark.parametrize(
    ("sets", "names", "message"),
    [
        (["CD3D", "CD3E"], ["Cd3d", "Cd3e"], r"only when case is ignored \(sets: CD3D, data: Cd3d\).* of the species"),
        (["Cd3d", "Cd3e"], ["CD3D", "CD3E"], r"only when case is ignored \(sets: Cd3d, data: CD3D\).* of the species"),
        (
            ["CD3D", "CD3E"],
            ["ENSG00000167286", "ENSG00000198851.4", "MALAT1"],
            r"name symbols \(such as CD3D\), the data Ensembl ids \(ENSG…\) \(such as ENSG00000167286\)\. Put the sym",
        ),
        (
            ["ENSG00000167286"],
            ["CD3D", "CD3E"],
            r"Ensembl ids.* the data symbols \(such as CD3D\)\. Use gene sets with symbols",
        ),
        (["ENSG00000167286"], ["ENSMUSG00000032094"], r"ENSG….*ENSMUSG….* Use gene sets with Ensembl ids \(ENSMUSG…\)"),
        (["915", "916"], ["CD3D", "CD3E"], r"sets name Entrez ids \(such as 915\).* Use gene sets with symbols"),
        (
            ["ENSG00000167286"],
            ["ENSG00000167286.9"],
            r"only without their versions.* Remove them: `adata\.var_names = ",
        ),
    ],
    ids=["human sets", "mouse sets", "Ensembl data", "Ensembl sets", "species", "Entrez", "versions"],
)
def test_known_reasons(sets, names, message):
    reason = explain_mismatch({"a": sets}, names)
    with pytest.raises(ValueError, match=message):
        found_sets({"a": sets}, names)
    assert reason.endswith((".", "`."))


@pytest.mark.parametrize(
    "names",
    [["CD3D", "CD3E", "C1orf21"], ["X", "Y"], [], ["C1ORF21", "CD3D"]],
    ids=["found", "unrelated", "empty", "one by case"],
)
def test_no_reason_where_none_is_known(names):
    assert explain_mismatch({"a": ["CD3D", "C1orf21"]}, names) == ""


def test_versions_are_removed_by_the_advice():
    names = pd.Index(["ENSG00000167286.9", "MALAT1"])
    assert list(names.str.replace(r"\.\d+$", "", regex=True)) == ["ENSG00000167286", "MALAT1"]
    assert r'str.replace(r"\.\d+$", "", regex=True)' in explain_mismatch({"a": ["ENSG00000167286"]}, names)


# Real files


def test_msigdb_and_xcell_files(data_dir):
    hallmark = mo.read_gene_sets(data_dir / "hallmark_human_v2025.gmt")
    assert len(hallmark) == 50
    assert len(hallmark["HALLMARK_ADIPOGENESIS"]) == 200
    assert len(mo.read_gene_sets(data_dir / "xcell_novershtern_DMAP.gmt")) == 72


def test_mouse_sets_on_human_sets_are_recognised(data_dir):
    human = mo.read_gene_sets(data_dir / "hallmark_human_v2025.gmt")
    mouse = mo.read_gene_sets(data_dir / "hallmark_mouse_v2025.gmt")
    names = sorted({gene for genes in human.values() for gene in genes})
    assert "only when case is ignored (sets: Abca1, data: ABCA1)" in explain_mismatch(mouse, names)
    assert explain_mismatch(human, names) == ""
