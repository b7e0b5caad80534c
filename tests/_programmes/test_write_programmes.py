"""What is written is read again, by us and as other tools expect it."""

import importlib.util
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest

import modulae as mo


@pytest.fixture(scope="module")
def trained():
    adata = mo.datasets.simulated(n_cells=200, n_genes=80, n_programmes=3, genes_per_programme=12, seed=2)
    adata.var["chosen"] = np.arange(80) % 10 != 0
    sets = mo.read_programmes(adata.uns["gene_sets"])
    table = sets.set_axis(["Interferon, late, in T, B, NK", "B", "C"], axis=1)
    mo.tl.autoencoder(adata, loadings=table, mask_var="chosen", max_epochs=4, device="cpu")
    return adata


@pytest.mark.parametrize("ending", ["tsv", "csv", "txt"])
def test_a_table_has_all_loadings_and_gives_the_same_model_again(trained, tmp_path, ending):
    mo.write_programmes(trained, tmp_path / f"programmes.{ending}")
    table = mo.read_programmes(tmp_path / f"programmes.{ending}")
    loadings = mo.get.loadings(trained).dropna()
    assert table.columns.tolist() == ["Interferon, late, in T, B, NK", "B", "C"]
    assert table.index.tolist() == loadings.index.tolist()
    np.testing.assert_array_equal(table.to_numpy().astype(np.float32), loadings.to_numpy())
    again = trained.copy()
    mo.tl.autoencoder(
        again, loadings=table, refine_loadings=False, mask_var="chosen", max_epochs=40, device="cpu", key_added="again"
    )
    fixed = mo.get.loadings(again, key="again").dropna().to_numpy()
    scale = fixed.max(axis=0) / loadings.to_numpy().max(axis=0)
    np.testing.assert_allclose(fixed, loadings.to_numpy() * scale, rtol=1e-5, atol=1e-7)
    r = np.corrcoef(trained.obsm["X_ae"].T, again.obsm["X_again"].T)[:3, 3:]
    assert (np.diag(r) > 0.9).all()


@pytest.mark.parametrize("ending", ["tsv", "gmt"])
def test_units_that_are_left_out_are_counted_and_can_be_kept(trained, tmp_path, ending):
    adata, path = trained.copy(), tmp_path / f"programmes.{ending}"
    adata.uns["ae"]["replication"] = {"reproducibility": np.array([0.5, 0.9, 0.2], np.float32), "level": 0.7}
    adata.uns["ae"].pop("whole", None)
    mo.tl.edit_units(adata, technical=[0])
    words = "2 of 3 units are not written: 1 with a reproducibility below 0.7, 1 marked as technical"
    adata.uns["ae"]["replication"]["reproducibility"][0] = np.nan
    with pytest.warns(UserWarning, match=rf"{words}\. .* units=\[0, 1, 2\]"):
        mo.write_programmes(adata, path)
    assert mo.read_programmes(path).columns.tolist() == ["B"]
    mo.write_programmes(adata, path, units=[0, 1, 2])
    assert mo.read_programmes(path).shape[1] == 3


def test_a_gmt_file_has_the_first_genes_of_the_naming_rank(trained, tmp_path):
    mo.write_programmes(trained, tmp_path / "programmes.gmt", n_genes=7)
    lines = [line.split("\t") for line in (tmp_path / "programmes.gmt").read_text().splitlines()]
    assert [line[:2] for line in lines] == [
        ["Interferon, late, in T, B, NK", "unit 0 of the model ae"],
        ["B", "unit 1 of the model ae"],
        ["C", "unit 2 of the model ae"],
    ]
    for unit, line in enumerate(lines):
        assert line[2:] == mo.get.top_genes(trained, unit=unit, n=7)["gene"].tolist()
    assert list(mo.read_gene_sets(tmp_path / "programmes.gmt")) == [
        "Interferon, late, in T, B, NK",
        "B",
        "C",
    ]


