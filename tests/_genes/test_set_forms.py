"""Weights, nested sets, files without descriptions, tables in files: what is meant is read, nothing is lost unsaid."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modulae as mo

SIGNED = {"T": ["CD3D", "CD3E"], "T (negative)": ["CD19"]}
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


@pytest.fixture
def file(tmp_path):
    def write(text, name="sets.gmt"):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def silent(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return mo.read_gene_sets(source)


# Signs


def net(weights, column="weight"):
    return pd.DataFrame({"source": "T", "target": ["CD3D", "CD3E", "CD19"], column: weights})


@pytest.mark.parametrize(
    "source",
    [
        net([1, 2.5, -1]),
        net([1, 1, -1], "mor"),
        net(["1", " 2.5", "-1.0"]),
        net(pd.Categorical(["1", "1", "-1"]), "mor"),
        net(["activation", "Activation", "repression"], "interaction"),
        net(["+", "+", "-"], "sign"),
        net([1, 1, -1], "interaction"),
        {"T": {"CD3D": 1.0, "CD3E": 0.1, "CD19": -2}},
        {"T": {"CD3D": "1.0", "CD3E": "up", "CD19": "-2"}},
        {"T": pd.Series({"CD3D": 1.0, "CD3E": 0.1, "CD19": -2})},
        {"T": ["CD3D,1.0", "CD3E,.5", "CD19,-1"]},
        {"T": ["CD3D", "CD3E", "CD19, -1e-3"]},
    ],
)
def test_genes_with_weights_below_0_are_a_set_of_their_own(source):
    with pytest.warns(UserWarning, match=r"1 gene set has genes with negative weights\. .* 'T \(negative\)'") as caught:
        assert mo.read_gene_sets(source) == SIGNED
    assert [warning.filename for warning in caught] == [__file__]


def test_signs_in_files(file):
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(file("T\t\tCD3D,1.0\tCD3E,2\tCD19,-1.0\n")) == SIGNED
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(file("T\t\tCD19,-1.0\n")) == {"T (negative)": ["CD19"]}


@given(weights=st.lists(st.integers(-2, 2), min_size=1, max_size=8), as_text=st.booleans(), form=st.integers(0, 3))
def test_no_gene_is_lost_and_none_changes_sides(weights, as_text, form):
    genes = [f"GENE{at}" for at in range(len(weights))]
    given_weights = [f"{weight}.0" for weight in weights] if as_text else weights
    source = [
        pd.DataFrame({"source": "T", "target": genes, "weight": given_weights}),
        pd.DataFrame({"source": "T", "target": genes, "mor": pd.Categorical(given_weights)}),
        {"T": dict(zip(genes, given_weights, strict=True))},
        {"T": [f"{gene},{weight}" for gene, weight in zip(genes, given_weights, strict=True)]},
    ][form]
    up = [gene for gene, weight in zip(genes, weights, strict=True) if weight > 0]
    down = [gene for gene, weight in zip(genes, weights, strict=True) if weight < 0]
    expected = {name: some for name, some in (("T", up), ("T (negative)", down)) if some}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if not expected:
            with pytest.raises(ValueError, match="no gene sets with genes"):
                mo.read_gene_sets(source)
            return
        assert mo.read_gene_sets(source) == expected
    said = " ".join(str(warning.message) for warning in caught)
    assert ("negative weights" in said) == bool(down)
    assert (f"{weights.count(0)} gene" in said and "of weight 0" in said) == (0 in weights)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (net([1, np.nan, -1]), r"'weight' of the table has 1 value .* such as nan.*`table\.drop\(columns='weight'\)`"),
        (net(["high", "1", "-1"]), r"such as 'high'\. Give numbers, below 0"),
        (net(["activation", "unknown", "repression"], "interaction"), "'interaction' of the table.*'unknown'"),
        ({"T": {"CD3D": 1.0, "CD19": float("nan")}}, r"gene set 'T' has 1 value.*`list\(sets\['T'\]\)`"),
        ({"T": {"CD3D": -1.0, "CD19": None}}, r"gene set 'T' has 1 value.*such as None"),
        ({"T": {"CD3D": -1, "CD19": pd.NA}}, r"gene set 'T' has 1 value.*such as <NA>"),
    ],
)
def test_weights_that_say_nothing_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        mo.read_gene_sets(source)


def test_columns_that_hold_no_weights_are_not_read():
    assert silent(net(["binding", "SIGNOR-1", "x"], "interaction")) == {"T": ["CD3D", "CD3E", "CD19"]}
    assert silent(net(["a", "b", "c"], "direction")) == {"T": ["CD3D", "CD3E", "CD19"]}


@pytest.mark.parametrize("name", ["MOR", "Weight", " weight "])
def test_capitals_of_the_column_do_not_matter(name):
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(net([1, 2, -1], name)) == {"T": ["CD3D", "CD3E"], "T (negative)": ["CD19"]}


def test_numbers_below_0_that_are_not_read_are_said():
    with pytest.warns(UserWarning, match="'logFC' of the table has numbers below 0, which are not read") as caught:
        assert mo.read_gene_sets(net([1.5, 2, -1], "logFC")) == {"T": ["CD3D", "CD3E", "CD19"]}
    renamed = eval(str(caught[0].message).split("`")[1], {"table": net([1.5, 2, -1], "logFC")})  # noqa: S307
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(renamed)["T (negative)"] == ["CD19"]
    assert silent(net([1.5, 2, 1], "logFC")) == {"T": ["CD3D", "CD3E", "CD19"]}


# Nested


def test_sets_within_cell_types_keep_both_names():
    nested = {
        "T cell": {"activation": ["CD69", "IL2"], "rest": ("SELL",)},
        "B cell": {"core": {"MS4A1"}},
        "all": ["B2M"],
    }
    assert silent(nested) == {
        "T cell: activation": ["CD69", "IL2"],
        "T cell: rest": ["SELL"],
        "B cell: core": ["MS4A1"],
        "all": ["B2M"],
    }
    assert silent({1: {2: ["CD3D"]}}) == {"1: 2": ["CD3D"]}
    assert silent({"T": dict.fromkeys(["CD3D", "CD3E"])}) == {"T": ["CD3D", "CD3E"]}


# Files


GMT = "T\tCD3D\tCD3E\tLCK\nNK\tNKG7\tGNLY\tCD3D\nTNK\tLCK\tNKG7\tCD3E\n"


def test_without_descriptions_the_first_gene_is_one(file):
    path = file(GMT)
    with pytest.warns(
        UserWarning, match=r"has no descriptions: the second field .* is a gene \(CD3D, NKG7, LCK\)"
    ) as seen:
        assert mo.read_gene_sets(path) == {
            "T": ["CD3D", "CD3E", "LCK"],
            "NK": ["NKG7", "GNLY", "CD3D"],
            "TNK": ["LCK", "NKG7", "CD3E"],
        }
    assert [warning.filename for warning in seen] == [__file__]
    ids = "\n".join(f"S{at}\tENSG0000000000{at}\tENSG0000000001{at}" for at in range(3))
    with pytest.warns(UserWarning, match="no descriptions"):
        assert all(len(genes) == 2 for genes in mo.read_gene_sets(file(ids)).values())


@pytest.mark.parametrize(
    "descriptions",
    [
        ["na", "NA", "n/a"],
        ["", "", ""],
        ["https://www.gsea-msigdb.org/gsea/T", "http://x", "ftp://y"],
        ["CD3D CD3E", "LCK and others", "the NKG7 cells"],
        ["T", "NK", "TNK"],
        ["Blood", "Blood", "Blood"],
        ["R-HSA-109581", "R-HSA-202403", "R-HSA-1"],
        ["hsa04660", "hsa04650", "hsa00010"],
        ["M5905", "M5906", "MM3"],
        ["WP23", "WP477", "WP100"],
        ["KEGG2021", "KEGG2022", "KEGG2023"],
    ],
)
def test_descriptions_stay_descriptions(file, descriptions):
    lines = [line.split("\t") for line in GMT.strip().split("\n")]
    text = "\n".join("\t".join([name, what, *genes]) for (name, *genes), what in zip(lines, descriptions, strict=True))
    assert silent(file(text)) == {name: genes for name, *genes in lines}


def test_a_regulator_named_in_its_set_is_a_description(file):
    assert silent(file("STAT1_targets\tSTAT1\tIRF1\tIRF7\nIRF1_targets\tIRF1\tSTAT1\tB2M\n"))["IRF1_targets"] == [
        "STAT1",
        "B2M",
    ]


@pytest.mark.parametrize("text", ["T\tCD3D\tCD3E\nB\tCD79A\tMS4A1\n", "T\tCD3D\tCD3E\n"])
def test_where_it_cannot_be_told_the_user_is_asked(file, text):
    with pytest.warns(UserWarning, match=r"looks like a gene \(CD3D.*If it is a gene, put a description"):
        assert mo.read_gene_sets(file(text))["T"] == ["CD3E"]


def test_entrez_ids_without_descriptions(file):
    with pytest.warns(UserWarning, match=r"second field .* is a gene \(920, 930, 915\)"):
        assert mo.read_gene_sets(file("T\t920\t915\t3932\nB\t930\t931\t920\nC\t915\t930\t931\n")) == {
            "T": ["920", "915", "3932"],
            "B": ["930", "931", "920"],
            "C": ["915", "930", "931"],
        }
    numbers_of_genes = "T\t2\t920\t915\nB\t3\t930\t931\t920\n"
    assert silent(file(numbers_of_genes)) == {"T": ["920", "915"], "B": ["930", "931", "920"]}


def test_columns_under_another_ending_are_refused(file):
    path = file("T\tB\tNK\nna\tNA\t\nCD3D\tCD79A\tNKG7\nCD3E\tMS4A1\tGNLY\n", "sets.txt")
    with pytest.raises(ValueError, match=r"has its sets in columns\. Rename it .*: sets\.gmx"):
        mo.read_gene_sets(path)
    assert silent(file("T\tna\tCD3D\nB\tna\tCD79A\nNK\tna\tNKG7\n")) == {"T": ["CD3D"], "B": ["CD79A"], "NK": ["NKG7"]}


def test_a_table_with_semicolons(file):
    path = file("source;target;weight\nT;CD3D;1\nT;CD19;-1\n", "net.csv")
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(path) == {"T": ["CD3D"], "T (negative)": ["CD19"]}


@pytest.mark.parametrize("name", ["sets.gmx", "sets.gmx.gz"])
def test_gmx_has_its_sets_as_columns(file, name):
    assert silent(file("T\tB\nna\tof B cells\nCD3D\tCD79A\nCD3E\t\n", name)) == {"T": ["CD3D", "CD3E"], "B": ["CD79A"]}


@pytest.mark.parametrize("index", [False, True])
@pytest.mark.parametrize("name", ["net.csv", "net.tsv", "net.txt", "net.csv.gz", "net.tsv.gz"])
def test_a_network_saved_as_a_table(tmp_path, name, index):
    path = tmp_path / name
    net([1, 0.5, -1]).to_csv(path, sep="," if ".csv" in name else "\t", index=index)
    with pytest.warns(UserWarning, match="negative weights"):
        assert mo.read_gene_sets(path) == SIGNED


def test_a_csv_file_with_other_columns(file):
    with pytest.raises(ValueError, match=r"no columns source and target, only \['T', 'B'\]\.") as caught:
        mo.read_gene_sets(path := file("T,B\nCD3D,CD79A\nCD3E,\n", "wide.csv"))
    assert str(path) in str(caught.value)
    line = str(caught.value).split("`")[1]
    assert silent(eval(line, {"pandas": pd})) == {"T": ["CD3D", "CD3E"], "B": ["CD79A"]}  # noqa: S307 (what it says to run)


def test_tables_of_other_packages_get_the_line_that_renames():
    table = pd.DataFrame({"gs_name": ["T"], "gene_symbol": ["CD3D"]})
    with pytest.raises(ValueError, match="no column 'source'") as caught:
        mo.read_gene_sets(table)
    line = str(caught.value).split("`")[1]
    assert silent(eval(line, {"table": table})) == {"T": ["CD3D"]}  # noqa: S307 (what it says to run)


GENES = st.lists(st.from_regex(r"[A-Z]{3,5}[0-9]", fullmatch=True), min_size=2, max_size=5, unique=True)


@SAME_FOLDER
@given(sets=st.dictionaries(st.sampled_from(["alpha", "beta", "gamma"]), GENES, min_size=1), form=st.integers(0, 3))
def test_every_form_of_the_same_sets_reads_the_same(tmp_path, sets, form):
    rows = [(name, gene) for name, genes in sets.items() for gene in genes]
    table = pd.DataFrame(rows, columns=["source", "target"])
    names = ["net.csv", "net.tsv", "sets.gmx", "sets.gmt"]
    path = tmp_path / names[form]
    if form < 2:
        table.to_csv(path, sep=",\t"[form], index=False)
    else:
        lines = [[name, "na", *genes] for name, genes in sets.items()]
        if form == 2:
            longest = max(map(len, lines))
            lines = list(zip(*(line + [""] * (longest - len(line)) for line in lines), strict=True))
        path.write_text("\n".join("\t".join(line) for line in lines))
    assert silent(path) == silent(table) == sets


# Genes


@pytest.mark.parametrize("missing", [float("nan"), None, pd.NA, pd.NaT, np.float64("nan")])
@pytest.mark.parametrize(
    "make", [list, tuple, lambda genes: pd.Series(genes, dtype=object), lambda g: np.array(g, object)]
)
def test_missing_genes_are_left_out_and_counted(make, missing):
    with pytest.warns(UserWarning, match="2 genes of 1 gene set are missing .* left out: T"):
        assert mo.read_gene_sets({"T": make(["CD3D", missing, " CD3E ", missing, "CD3D"])}) == {"T": ["CD3D", "CD3E"]}


@pytest.mark.parametrize("gene", ["A,B,C", "CD3D, CD3E", "CD3D;CD3E", "CD3D CD3E", "CD3D /// CD3E", "CD3D|CD3E"])
def test_several_genes_in_one_text_are_refused(file, gene):
    for source in ({"T": [gene]}, pd.DataFrame({"source": ["T"], "target": [gene]}), file(f"T\tna\t{gene}\n")):
        with pytest.raises(ValueError, match=r"as one gene, which looks like \d\. Give them one by one: \["):
            mo.read_gene_sets(source)


def test_a_text_in_place_of_a_list_is_split_in_the_advice():
    with pytest.raises(TypeError, match=r"Write \{'T': \['CD3D', 'CD3E'\]\}"):
        mo.read_gene_sets({"T": "CD3D,CD3E"})


@pytest.mark.parametrize("gene", ["1-Mar", "2-Sep", "Dec-01", "2024-03-01", "2024-09-02 00:00:00", "2.31E+13"])
def test_what_excel_made_of_names_is_pointed_out(gene):
    with pytest.warns(UserWarning, match=rf"1 gene looks like dates or numbers.*{gene[:4]}.*Correct"):
        assert mo.read_gene_sets({"T": ["CD3D", gene]}) == {"T": ["CD3D", gene]}


@pytest.mark.parametrize("gene", ["not a gene", "1,2-diol", "CD3", "CD3,1.0", "RP11-34P13.7", "Y chromosome"])
def test_one_gene_is_one(gene):
    assert silent({"T": [gene]}) == {"T": ["CD3" if gene == "CD3,1.0" else gene]}


def test_older_names_are_no_dates():
    genes = ["MARCH1", "SEPT2", "DEC1", "MARCHF1", "NKX2-1", "H2-K1", "1700001C02Rik"]
    assert silent({"T": genes}) == {"T": genes}
