"""What `modulae train` writes: nothing is lost, whichever versions wrote the cells, and whatever happens in between."""

import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo
from modulae.__main__ import main
from modulae._counts.layers import layer_names

QUICK = ["--max-epochs", "1", "--splits", "0", "--no-progress", "--device", "cpu"]
# 60 cells teach 32 units little
pytestmark = pytest.mark.filterwarnings("ignore:the held-out loss never fell:UserWarning")


@contextmanager
def as_any_version():
    """Let anndata write what one of its versions refuses by default; its plans for its formats are not ours."""
    free = {"allow_write_nullable_strings": True, "disallow_forward_slash_in_h5ad": False, "auto_shard_zarr_v3": False}
    with ad.settings.override(**free), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def cells():
    adata = mo.datasets.simulated(n_cells=60, n_genes=40, n_programmes=3, genes_per_programme=10, seed=0)
    adata.obs["sample"] = pd.array([None, "a", "b"] * 20, dtype="string")
    adata.obs["n"] = pd.array([None, 1, 2] * 20, dtype="Int64")
    adata.obs_names = pd.Index(adata.obs_names, dtype="string")
    adata.var_names = pd.Index(adata.var_names, dtype="string")
    adata.layers["dense"] = adata.X.toarray()
    adata.layers["columns"] = sparse.csc_matrix(adata.X)
    adata.obsp["near"] = adata.X @ adata.X.T
    adata.varp["near"] = (adata.X.T @ adata.X).toarray()
    adata.raw = adata
    adata.uns["deep"] = {"words": np.array(["a", "b"]), "number": 3}
    return adata


def write(adata, path, form=3):
    with as_any_version():
        if path.suffix == ".h5ad":
            adata.write_h5ad(path)
        else:
            with ad.settings.override(zarr_write_format=form):
                adata.write_zarr(path)


def read(path):
    with as_any_version():
        return ad.read_h5ad(path) if path.suffix == ".h5ad" else ad.read_zarr(path)


def train(source, output, *words):
    return main(["train", str(source), "-o", str(output), *QUICK, *words])


def same(left, right):
    return (sparse.csr_matrix(left) != sparse.csr_matrix(right)).nnz == 0


def is_nullable(path, name):
    """Whether a table's part is stored in the encoding that the other version chokes on."""
    if path.suffix == ".h5ad":
        import h5py

        with h5py.File(path) as file:
            return file[name].attrs["encoding-type"] == "nullable-string-array"
    import zarr

    return zarr.open_group(path, mode="r")[name].attrs["encoding-type"] == "nullable-string-array"