def test_a_starcat_reference_by_hand(trained, tmp_path):
    mo.write_programmes(trained, tmp_path / "blood.reference.tsv", format="starcat")
    table = pd.read_csv(tmp_path / "blood.reference.tsv", sep="\t", index_col=0)
    counts = pd.DataFrame(trained.X.toarray(), columns=trained.var_names)
    tpm = counts.div(counts.sum(axis=1), axis=0) * 1e6
    genes = trained.var_names[trained.var["chosen"]]
    model = trained.uns["ae"]["model"]
    v, b = (np.asarray(model[name], dtype=float) for name in ("loadings", "baseline"))
    activity = trained.obsm["X_ae"].astype(float)
    expected = []
    for unit in range(3):
        size = np.sqrt(np.mean(activity[:, unit] ** 2))
        expected.append(np.exp(b) * np.expm1(v[unit] * size))
    expected.append(np.expm1(b))
    expected = pd.DataFrame(expected, columns=genes)
    expected = (expected.div(expected.sum(axis=1), axis=0) * 1e6).div(tpm[genes].std(), axis=1)
    assert table.index.tolist() == ["Interferon, late, in T, B, NK", "B", "C", "baseline"]
    pd.testing.assert_frame_equal(table.reset_index(drop=True), expected[table.columns], rtol=1e-4)
    again = mo.read_programmes(tmp_path / "blood.reference.tsv")
    assert (again.shape, again.attrs["scale"]) == ((table.shape[1], 4), "scaled")


def test_units_are_chosen_and_named(trained, tmp_path):
    adata = trained.copy()
    adata.uns["ae"]["model"]["unit_names"] = np.array(["twice", "twice", ""], dtype=object)
    mo.write_programmes(adata, tmp_path / "some.tsv")
    names = ["twice (unit 0)", "twice (unit 1)", "unit 2"]
    assert mo.read_programmes(tmp_path / "some.tsv").columns.tolist() == names
    mo.write_programmes(adata, tmp_path / "some.tsv", units=[2, "0"])
    assert mo.read_programmes(tmp_path / "some.tsv").columns.tolist() == ["unit 2", "twice"]


def test_units_of_the_other_architecture_keep_their_signs(trained, tmp_path):
    adata = trained.copy()
    mo.tl.autoencoder(adata, architecture="orthogonal", n_latent=4, n_hidden=8, max_epochs=3, device="cpu")
    mo.write_programmes(adata, tmp_path / "signed.tsv")
    assert (mo.read_programmes(tmp_path / "signed.tsv") < 0).any(axis=None)
    mo.write_programmes(adata, tmp_path / "signed.gmt", n_genes=30)
    lines = [line.split("\t") for line in (tmp_path / "signed.gmt").read_text().splitlines()]
    for unit, line in enumerate(lines):  # a set has no signs: it is of the genes that the unit raises
        table = mo.get.top_genes(adata, unit=unit, n=30).set_index("gene")
        assert line[2:] == table.index[table["loading"] > 0].tolist()
    assert len(lines) == 4
    with pytest.raises(ValueError, match="Write a table"):
        mo.write_programmes(adata, tmp_path / "no.tsv", format="starcat")
    assert not (tmp_path / "no.tsv").exists()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"path": "nowhere/a.tsv"}, FileNotFoundError, "folder that exists"),
        ({"units": [3]}, KeyError, "Choose one up to 2"),
        ({"units": []}, ValueError, "units is empty"),
        ({"format": "xlsx"}, ValueError, "'excel'"),
        ({"n_genes": 0}, ValueError, "n_genes"),
        ({"key": "other"}, KeyError, "no model 'other'"),
    ],
)
def test_what_is_refused(trained, tmp_path, given, error, message):
    path = tmp_path / given.pop("path", "a.tsv")
    with pytest.raises(error, match=message):
        mo.write_programmes(trained, path, **given)
    assert not path.exists()


