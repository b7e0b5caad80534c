"""`modulae programmes`, `modulae call` and `modulae rank`, as a user types them."""

from argparse import Namespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae.__main__ import main
from modulae._cli.messages import in_options

QUICK = ["--max-epochs", "2", "--no-progress", "--device", "cpu"]


@pytest.fixture
def cells(tmp_path):
    """Cells in a file, and three of their programmes as a table of programmes × genes."""
    adata = mo.datasets.simulated(n_cells=120, n_genes=90, n_programmes=3, seed=0)
    adata.obs["person"] = [f"p{n % 6}" for n in range(adata.n_obs)]
    adata.obs["state"] = np.where(np.arange(adata.n_obs) % 6 < 3, "sick", "well")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    loadings = pd.DataFrame(adata.varm["truth_loadings"].T, columns=adata.var_names, index=["A", "B, late", "C"])
    loadings.to_csv(tmp_path / "catalogue.tsv", sep="\t")
    return tmp_path / "cells.h5ad", tmp_path / "catalogue.tsv"


@pytest.fixture
def taken(cells, tmp_path):
    """What `programmes import` writes."""
    words = ["programmes", "import", *map(str, cells), "--genes-in", "columns", "-o", str(tmp_path / "out.h5ad")]
    assert main([*words, *QUICK]) == 0
    return tmp_path / "out.h5ad"


def test_import_makes_the_model_that_python_makes(cells, tmp_path, capsys):
    taken = tmp_path / "out.h5ad"
    assert main(["programmes", "import", *map(str, cells), "--genes-in", "columns", "-o", str(taken), *QUICK]) == 0
    said = capsys.readouterr().out
    assert "120 cells, 90 genes, 3 programmes." in said
    assert "Written:" in said
    adata = ad.read_h5ad(cells[0])
    programmes = mo.read_programmes(cells[1], genes_in="columns")
    mo.tl.autoencoder(adata, loadings=programmes, max_epochs=2, device="cpu", progress=False)
    there = ad.read_h5ad(taken)
    np.testing.assert_allclose(there.obsm["X_ae"], adata.obsm["X_ae"], rtol=1e-5, atol=1e-6)
    assert there.uns["ae"]["model"]["unit_names"].tolist() == ["A", "B, late", "C"]
    table = pd.read_csv(taken.with_name("out_units.csv"), index_col="unit")
    assert sorted(table["name"]) == ["A", "B, late", "C"]


def test_fixed_loadings_stay_as_they_are(cells, tmp_path):
    words = ["programmes", "import", *map(str, cells), "--genes-in", "columns", "--fixed", "--key", "theirs"]
    assert main([*words, "-o", str(tmp_path / "out.h5ad"), *QUICK]) == 0
    adata = ad.read_h5ad(tmp_path / "out.h5ad")
    made, given = adata.varm["theirs_loadings"], mo.read_programmes(cells[1], genes_in="columns")
    np.testing.assert_allclose(made / made.max(axis=0), given / given.max(), rtol=1e-4, atol=1e-6)


def test_export_writes_what_python_writes(taken, tmp_path):
    adata = ad.read_h5ad(taken)
    words = ["programmes", "export", str(taken)]
    for name, options, given in (
        ("some.csv", ["--units", "2", "0"], {"units": [2, 0]}),
        ("named.csv", ["--units", "B, late", "A"], {"units": [1, 0]}),
        ("sets.gmt", ["--n-genes", "5"], {"n_genes": 5}),
        ("reference.tsv", ["--format", "starcat"], {"format": "starcat"}),
    ):
        assert main([*words, *options, "-o", str(tmp_path / f"ours_{name}")]) == 0
        mo.write_programmes(adata, tmp_path / f"theirs_{name}", **given)
        ours, theirs = ((tmp_path / f"{who}_{name}").read_text() for who in ("ours", "theirs"))
        assert ours == theirs
        assert len(ours.splitlines()) > 2