@pytest.mark.parametrize("written", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", ["h5ad", 2, 3])
def test_nullable_texts_and_all_matrices_come_through(tmp_path, monkeypatch, form, written):
    """In small blocks; names, texts with gaps, layers of every kind, pairs of cells and of genes, raw."""
    if "zarr" in {form, written} or form != "h5ad":
        pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    monkeypatch.setattr("modulae._cli.stored_matrices.BYTES_AT_ONCE", 7000)
    before, output = cells(), tmp_path / f"out.{written}"
    source = tmp_path / ("cells.h5ad" if form == "h5ad" else "cells.zarr")
    write(before, source, form)
    assert is_nullable(source, "obs/_index")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own plans for its format
        assert train(source, output) == 0
    after = read(output)
    assert list(after.obs_names) == list(before.obs_names)
    assert list(after.var_names) == list(before.var_names)
    assert after.obs["sample"].isna().tolist() == [True, False, False] * 20
    assert after.obs["sample"].dropna().tolist() == ["a", "b"] * 20
    assert after.obs["n"].dropna().tolist() == [1, 2] * 20
    assert sorted(layer_names(after)) == ["columns", "dense"]
    assert after.layers["columns"].format == "csc"
    for name in layer_names(after):
        assert same(after.layers[name], before.X)
    for found, expected in [
        (after.X, before.X),
        (after.raw.X, before.X),
        (after.obsp["near"], before.X @ before.X.T),
        (after.varp["near"], before.X.T @ before.X),
    ]:
        assert same(found, expected)
    assert list(after.raw.var_names) == list(before.var_names)
    assert after.uns["deep"]["words"].tolist() == ["a", "b"]
    assert after.uns["deep"]["number"] == 3
    assert "X_ae" in after.obsm
    assert encodings(output) & {"string-array", "categorical"} == {"string-array", "categorical"}
    assert "nullable-string-array" not in encodings(output)  # which readers in R don't know


def encodings(path):
    """Of all that is in a file."""
    if path.suffix != ".zarr":
        import h5py

        found = []
        with h5py.File(path) as file:
            file.visititems(lambda _, item: found.append(item.attrs.get("encoding-type")))
        return set(found)
    import zarr

    group = zarr.open_group(path, mode="r")
    return {item.attrs.get("encoding-type") for _, item in group.members(max_depth=None)}


def test_texts_of_every_kind_are_plain(tmp_path):
    """Columns, categories, tables in obsm, arrays and tables in uns; as pandas has them by default."""
    adata, source, output = cells(), tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    texts = pd.Series(["b", "a", "c"] * 20, index=adata.obs_names)
    adata.obs["text"], adata.obs["kind"] = texts, texts.astype("string").astype("category")
    adata.obsm["table"] = pd.DataFrame({"x": texts.astype("string")}, index=adata.obs_names)
    adata.uns["table"] = pd.DataFrame({"x": pd.array(["a", None], dtype="string")}, index=["p", "q"])
    adata.uns["array"] = pd.array(["a", "b"], dtype="string")
    write(adata, source)
    assert train(source, output) == 0
    assert "nullable-string-array" not in encodings(output)
    after = read(output)
    assert after.obs["text"].tolist() == after.obs["kind"].tolist() == texts.tolist()
    assert after.obs["kind"].cat.categories.tolist() == ["a", "b", "c"]
    assert after.obsm["table"]["x"].tolist() == texts.tolist()
    assert after.uns["table"]["x"].isna().tolist() == [False, True]
    assert list(after.uns["array"]) == ["a", "b"]


def test_nothing_but_the_output_is_left(tmp_path):
    write(cells(), tmp_path / "cells.h5ad")
    assert train(tmp_path / "cells.h5ad", tmp_path / "out.h5ad") == 0
    tables = ["out_loadings.csv", "out_units.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "out.h5ad", *tables]


def test_an_h5ad_with_a_slash_in_a_name_is_trained_on_and_explained(tmp_path):
    adata, source, output = cells(), tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    adata.obs["G1/S"] = pd.Categorical(["x", "y"] * 30)
    adata.obs["G2/M"] = np.arange(60.0)
    write(adata, source)
    assert train(source, output) == 0
    assert read(output).obs["G1/S"].tolist() == ["x", "y"] * 30
    assert read(output).obs["G2/M"].tolist() == list(range(60))
    sets = tmp_path / "sets.gmt"
    sets.write_text("one\t-\t" + "\t".join(adata.var_names[:12]) + "\n")
    assert main(["impact", str(output), "--gene-sets", str(sets), "-o", str(tmp_path / "results")]) == 0


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr("modulae.tl.autoencoder", lambda *_, **__: pytest.fail("it was trained"))


@pytest.mark.parametrize("place", ["obs", "var"])
def test_zarr_refuses_a_slash_before_the_training(tmp_path, capsys, untrained, place):
    pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    adata = cells()
    getattr(adata, place)["G1/S"] = 1.0
    write(adata, tmp_path / "cells.h5ad")
    assert train(tmp_path / "cells.h5ad", tmp_path / "out.zarr") == 1
    said = capsys.readouterr().err
    assert f"adata.{place}['G1/S'] can't be written to" in said
    step = said.split("`")[1]
    exec(step, {"adata": adata})  # noqa: S102
    assert "G1_S" in getattr(adata, place)
    assert "G1/S" not in getattr(adata, place)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_what_anndata_cannot_write_is_refused_before_the_training(tmp_path, capsys, monkeypatch, untrained):
    write(cells(), tmp_path / "cells.h5ad")
    monkeypatch.setattr("modulae._cli.files._unstructured", lambda _: {"mine": {"odd": object()}})
    assert train(tmp_path / "cells.h5ad", tmp_path / "out.h5ad") == 1
    assert "Leave it out in Python, `del adata.uns['mine']`" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_a_disk_without_room_is_refused_before_the_training(tmp_path, capsys, monkeypatch, untrained, kind):
    if kind == "zarr":
        pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    source = tmp_path / f"cells.{kind}"
    adata = ad.AnnData(np.random.default_rng(0).integers(0, 9, (60, 4000)).astype("f4"))
    write(adata, source)
    parts = source.stat().st_size if kind == "h5ad" else sum(part.stat().st_size for part in (source / "X").rglob("*"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": parts // 2}))
    assert train(source, tmp_path / f"out.{kind}") == 1
    said = capsys.readouterr().err
    assert "will take about" in said
    assert f"free in {tmp_path}" in said
    assert said.endswith("--output.\n")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("odd"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["modulae._cli.files.copy", "modulae.tl.saliency"])
def test_the_model_is_kept_when_writing_fails(tmp_path, capsys, monkeypatch, error, step):
    """The steps in the message give what the file would have held."""
    source, output = tmp_path / "cells.h5ad", tmp_path / "out.h5ad"
    write(cells(), source)
    assert train(source, output, "--layer", "dense") == 0
    expected = read(output).obsm["X_ae"]
    output.unlink()
    (tmp_path / "out.safetensors").write_text("an older model")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(step, fail)
        assert train(source, output, "--layer", "dense") == (130 if isinstance(error, KeyboardInterrupt) else 1)
    said = capsys.readouterr().err
    kept = tmp_path / "out-2.safetensors"
    assert f"The model is saved as {kept}" in said
    assert (tmp_path / "out.safetensors").read_text() == "an older model"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("cells.h5ad", "out-2.safetensors", "out.safetensors"),
        *("out_loadings.csv", "out_units.csv"),  # of the training before
    ]
    steps = "\n".join(line.strip() for line in said.splitlines() if line.startswith("    "))
    names = {}
    exec(steps, names)  # noqa: S102
    np.testing.assert_allclose(names["adata"].obsm["X_ae"], expected, rtol=1e-4, atol=1e-5)
    assert len(mo.load_model(kept).fitted.genes) == 40


def test_the_model_goes_elsewhere_when_its_folder_is_gone(tmp_path, capsys, monkeypatch):
    source, here = tmp_path / "cells.h5ad", tmp_path / "here"
    (tmp_path / "mount").mkdir()
    here.mkdir()
    write(cells(), source)
    monkeypatch.chdir(here)

    def unmounted(*_, **__):
        shutil.rmtree(tmp_path / "mount")
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr("modulae.tl.saliency", unmounted)
    assert train(source, tmp_path / "mount" / "out.h5ad") == 1
    assert f"The model is saved as {here / 'out.safetensors'}" in capsys.readouterr().err
    assert len(mo.load_model(here / "out.safetensors").fitted.genes) == 40


FULL = """
import resource, signal
from modulae._cli import files
from modulae.__main__ import command

write = files.CellFile.write
def within_limits(file, output):
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    write(file, output)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files.CellFile.write = within_limits
command()
"""

KILLED = """
import os, signal
from modulae._cli import files
from modulae.__main__ import command

files.copy = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
command()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
@pytest.mark.parametrize(("code", "ends_with"), [(FULL, 1), (KILLED, -9)])
def test_the_model_is_kept_when_the_process_can_not_go_on(tmp_path, code, ends_with):
    """The system lets the file grow no further, as on a full disk, where HDF5 crashes later on; or it kills."""
    adata = ad.AnnData(np.random.default_rng(0).integers(0, 9, (60, 4000)).astype("f4"))
    write(adata, tmp_path / "cells.h5ad")
    words = ["train", str(tmp_path / "cells.h5ad"), "-o", str(tmp_path / "out.h5ad"), *QUICK]
    words += ["--batch-size", "60"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == ends_with, done.stderr
    assert len(mo.load_model(tmp_path / "out.safetensors").fitted.genes) == 4000
    assert not (tmp_path / "out.h5ad").exists()
    if code == FULL:
        said = done.stderr[done.stderr.rindex("modulae: error:") :]
        assert f"The model is saved as {tmp_path / 'out.safetensors'}" in said
        assert said.splitlines()[-1] == f"    mo.tl.transfer(adata, {str(tmp_path / 'out.safetensors')!r})"
        assert not list(tmp_path.glob("out.h5ad*"))


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_counts_in_raw_are_trained_on_and_found_later(tmp_path, kind):
    """More genes in raw than in X, which holds logarithms."""
    if kind == "zarr":
        pytest.importorskip("zarr", reason="needs modulae[scale]: zarr")
    counts, source, output = cells(), tmp_path / f"cells.{kind}", tmp_path / f"out.{kind}"
    adata = counts[:, :25].copy()
    adata.X = np.log1p(adata.X)
    adata.raw = counts
    write(adata, source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert train(source, output, "--raw") == 0
    found = read(output)
    assert same(found.X, counts.X)
    assert list(found.var_names) == list(counts.var_names)
    assert found.raw is None
    assert found.var["ae_gene"].all()
    assert same(found.obsp["near"], counts.X @ counts.X.T)
    sets = tmp_path / "sets.gmt"
    sets.write_text("one\t-\t" + "\t".join(counts.var_names[20:35]) + "\n")
    words = ["--gene-sets", str(sets), "--groupby", "group"]
    assert main(["impact", str(output), *words, "-o", str(tmp_path / "results")]) == 0
    assert main(["report", str(output), *words, "-o", str(tmp_path / "page.html")]) == 0


def test_raw_that_is_not_there_is_refused(tmp_path, capsys, untrained):
    adata = cells()
    adata.raw = None
    write(adata, tmp_path / "cells.h5ad")
    assert train(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", "--raw") == 1
    assert "has no raw. Leave out --raw" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        train(tmp_path / "cells.h5ad", tmp_path / "out.h5ad", "--raw", "--layer", "dense")
    assert stopped.value.code == 2


def test_a_part_of_uns_that_can_not_be_read_is_said_and_left_out(tmp_path, capsys):
    """As a table of an encoding that only newer versions know."""
    import h5py

    write(cells(), tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        file["uns/deep/number"].attrs["encoding-type"] = "of tomorrow"
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert train(tmp_path / "cells.h5ad", tmp_path / "out.h5ad") == 0
    assert "adata.uns['deep'] can't be read here and is left out" in capsys.readouterr().err
    assert "deep" not in read(tmp_path / "out.h5ad").uns


def test_no_message_lists_x_among_the_layers():
    adata = ad.AnnData(np.ones((3, 2), dtype="f4"), layers={"mine": np.ones((3, 2), dtype="f4")})
    assert layer_names(adata) == ["mine"]
    with pytest.raises(KeyError, match=r"Choose one of \['mine'\]"):
        mo.tl.autoencoder(adata, layer="his")
    del adata.X
    with pytest.raises(ValueError, match=r"layer= one of \['mine'\]"):
        mo.tl.autoencoder(adata)