def test_mudata_as_the_evaluation_of_programmes_reads_it(trained, tmp_path):
    """The expressions are those of its dashboard and its evaluations."""
    pytest.importorskip("mudata", reason="needs modulae[exchange]: mudata")
    from anndata.io import read_elem

    adata = trained.copy()
    adata.layers["counts"], adata.X = adata.X, adata.X.log1p()
    mo.write_programmes(adata, tmp_path / "blood.h5mu", units=[2, 0], layer="counts")
    with h5py.File(tmp_path / "blood.h5mu") as file:  # mudata reads it so, with warnings of its own plans
        assert file.attrs["encoding-type"] == "MuData"
        encodings = []
        file.visititems(lambda _, item: encodings.append(item.attrs.get("encoding-type")))
        assert "string-array" in encodings
        assert "nullable-string-array" not in encodings
        prog, rna = (read_elem(file["mod"][name]) for name in ("prog", "rna"))
    genes = trained.var_names[trained.var["chosen"]].tolist()
    loadings = pd.DataFrame(prog.varm["loadings"], index=prog.var_names, columns=prog.uns["var_names"])
    assert loadings.index.tolist() == ["C", "Interferon, late, in T, B, NK"]
    assert loadings.columns.tolist() == genes == rna.var_names.tolist()
    expected = mo.get.loadings(trained).loc[genes, ["2", "0"]].to_numpy()
    np.testing.assert_array_equal(loadings.to_numpy(), expected.T)
    np.testing.assert_array_equal(prog.X, trained.obsm["X_ae"][:, [2, 0]])
    assert prog.obs_names.tolist() == rna.obs_names.tolist() == trained.obs_names.tolist()
    np.testing.assert_array_equal(rna.X.toarray(), trained[:, genes].X.toarray())
    assert rna.obs["group"].tolist() == trained.obs["group"].tolist()
    again = mo.read_programmes(tmp_path / "blood.h5mu")
    assert (again.columns.tolist(), again.attrs["layout"]) == (loadings.index.tolist(), "MuData")
    np.testing.assert_array_equal(again.to_numpy(), expected)


def test_mudata_without_programmes_or_with_several_is_refused(trained, tmp_path):
    mudata = pytest.importorskip("mudata", reason="needs modulae[exchange]: mudata")
    mo.write_programmes(trained, tmp_path / "one.h5mu")
    with warnings.catch_warnings(action="ignore"):
        one = mudata.read_h5mu(tmp_path / "one.h5mu")
        mudata.write_h5mu(tmp_path / "none.h5mu", mudata.MuData({"rna": one["rna"]}))
        parts = {"rna": one["rna"], "NMF_5": one["prog"], "NMF_9": one["prog"].copy()}
        mudata.write_h5mu(tmp_path / "two.h5mu", mudata.MuData(parts))
    with pytest.raises(ValueError, match="has no programmes"):
        mo.read_programmes(tmp_path / "none.h5mu")
    with pytest.raises(ValueError, match=r"NMF_5, NMF_9.*\['NMF_5'\]; table"):
        mo.read_programmes(tmp_path / "two.h5mu")


