"""The command line as a user types it."""

import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae.__main__ import main
from modulae._counts.layers import layer_names

ONCE = ["--splits", "0"]
"""One training."""


@pytest.fixture
def h5ad(tmp_path):
    adata = mo.datasets.simulated(n_cells=120, n_genes=90, n_programmes=3, seed=0)
    gmt = tmp_path / "sets.gmt"
    loadings = adata.varm["truth_loadings"]
    sets = {f"programme {i}": adata.var_names[loadings[:, i] > 0] for i in range(loadings.shape[1])}
    gmt.write_text("".join(f"{name}\t-\t" + "\t".join(genes) + "\n" for name, genes in sets.items()))
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    return path, gmt


def test_train_goes_on_from_a_checkpoint(h5ad, tmp_path, monkeypatch):
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "trained.h5ad"), "--max-epochs", "2", "--no-progress", *ONCE]
    words += ["--checkpoint", str(tmp_path / "run")]
    assert main(words) == 0
    first = ad.read_h5ad(tmp_path / "trained.h5ad").obsm["X_ae"]

    def never(*_):
        raise AssertionError("it had been trained already")

    monkeypatch.setattr("modulae.core.training.train.Trainer.epoch", never)
    assert main(words) == 0
    assert (ad.read_h5ad(tmp_path / "trained.h5ad").obsm["X_ae"] == first).all()


def test_train_with_batches(h5ad, tmp_path):
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "trained.h5ad"), "--max-epochs", "2", "--no-progress", *ONCE]
    adata = ad.read_h5ad(h5ad[0])
    adata.obs["sample"] = ["a", "b"] * (adata.n_obs // 2) + ["a"] * (adata.n_obs % 2)
    adata.write_h5ad(h5ad[0])
    assert main([*words, "--batch-key", "sample"]) == 0
    entry = ad.read_h5ad(tmp_path / "trained.h5ad").uns["ae"]
    assert entry["params"]["batch_key"] == "sample"
    assert list(entry["model"]["batches"]) == ["a", "b"]


@pytest.fixture
def rich(h5ad, tmp_path):
    """Cells with a field of every kind, as a file and as a folder."""
    adata = ad.read_h5ad(h5ad[0])
    adata.layers["dense"] = adata.X.toarray()
    adata.layers["twice"] = adata.X * 2
    adata.obsp["near"] = adata.X @ adata.X.T
    adata.raw = adata
    adata.obs["words"] = [f"cell {at}" for at in range(adata.n_obs)]
    adata.uns["number"] = 3
    adata.write_h5ad(tmp_path / "rich.h5ad")
    pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata's own plans for its formats
        adata.write_zarr(tmp_path / "rich.zarr")
    return adata


@pytest.mark.parametrize("read", ["h5ad", "zarr"])
@pytest.mark.parametrize("written", ["h5ad", "zarr"])
def test_all_that_a_file_has_is_in_the_trained_one(rich, tmp_path, read, written, monkeypatch):
    """Matrices are copied in small blocks, and the counts stay on disk."""
    monkeypatch.setattr("modulae._cli.stored_matrices.BYTES_AT_ONCE", 10_000)
    path = tmp_path / f"out.{written}"
    words = ["train", str(tmp_path / f"rich.{read}"), "-o", str(path), "--max-epochs", "1", "--no-progress", *ONCE]
    assert main([*words, "--memory-limit", "1KB", "--layer", "twice", "--device", "cpu"]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ad.read_h5ad(path) if written == "h5ad" else ad.read_zarr(path)
    pd.testing.assert_frame_equal(found.obs, rich.obs, check_categorical=False, check_dtype=False)
    assert (found.X != rich.X).nnz == 0
    assert (found.raw.X != rich.raw.X).nnz == 0
    assert (found.obsp["near"] != rich.obsp["near"]).nnz == 0
    assert (found.layers["twice"] != rich.layers["twice"]).nnz == 0
    np.testing.assert_array_equal(found.layers["dense"], rich.layers["dense"])
    assert found.uns["number"] == 3
    assert found.obsm["X_ae"].shape == (120, 32)
    assert "ae_saliency" in found.varm
    tables = ["out_loadings.csv", "out_units.csv"]
    assert sorted(path.name for path in tmp_path.glob("out*")) == sorted([path.name, *tables])


def test_a_trained_folder_can_be_explained(rich, h5ad, tmp_path):
    trained = tmp_path / "trained.zarr"
    words = ["train", str(tmp_path / "rich.zarr"), "-o", str(trained), "--max-epochs", "1", "--no-progress", *ONCE]
    assert main([*words, "--batch-size", "32"]) == 0
    sets = ["--gene-sets", str(h5ad[1]), "--groupby", "group"]
    assert main(["impact", str(trained), *sets, "-o", str(tmp_path / "results")]) == 0
    assert main(["report", str(trained), *sets, "-o", str(tmp_path / "page.html")]) == 0


def test_results_of_an_older_model_are_not_copied(h5ad, tmp_path):
    adata = ad.read_h5ad(h5ad[0])
    mo.tl.autoencoder(adata, n_splits=0, max_epochs=1, device="cpu")
    mo.tl.denoise(adata, device="cpu")
    adata.layers["mine"] = adata.X
    adata.write_h5ad(h5ad[0])
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "new.h5ad"), "--max-epochs", "1", "--no-progress", *ONCE]
    assert main(words) == 0
    assert layer_names(adata) == ["ae_denoised", "mine"]
    assert layer_names(ad.read_h5ad(tmp_path / "new.h5ad")) == ["mine"]


