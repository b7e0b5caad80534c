"""Programmes in the layouts that other tools write, as their documentation has them."""

import gzip

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import NMF

import modulae as mo

GENES = ["CD3D", "CD3E", "LYZ", "S100A8", "MS4A1"]
WEIGHTS = np.array([[4.0, 0.0], [3.0, 0.5], [0.0, 2.0], [0.25, 1.0], [1.0, 8.0]])  # genes × programmes


def check(table, *, names, scale, layout=None, weights=WEIGHTS, genes=GENES):
    assert table.index.tolist() == genes
    assert table.columns.tolist() == names
    assert (table.index.name, table.columns.name) == ("gene", "programme")
    np.testing.assert_array_equal(table.to_numpy(), weights)
    assert table.attrs["scale"] == scale
    if layout is not None:
        assert table.attrs["layout"] == layout


CNMF = "\tCD3D\tCD3E\tLYZ\tS100A8\tMS4A1\n1\t4.0\t3.0\t0.0\t0.25\t1.0\n2\t0.0\t0.5\t2.0\t1.0\t8.0\n"


@pytest.mark.parametrize(
    ("name", "scale", "layout"),
    [
        ("run.gene_spectra_tpm.k_2.dt_0_1.txt", "tpm", "cNMF spectra in TPM"),
        ("run.gene_spectra_score.k_2.dt_0_1.txt", "z_score", "cNMF z-scores"),
        ("run.spectra.k_2.dt_0_1.consensus.txt", "scaled", "cNMF consensus spectra"),
        ("run.starcat_spectra.k_2.dt_0_1.txt", "scaled", "starCAT reference"),
        ("TCAT.V1.reference.tsv", "scaled", "starCAT reference"),
        ("plain.tsv", "weights", "table"),
    ],
)
def test_programmes_in_rows_with_the_scale_by_the_name_of_the_file(tmp_path, name, scale, layout):
    (tmp_path / name).write_text(CNMF)
    check(mo.read_programmes(tmp_path / name), names=["1", "2"], scale=scale, layout=layout)
    check(mo.read_programmes(str(tmp_path / name), scale="counts"), names=["1", "2"], scale="counts")


def test_the_same_gzipped(tmp_path):
    path = tmp_path / "run.gene_spectra_tpm.k_2.dt_0_1.txt.gz"
    path.write_bytes(gzip.compress(CNMF.encode()))
    check(mo.read_programmes(path), names=["1", "2"], scale="tpm")


@pytest.mark.parametrize(
    ("names", "layout"),
    [(["Z_0", "Z_1"], "scvi-tools LinearSCVI"), (["DR 1+", "DR 1-"], "DRVI"), (["pattern1", "pattern2"], "table")],
)
def test_genes_in_rows(tmp_path, names, layout):
    table = pd.DataFrame(WEIGHTS - 1, index=GENES, columns=names)
    table.to_csv(tmp_path / "loadings.csv")
    for given in (tmp_path / "loadings.csv", table):
        check(mo.read_programmes(given), names=names, scale="weights", layout=layout, weights=WEIGHTS - 1)


def test_meta_programmes_of_genenmf_as_lists_and_with_weights(tmp_path):
    (tmp_path / "mp_genes.csv").write_text('"","MP1","MP2"\n"1","CD3D","LYZ"\n"2","CD3E","S100A8"\n"3","LYZ",NA\n')
    listed = mo.read_programmes(tmp_path / "mp_genes.csv")
    expected = {"CD3D": (1, 0), "CD3E": (1, 0), "LYZ": (1, 1), "S100A8": (0, 1)}
    check(listed, names=["MP1", "MP2"], scale="weights", weights=np.array([*expected.values()]), genes=[*expected])

    (tmp_path / "mp_weights.csv").write_text("metaprogram,gene,weight\nMP1,CD3D,0.5\nMP2,CD3D,0.1\nMP2,LYZ,0.9\n")
    weighted = mo.read_programmes(tmp_path / "mp_weights.csv")
    check(weighted, names=["MP1", "MP2"], scale="weights", weights=[[0.5, 0.1], [0, 0.9]], genes=["CD3D", "LYZ"])


def test_factors_of_spectra_with_their_long_names():
    names = ["0-X-global-X-all_IFN", "1-X-T cell-X-TCR"]
    table = pd.DataFrame(WEIGHTS.T, index=names, columns=GENES)
    check(mo.read_programmes(table), names=names, scale="weights")


