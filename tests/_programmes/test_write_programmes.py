"""What is written is read again, by us and as other tools expect it."""

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
        ({"units": [3]}, IndexError, "Choose one up to 2"),
        ({"units": []}, ValueError, r"units=\[0, 1\]"),
        ({"format": "xlsx"}, ValueError, "format"),
        ({"n_genes": 0}, ValueError, "n_genes"),
        ({"key": "other"}, KeyError, "no model 'other'"),
    ],
)
def test_what_is_refused(trained, tmp_path, given, error, message):
    path = tmp_path / given.pop("path", "a.tsv")
    with pytest.raises(error, match=message):
        mo.write_programmes(trained, path, **given)
    assert not path.exists()