def test_a_workbook_has_every_table(trained, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs modulae[exchange]: openpyxl")
    adata = trained.copy()
    sets = adata.uns["gene_sets"]
    mo.tl.unit_summary(adata, sets, device="cpu", progress=False)
    mo.tl.pathway_impact(adata, sets, groupby="group", device="cpu", n_permutations=20)
    mo.tl.enrich_units(adata, sets, device="cpu")
    mo.tl.rank_units(adata, "group", key_added="a name that is longer than Excel takes: yes")
    mo.write_programmes(adata, tmp_path / "all.xlsx", n_genes=4)
    with (tmp_path / "all.xlsx").open("rb") as file:
        sheets = {sheet.title: list(sheet.values) for sheet in openpyxl.load_workbook(file)}
    names = [
        "about",
        "units",
        "loadings",
        "genes",
        "ae_enrichment",
        "ae_impact_group",
        "a name that is longer than Exce",
    ]
    assert list(sheets) == names
    assert [row[0] for row in sheets["about"][1:]] == ["units", "units left out", *names[2:]]
    assert sheets["about"][2][1] == "none"
    tables = {name: pd.DataFrame(rows[1:], columns=rows[0]) for name, rows in sheets.items()}
    assert tables["units"]["programme"].tolist() == ["Interferon, late, in T, B, NK", "B", "C"]
    effects = mo.get.unit_summary(adata)["effect"].loc[["0", "1", "2"]]
    np.testing.assert_allclose(tables["units"]["effect"], effects, rtol=1e-12)
    assert tables["genes"]["unit"].tolist() == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    ranked = tables[names[-1]]
    known = mo.get.rank_units(adata, result="a name that is longer than Excel takes: yes")
    assert ranked["name"].tolist() == known["name"].tolist()
    np.testing.assert_allclose(ranked["p"].astype(float), known["p"], rtol=1e-12)
    assert len(tables["ae_enrichment"]) == len(mo.get.enrichment(adata))
    assert len(tables["ae_impact_group"]) == len(mo.get.impact_table(adata, result="ae_impact_group"))
    again = mo.read_programmes(tmp_path / "all.xlsx")
    np.testing.assert_array_equal(again.to_numpy().astype(np.float32), mo.get.loadings(adata).dropna().to_numpy())


def test_a_workbook_says_which_units_it_leaves_out(trained, tmp_path):
    pytest.importorskip("openpyxl", reason="needs modulae[exchange]: openpyxl")
    adata = trained.copy()
    adata.uns["ae"]["replication"] = {"reproducibility": np.array([0.95, 0.5, 0.9], np.float32), "level": 0.7}
    adata.uns["ae"].pop("whole", None)
    mo.tl.unit_summary(adata, device="cpu", progress=False)
    with pytest.warns(UserWarning, match="1 of 3 units is not written"):
        mo.write_programmes(adata, tmp_path / "some.xlsx")
    mo.write_programmes(adata, tmp_path / "one.xlsx", units=[2])
    said = [pd.read_excel(tmp_path / f"{name}.xlsx", sheet_name="about", index_col=0) for name in ("some", "one")]
    some, one = (table["what it holds"] for table in said)
    assert some["units"] == "one row per programme: 2 of the 3 units of the model"
    assert some["units left out"].startswith("with a reproducibility below 0.7: 1. ")
    assert one["units left out"].startswith("not asked for: 0; with a reproducibility below 0.7: 1. ")


def test_a_name_is_no_formula(trained, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="needs modulae[exchange]: openpyxl")
    adata = trained.copy()
    adata.uns["ae"]["model"]["unit_names"] = np.array(["=1+1", "B", "C"], dtype=object)
    mo.write_programmes(adata, tmp_path / "all.xlsx")
    with (tmp_path / "all.xlsx").open("rb") as file:
        cell = openpyxl.load_workbook(file)["loadings"]["B1"]
    assert (cell.value, cell.data_type) == ("=1+1", "s")
    assert mo.read_programmes(tmp_path / "all.xlsx").columns.tolist() == ["=1+1", "B", "C"]


def test_a_workbook_of_somebody_else_is_read_from_its_first_sheet(tmp_path):
    pytest.importorskip("openpyxl", reason="needs modulae[exchange]: openpyxl")
    table = pd.DataFrame({"gene": ["MARCH1", "SEPT2", "CD3D"], "NMF1": [1.0, 0, 2], "NMF2": [0.5, 1, 0]})
    with (tmp_path / "theirs.xlsx").open("wb") as file, pd.ExcelWriter(file, engine="openpyxl") as workbook:
        table.to_excel(workbook, sheet_name="Table S3", index=False)
        pd.DataFrame({"a": [1]}).to_excel(workbook, sheet_name="Table S4")
    read = mo.read_programmes(tmp_path / "theirs.xlsx")
    assert (read.index.tolist(), read.columns.tolist()) == (table["gene"].tolist(), ["NMF1", "NMF2"])
    np.testing.assert_array_equal(read, table[["NMF1", "NMF2"]])


@pytest.mark.parametrize(("ending", "package"), [("h5mu", "mudata"), ("xlsx", "openpyxl")])
def test_what_a_file_needs_is_said_before_the_work(trained, tmp_path, monkeypatch, ending, package):
    real = importlib.util.find_spec
    monkeypatch.setattr("modulae._programmes.needed.find_spec", lambda name: None if name == package else real(name))
    with pytest.raises(ImportError, match=rf"needs {package}.*pip install 'modulae\[exchange\]'"):
        mo.write_programmes(trained, tmp_path / f"a.{ending}")
    assert not list(tmp_path.iterdir())