def test_gene_sets(tmp_path):
    (tmp_path / "sets.gmt").write_text("T cell\tna\tCD3D\tCD3E\nMonocyte\tna\tLYZ\tCD3E\n")
    expected = np.array([[1, 0], [1, 1], [0, 1]])
    for given in (tmp_path / "sets.gmt", {"T cell": ["CD3D", "CD3E"], "Monocyte": ["LYZ", "CD3E"]}):
        table = mo.read_programmes(given).loc[["CD3D", "CD3E", "LYZ"]]
        check(table, names=["T cell", "Monocyte"], scale="weights", weights=expected, genes=["CD3D", "CD3E", "LYZ"])
    weighted = mo.read_programmes({"a": {"CD3D": 2.0, "LYZ": -1.0}, "b": {"LYZ": 3}})
    check(weighted, names=["a", "b"], scale="weights", weights=[[2, 0], [-1, 3]], genes=["CD3D", "LYZ"])


def test_a_decomposition_of_scikit_learn_and_an_array():
    counts = pd.DataFrame(np.random.default_rng(0).poisson(2.0, (30, 5)).astype(float), columns=GENES)
    model = NMF(2, init="nndsvda", random_state=0, max_iter=2000).fit(counts)
    check(
        mo.read_programmes(model), names=["0", "1"], scale="weights", layout="scikit-learn", weights=model.components_.T
    )
    check(mo.read_programmes(WEIGHTS.T, genes=GENES, scale="log1p"), names=["0", "1"], scale="log1p")
    with pytest.raises(ValueError, match=r"5 columns, and there are no names of genes.*genes=adata\.var_names"):
        mo.read_programmes(WEIGHTS.T)


def test_a_table_that_was_read_stays_what_it_is():
    once = mo.read_programmes(pd.DataFrame(WEIGHTS, GENES, ["Z_0", "Z_1"]), scale="counts")
    check(mo.read_programmes(once), names=["Z_0", "Z_1"], scale="counts", layout="scvi-tools LinearSCVI")
    two_by_two = mo.read_programmes(once.iloc[:2])  # could lie either way, and is known
    assert two_by_two.shape == (2, 2)


def test_genes_without_numbers_are_left_out():
    table = pd.DataFrame(WEIGHTS, GENES, ["Z_0", "Z_1"])
    table.iloc[2, 0] = np.nan
    assert mo.read_programmes(table).index.tolist() == ["CD3D", "CD3E", "S100A8", "MS4A1"]


SQUARE = pd.DataFrame(np.eye(2), index=["CD3D", "LYZ"], columns=["x", "y"])


def test_which_way_a_table_lies_is_asked_where_it_is_not_clear():
    with pytest.raises(ValueError, match="genes_in='rows' or genes_in='columns'"):
        mo.read_programmes(SQUARE)
    assert mo.read_programmes(SQUARE, genes_in="rows").index.tolist() == ["CD3D", "LYZ"]
    assert mo.read_programmes(SQUARE, genes_in="columns").index.tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("source", "given", "error", "message"),
    [
        (pd.DataFrame(WEIGHTS, ["a", "a", "b", "c", "d"], ["Z_0", "Z_1"]), {}, ValueError, "more than once.*groupby"),
        (pd.DataFrame(WEIGHTS, GENES, ["x", "x"]), {}, ValueError, "same name.*Rename"),
        (pd.DataFrame(WEIGHTS * [1, 0], GENES, ["x", "y"]), {}, ValueError, r"1 programme has no weights \(y\)"),
        (pd.DataFrame(WEIGHTS, GENES, ["x", "y"]).replace(8, np.inf), {}, ValueError, "infinite.*replace"),
        (pd.DataFrame(np.full((5, 2), "a"), GENES, ["x", "y"]), {}, TypeError, "no numbers"),
        (pd.DataFrame(WEIGHTS, GENES, ["x", "y"]), {"scale": "log"}, ValueError, "scale"),
        (pd.DataFrame(WEIGHTS, GENES, ["x", "y"]), {"genes_in": "index"}, ValueError, "genes_in"),
        (pd.DataFrame(WEIGHTS, ["a", None, "b", "c", "d"], ["x", "y"]), {}, ValueError, "no name.*notna"),
        (3, {}, TypeError, "can't be read from int.*Give the path"),
        ("nowhere.csv", {}, FileNotFoundError, "no file 'nowhere.csv'"),
    ],
)
def test_what_is_refused(source, given, error, message):
    with pytest.raises(error, match=message):
        mo.read_programmes(source, **given)


def test_files_of_another_kind_are_refused(tmp_path):
    for name, message in {
        "run.gene_spectra_tpm.k_2.dt_0_1.df.npz": r"ends in \.txt",
        "run.usages.k_2.dt_0_1.consensus.txt": "cells × programmes.*gene_spectra_tpm",
        "twice.csv": "'CD3D' twice in 'MP1'.*drop_duplicates",
    }.items():
        (tmp_path / name).write_text("metaprogram,gene\nMP1,CD3D\nMP1,CD3D\n")
        with pytest.raises(ValueError, match=message):
            mo.read_programmes(tmp_path / name)