def test_the_settings_asked_for_are_those_trained_with(h5ad, tmp_path):
    path = tmp_path / "trained.h5ad"
    words = ["--max-epochs", "1", "--no-progress", *ONCE, "--architecture", "orthogonal", "--batch-size", "24"]
    assert main(["train", str(h5ad[0]), "-o", str(path), *words]) == 0
    params = ad.read_h5ad(path).uns["ae"]["params"]
    assert (params["architecture"], params["batch_size"]) == ("orthogonal", 24)


def test_a_file_that_could_not_be_written_leaves_the_old_one(h5ad, tmp_path, monkeypatch):
    path = tmp_path / "trained.h5ad"
    path.write_text("old")
    monkeypatch.setattr("modulae._cli.files.copy", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    assert main(["train", str(h5ad[0]), "-o", str(path), "--max-epochs", "1", "--no-progress", *ONCE]) == 1
    assert path.read_text() == "old"
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["cells.h5ad", "sets.gmt", "trained.h5ad", "trained.safetensors"]


def test_only_training_is_for_several_processes(h5ad, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert main(["impact", str(h5ad[0]), "--gene-sets", str(h5ad[1]), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "error (process 1 of 2): impact works in one process" in said
    assert "Start it without torchrun" in said


def test_train_then_impact(h5ad, tmp_path, capsys):
    path, gmt = h5ad
    trained, folder = tmp_path / "trained.h5ad", tmp_path / "results"
    every = [line.split("\t") for line in gmt.read_text().splitlines()]
    chosen = [gene for _, _, *genes in every for gene in genes[:-3]]
    gmt.write_text("".join("\t".join(line[:-3]) + "\n" for line in every))
    words = [
        "train",
        str(path),
        "--gene-sets",
        str(gmt),
        "--only-gene-sets",
        "-o",
        str(trained),
        "--max-epochs",
        "3",
        "--no-progress",
        *ONCE,
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    adata = ad.read_h5ad(trained)
    assert adata.var_names[adata.var["in_gene_sets"]].isin(chosen).all()
    assert 0 < adata.var["in_gene_sets"].sum() < 90
    assert f"{adata.var['in_gene_sets'].sum()} genes" in out
    assert adata.obsm["X_ae"].shape == (120, 32)
    assert main(["impact", str(trained), "--gene-sets", str(gmt), "--groupby", "group", "-o", str(folder)]) == 0
    table = pd.read_csv(folder / "impact_by_group.csv")
    assert set(table["group"]) == set(adata.obs["group"].astype(str))
    impact = pd.read_csv(folder / "impact.csv", index_col=0)
    assert impact.shape == (3, 32)
    assert impact.to_numpy().min() == 0
    assert impact.to_numpy().max() == 1
    assert (folder / "impact_groups.png").stat().st_size > 1000
    first = table[table["group"] == table["group"][0]].nlargest(1, "effect")["set"].iloc[0]
    assert first in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "nowhere.h5ad"], "there is no file nowhere.h5ad. Give the path"),
        (["impact", "nowhere.h5ad", "--gene-sets", "x.gmt"], "there is no file nowhere.h5ad"),
        (["train", "nowhere.h5ad", "-o", "no/such/folder/x.h5ad"], "can't be written. Give the path of a file"),
    ],
)
def test_what_is_wrong_is_said_on_stderr_with_exit_code_1(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_a_file_that_is_no_h5ad(tmp_path, capsys):
    path = tmp_path / "text.h5ad"
    path.write_text("not HDF5")
    assert main(["train", str(path), "-o", str(tmp_path / "out.h5ad")]) == 1
    assert "can't be read as .h5ad" in capsys.readouterr().err
    folder = tmp_path / "empty.zarr"
    folder.mkdir()
    pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    assert main(["train", str(folder), "-o", str(tmp_path / "out.h5ad")]) == 1
    assert "can't be read as .zarr" in capsys.readouterr().err


def test_impact_without_a_model_says_what_to_run(h5ad, tmp_path, capsys):
    path, gmt = h5ad
    given = ["impact", str(path), "--gene-sets", str(gmt), "-o", str(tmp_path / "out")]
    assert main(given) == 1
    assert "Run `modulae train` first" in capsys.readouterr().err
    assert main([*given, "--key", "my model"]) == 1
    assert "Run `modulae train --key 'my model'` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["impact", "x.h5ad"],
        ["train", "x", "--seed", "one"],
        ["train", "x", "--n-latent", "many"],
        ["train", "x", "--only-gene-sets"],
        ["train", "x", "--gene-sets", "y", "--only-gene-sets", "--variable-genes", "9"],
        ["impact", "x.h5ad", "--gene-sets", "x.gmt", "--groups", "a"],
        ["impact", "x.h5ad", "--gene-sets", "x.gmt", "--reference", "a"],
    ],
)
def test_words_that_make_no_sense_exit_with_2(words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert [name for name in ("demo", "train", "impact", "report") if f"\n    {name} " not in out] == []


def test_demo_does_the_whole_job(tmp_path, capsys):
    folder = tmp_path / "demo"
    assert main(["demo", "-o", str(folder), "--max-epochs", "12", "--no-progress", *ONCE]) == 0
    out = capsys.readouterr().out
    assert "700 cells" in out
    assert "CD19+ B" in out
    written = {path.name for path in folder.iterdir()}
    pictures = {"unit_summary", "units", "impact", "impact_groups"}
    tables = {"impact.csv", "impact_by_group.csv", "impact_by_group_and_unit.csv"}
    tables |= {"pbmc68k_units.csv", "pbmc68k_loadings.csv"}
    assert written == {f"{name}.png" for name in pictures} | tables | {"pbmc68k.h5ad"}
    again = ad.read_h5ad(folder / "pbmc68k.h5ad")
    assert mo.get.impact(again).shape[1] == 32
    encodings = []
    with h5py.File(folder / "pbmc68k.h5ad") as file:
        file.visititems(lambda _, item: encodings.append(item.attrs.get("encoding-type")))
    assert "string-array" in encodings
    assert "nullable-string-array" not in encodings  # which readers in R don't know


FOUND = {"n_splits": 3, "max_epochs": 2, "progress": False, "device": "cpu"}


def test_train_ends_in_tables_and_a_list_of_units(h5ad, tmp_path, capsys):
    """The default model; the same numbers as in Python, and gene sets that only explain."""
    path, gmt = h5ad
    words = ["train", str(path), "-o", str(tmp_path / "out.h5ad"), "--splits", "3", "--max-epochs", "2"]
    words += ["--no-progress", "--device", "cpu", "--gene-sets", str(gmt), "--groupby", "group"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    expected = ad.read_h5ad(path)
    mo.tl.autoencoder(expected, **FOUND)
    mo.tl.unit_summary(expected, str(gmt), groupby="group", progress=False, device="cpu")
    table = mo.get.unit_summary(expected)

    units = pd.read_csv(tmp_path / "out_units.csv", dtype={"unit": str}, index_col="unit")
    assert list(units.columns) == list(table.columns)
    assert list(units.index) == list(table.index)
    np.testing.assert_allclose(units["reproducibility"], table["reproducibility"], rtol=1e-5)
    loadings = pd.read_csv(tmp_path / "out_loadings.csv", index_col=0)
    assert list(loadings.index) == list(expected.var_names)
    np.testing.assert_allclose(loadings, expected.varm["ae_loadings"], rtol=1e-4, atol=1e-5)

    start = out.index("Programmes, their genes and groups, and how surely each would be found again:") + 1
    nameless = table["below_level"] | table["dead"]
    named = table[~nameless]
    start_of_files = start + len(named) + int(nameless.any())
    assert out[start_of_files].startswith("Written: ")
    for line, (unit, row) in zip(out[start:], named.iterrows(), strict=False):
        assert line.split()[:2] == [unit, f"{row['reproducibility']:.0%}"]
        assert ", ".join(row["top_genes_up"].split(";")[:5]) in line
        assert str(row["group"]) in line or row["group"] != row["group"]
    names = [f"out{end}" for end in (".h5ad", "_units.csv", "_loadings.csv")]
    assert out[start_of_files:] == [f"Written: {tmp_path / name}" for name in names]


def test_loadings_have_the_genes_of_the_model(h5ad, tmp_path, capsys):
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--max-epochs", "1", "--no-progress", *ONCE]
    assert main([*words, "--variable-genes", "40", "--n-latent", "6"]) == 0
    adata = ad.read_h5ad(tmp_path / "out.h5ad")
    assert adata.var["variable"].sum() == 40
    loadings = pd.read_csv(tmp_path / "out_loadings.csv", index_col=0)
    assert list(loadings.index) == list(adata.var_names[adata.var["variable"]])
    assert list(loadings.columns) == [str(unit) for unit in range(6)]
    out = capsys.readouterr().out
    assert "40 genes, 6 programmes" in out
    assert "one training does not say how sure they are" in out


def test_halves_of_donors(h5ad, tmp_path):
    adata = ad.read_h5ad(h5ad[0])
    adata.obs["donor"] = [f"donor {at % 6}" for at in range(adata.n_obs)]
    adata.write_h5ad(h5ad[0])
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--max-epochs", "1", "--no-progress"]
    assert main([*words, "--splits", "2", "--replicate-over", "donor", "--n-latent", "auto"]) == 0
    assert ad.read_h5ad(tmp_path / "out.h5ad").uns["ae"]["replication"]["replicate_over"] == "donor"


@pytest.mark.parametrize("name", ["units", "loadings"])
def test_a_table_that_can_not_be_written_is_refused_before_the_training(h5ad, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setattr("modulae.tl.autoencoder", lambda *_, **__: pytest.fail("it was trained"))
    (tmp_path / f"out_{name}.csv").mkdir()
    assert main(["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--no-progress", *ONCE]) == 1
    assert f"out_{name}.csv can't be written. Give the path of a file" in capsys.readouterr().err


def test_a_table_without_room_leaves_the_cells(h5ad, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--max-epochs", "1", "--no-progress", *ONCE]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "out.h5ad is whole, and yet" in said
    line = said.split("`")[1]
    assert eval(line, {"mo": mo}) is mo.get.unit_summary  # noqa: S307
    assert "ae_units" in ad.read_h5ad(tmp_path / "out.h5ad").uns


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--groupby", "kind"], "--groupby 'kind' is not a column of adata.obs. Choose one of ['group'"),
        (["--gene-sets", "other"], "no gene of the 1 gene set is in adata."),
    ],
)
def test_what_names_the_units_is_looked_at_before_the_training(h5ad, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.setattr("modulae.tl.autoencoder", lambda *_, **__: pytest.fail("it was trained"))
    (tmp_path / "other.gmt").write_text("a\t-\tNOT\tHERE\n")
    words = [str(tmp_path / "other.gmt") if word == "other" else word for word in words]
    assert main(["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--no-progress", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_mask_that_drops_markers_is_said_in_options(h5ad, tmp_path, capsys):
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--max-epochs", "1", "--no-progress", *ONCE]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main([*words, "--variable-genes", "20", "--n-latent", "3"]) == 0
    said = capsys.readouterr().err
    assert "the mask leaves out genes that mark" in said
    assert "Mark more genes: `--variable-genes 40`." in said
    assert "Train on all genes: leave out --variable-genes." in said


def test_report_of_a_trained_file(h5ad, tmp_path, capsys):
    path, gmt = h5ad
    trained, page = tmp_path / "trained.h5ad", tmp_path / "units.html"
    assert main(["train", str(path), "-o", str(trained), "--max-epochs", "2", "--no-progress", *ONCE]) == 0
    words = ["--gene-sets", str(gmt), "--groupby", "group", "--title", "Mine & yours", "--max-cells", "50"]
    adata = ad.read_h5ad(trained)
    adata.obsm["X_mine"] = adata.obsm["X_ae"][:, :2]
    adata.write_h5ad(trained)
    assert main(["report", str(trained), "-o", str(page), "--basis", "X_mine", *words]) == 0
    assert str(page) in capsys.readouterr().out
    html = page.read_text(encoding="utf-8")
    assert "<h1>Mine &amp; yours</h1>" in html
    assert "50 of 120 cells drawn" in html
    assert "X_mine" in html
    assert main(["report", str(path), "-o", str(page)]) == 1
    assert "Run `modulae train` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layer", "counts"], "there is no layer 'counts'. Take None for `.X`."),
        (["--batch-key", "donor"], "error: --batch-key 'donor' is not a column of adata.obs. Choose one of ['group'"),
        (["--seed", "-1"], "seed is -1; give a whole number from 0 to 4294967295, such as 0."),
        (["--splits", "-1"], "n_splits is -1; give a whole number of at least 0."),
        (["--splits", "0", "--n-latent", "900"], "n_latent is 900; with 108 training cells"),
        (["--splits", "0", "--n-latent", "900"], "Give --n-latent"),
        (["--splits", "7", "--architecture", "orthogonal"], "Leave out --splits, or take --architecture 'parts'."),
        (["--device", "abacus"], "Use --device 'auto' or --device 'cpu'."),
    ],
)
def test_errors_name_the_options_of_the_command(h5ad, tmp_path, capsys, words, message):
    assert main(["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--no-progress", *words]) == 1
    assert message in capsys.readouterr().err


def test_a_warning_is_a_line_in_the_words_of_the_command(h5ad, tmp_path, capsys):
    """Training and saliency both find that these are no counts."""
    adata = ad.read_h5ad(h5ad[0])
    adata.X = adata.X + 0.1 * adata.X.sqrt()
    adata.write_h5ad(h5ad[0])
    words = ["train", str(h5ad[0]), "-o", str(tmp_path / "out.h5ad"), "--max-epochs", "1", "--no-progress", *ONCE]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        assert main(words) == 0
        assert warnings.showwarning is before
    said = [line for line in capsys.readouterr().err.splitlines() if "whole numbers" in line]
    assert len(said) == 1
    assert said[0].startswith("modulae: warning: adata.X holds values that are not whole numbers")
    assert said[0].endswith("put them into a layer, and name it: --layer.")


@pytest.fixture
def full(monkeypatch):
    """No folder takes a new file, as for a user without the right to."""
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda **_: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )


@pytest.mark.parametrize("command", ["train", "impact", "report"])
def test_a_place_that_takes_no_file_is_refused_before_the_work(h5ad, tmp_path, capsys, monkeypatch, full, command):
    monkeypatch.setattr("modulae._cli.run.opened", lambda *_: pytest.fail("work was done"))
    sets = ["--gene-sets", str(h5ad[1])]
    assert main([command, str(h5ad[0]), *sets, "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert f"nothing can be written to {tmp_path} (Permission denied)" in said
    assert said.endswith("--output.\n")


def test_a_command_that_failed_leaves_no_folder(h5ad, tmp_path):
    words = ["impact", str(h5ad[0]), "--gene-sets", str(h5ad[1]), "-o", str(tmp_path / "a" / "b")]
    assert main(words) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "sets.gmt"]
    assert main([*words[:-1], str(h5ad[1] / "b")]) == 1


def test_groups_are_compared_as_asked(h5ad, tmp_path):
    trained = tmp_path / "trained.h5ad"
    assert main(["train", str(h5ad[0]), "-o", str(trained), "--max-epochs", "1", "--no-progress", *ONCE]) == 0
    words = ["impact", str(trained), "--gene-sets", str(h5ad[1]), "--groupby", "group", "--method", "guided"]
    adata = ad.read_h5ad(trained)
    for difference in ("activity", "saliency"):
        folder = tmp_path / difference
        assert main([*words, "--absolute", "--difference", difference, "-o", str(folder)]) == 0
        settings = {"method": "guided", "signed": False, "difference": difference}
        mo.tl.pathway_impact(adata, str(h5ad[1]), groupby="group", explanation=settings)
        expected = mo.get.impact_table(adata, result="ae_impact_group")["effect"]
        np.testing.assert_allclose(
            pd.read_csv(folder / "impact_by_group.csv")["effect"], expected, rtol=1e-4, atol=1e-7
        )


def test_a_file_of_several_tables_says_how_to_take_one_out(h5ad, tmp_path, capsys):
    """As `.h5mu` is laid out: the tables of cells are below `mod`, what they share is above."""
    path = tmp_path / "both.h5mu"
    with h5py.File(h5ad[0]) as one, h5py.File(path, "w") as both:
        for name in ("obs", "var"):
            one.copy(one[name], both, name)
        for name in ("prot", "rna"):
            one.copy(one["/"], both.require_group("mod"), name)
    assert main(["train", str(path), "-o", str(tmp_path / "out.h5ad"), "--no-progress", *ONCE]) == 1
    said = capsys.readouterr().err
    assert "holds several tables of cells (prot, rna)" in said
    assert f"`mudata.read_h5mu({str(path)!r})['rna'].write_h5ad('rna.h5ad')`" in said
    assert not (tmp_path / "out.h5ad").exists()