def test_match_compares_models_and_catalogues(cells, taken, tmp_path, capsys):
    table = tmp_path / "matched.csv"
    sets = tmp_path / "sets.gmt"
    assert main(["programmes", "export", str(taken), "-o", str(sets), "--n-genes", "10"]) == 0
    assert main(["programmes", "match", str(taken), str(cells[1]), "-o", str(table)]) == 0
    one = pd.read_csv(table, index_col="programme")
    assert one["partner"].to_dict() == {"A": "A", "B, late": "B, late", "C": "C"}
    assert "B, late" in capsys.readouterr().out
    assert main(["programmes", "match", str(taken), str(cells[1]), str(sets), "-o", str(table)]) == 0
    several = pd.read_csv(table, index_col=["other", "programme"])
    assert several.index.get_level_values("other").unique().tolist() == ["catalogue", "sets"]
    pd.testing.assert_frame_equal(several.loc["catalogue"], one)
    words = ["programmes", "match", str(taken), str(sets), "--of", "similarity", "-o", str(table)]
    assert main(words) == 0
    expected = mo.match_programmes(ad.read_h5ad(taken), sets, of="similarity")
    np.testing.assert_allclose(pd.read_csv(table, index_col=0), expected, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:for . of . units it can be decided:UserWarning")
def test_call_writes_the_tables_of_python(taken, tmp_path, capsys):
    table, cells = tmp_path / "called.csv", tmp_path / "cells.csv"
    words = ["call", str(taken), "--fdr", "0.2", "--device", "cpu", "--cells", str(cells), "-o", str(table)]
    assert main(words) == 0
    adata = ad.read_h5ad(taken)
    mo.tl.call_units(adata, fdr=0.2, device="cpu")
    expected = mo.get.unit_calls(adata)
    found = pd.read_csv(table, index_col=0, dtype={"unit": str})
    assert found.columns.tolist() == expected.columns.tolist()
    np.testing.assert_allclose(found["share_called"], expected["share_called"])
    on = pd.read_csv(cells, index_col=0)
    assert on.index.tolist() == adata.obs_names.tolist()
    assert on.shape == adata.obsm["ae_on"].shape
    assert (on == True).to_numpy().sum() == adata.obsm["ae_on"].sum()  # noqa: E712 (the others are False or unknown)
    np.testing.assert_array_equal(on.isna().to_numpy(), ~adata.obsm["ae_on_callable"])
    assert f"Written: {table}" in capsys.readouterr().out


def test_rank_writes_the_table_of_python(taken, tmp_path, capsys):
    table = tmp_path / "ranked.csv"
    words = ["rank", str(taken), "--groupby", "state", "--reference", "well", "--within", "group"]
    assert main([*words, "--donor-key", "person", "--min-cells", "4", "-o", str(table)]) == 0
    adata = ad.read_h5ad(taken)
    mo.tl.rank_units(adata, "state", reference="well", within="group", donor_key="person", min_cells=4)
    expected = mo.get.rank_units(adata)
    found = pd.read_csv(table)
    assert found.columns.tolist() == expected.columns.tolist()
    assert found["group"].unique().tolist() == ["sick"]
    assert found["over"].unique().tolist() == ["donors"]
    np.testing.assert_allclose(found["p"], expected["p"], rtol=1e-12)
    assert f"Written: {table}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["programmes", "import", "cells.h5ad", "nowhere.tsv"], "there is no file 'nowhere.tsv'"),
        (["programmes", "export", "out.h5ad", "--units", "7"], "unit 7 does not exist"),
        (["programmes", "export", "cells.h5ad"], "Run `modulae train`"),
        (["programmes", "match", "out.h5ad", "nowhere.tsv"], "there is no file 'nowhere.tsv'"),
        (["call", "out.h5ad", "--fdr", "2"], "fdr is 2.0; give a number above 0 and below 1"),
        (["rank", "out.h5ad", "--groupby", "condition"], "--groupby 'condition' is not a column of adata.obs"),
        (["rank", "out.h5ad", "--groupby", "state", "-o", "no/such/ranked.csv"], "can't be written. Give the path"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(taken, monkeypatch, capsys, words, message):
    monkeypatch.chdir(taken.parent)
    before = sorted(taken.parent.iterdir())
    capsys.readouterr()
    assert main(words) == 1
    assert message in capsys.readouterr().err
    assert sorted(taken.parent.iterdir()) == before


def test_a_table_that_lies_either_way_is_asked_about_in_options(cells, capsys, tmp_path):
    pd.DataFrame(np.eye(6), columns=list("abcdef"), index=list("uvwxyz")).to_csv(tmp_path / "square.csv")
    words = ["programmes", "import", str(cells[0]), str(tmp_path / "square.csv"), "-o", str(tmp_path / "out.h5ad")]
    assert main(words) == 1
    assert "Say it: --genes-in 'rows' or --genes-in 'columns'." in capsys.readouterr().err
    assert not (tmp_path / "out.h5ad").exists()


def test_a_comparison_in_a_message_is_a_command():
    ranks = "Compare: `mo.tl.rank_units(adata, groupby=...)`, `mo.tl.rank_units(adata, groupby=..., key='x')`."
    assert in_options(ranks, Namespace()) == (
        "Compare: `modulae rank FILE --groupby COLUMN`, `modulae rank FILE --groupby COLUMN --key 'x'`."
    )


def test_a_list_in_a_message_is_words_of_the_command():
    said = in_options("Name those you want: units=[0, 1], or one: units=3.", Namespace(units=None))
    assert said == "Name those you want: --units 0 1, or one: --units 3."


def test_programmes_need_an_action():
    with pytest.raises(SystemExit) as ended:
        main(["programmes"])
    assert ended.value.code == 2
