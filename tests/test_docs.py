"""What the pages tell a reader to type can be typed."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.io import mmwrite

import modulae as mo
from modulae.core.model import config

TOP = Path(__file__).parents[1]
PAGES = {path.relative_to(TOP).as_posix(): path for path in (TOP / "README.md", *sorted((TOP / "docs").rglob("*.md")))}
RUN = {
    "README.md": [0, 1],
    "docs/index.md": [0],
    "docs/guide/blood_model.md": [0],
    "docs/guide/differences.md": [0],
    "docs/guide/differing_sets.md": [0, 1],
    "docs/guide/editing.md": [0],
    "docs/guide/find_programmes.md": [0, 1, 2],
    "docs/guide/first_analysis.md": [0, 1, 2, 3, 4, 5, 6, 7],
    "docs/guide/hand_on.md": [0],
    "docs/guide/how_many.md": [0],  # not the search
    "docs/guide/merging.md": [0],
    "docs/guide/modules.md": [0],
    "docs/guide/reading_units.md": [0],
    "docs/guide/report.md": [0],
    "docs/guide/reproducible.md": [0, 1, 2],
    "docs/guide/scale.md": [0, 4],  # not the clusters
    "docs/guide/seurat.md": [1],
    "docs/guide/transfer.md": [0],
    "docs/guide/which_cells.md": [0, 1, 2, 3, 4],
}
"""Blocks that need nothing but cells, and no patience."""
TRAINED = {
    "differences",
    "differing_sets",
    "editing",
    "hand_on",
    "reading_units",
    "reproducible",
    "seurat",
    "transfer",
    "which_cells",
}
"""Pages that go on from a model."""
MAX_FIGURES = 5
FIGURE = r"\d+(?:\.\d+)? ?%|\d+\.\d+"
HOW_TO = [
    page
    for page in re.findall(r"<(\w+)>$", PAGES["docs/guide/index.md"].read_text(encoding="utf-8"), flags=re.M)
    if page != "installation"  # versions
] + ["settings"]


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", PAGES[page].read_text(encoding="utf-8"), flags=re.M | re.S)


def calls(page):
    """Calls of ours, in blocks and in lines of text."""
    inline = re.findall(r"`(mo\.[\w.]+\([^`]*\))`", PAGES[page].read_text(encoding="utf-8"))
    for code in (*blocks(page), *inline):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and re.fullmatch(r"mo\.[\w.]+", name := ast.unparse(node.func)):
                yield name, node


def found(name):
    what = mo
    for part in name.split(".")[1:]:
        what = getattr(what, part)
    return what


@pytest.mark.parametrize("page", [page for page in PAGES if any(calls(page))])
def test_calls_name_functions_and_parameters_that_there_are(page):
    for name, call in calls(page):
        named = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
        inspect.signature(found(name)).bind(*call.args, **named)


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A folder with the files that pages name, and trainings of two epochs."""
    for epochs in config.EPOCHS.values():
        monkeypatch.setitem(epochs, "cosine", 2)
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(mo.datasets.__file__).parent / "immune_signatures.gmt", "hallmark.gmt")
    adata = mo.datasets.pbmc68k()
    adata.obs["cell_type"] = adata.obs["bulk_labels"]
    adata.obs["condition"] = np.where(adata.obs["phase"] == "G1", "control", "stimulated")
    adata.obs["patient"] = [f"patient {n % 4}" for n in range(adata.n_obs)]
    adata.obs["sample"] = np.where(np.arange(adata.n_obs) % 2, "first", "second")
    adata.write_h5ad("atlas.h5ad")
    mmwrite("counts.mtx", adata.X.T)
    adata.obs.to_csv("cells.csv")
    Path("genes.txt").write_text("\n".join([*adata.var_names, ""]), encoding="utf-8")
    return adata


@pytest.mark.parametrize("page", [pytest.param("README.md", marks=pytest.mark.slow), *list(RUN)[1:]])
def test_a_page_runs_from_top_to_bottom(page, at_work):
    import joblib

    pytest.importorskip("bokeh", reason="needs modulae[report]: bokeh")
    gene_sets = mo.datasets.immune_signatures()
    cells = mo.datasets.pbmc68k()[::3].copy()
    cells.obs["condition"] = cells.obs["phase"]
    stem = Path(page).stem
    names = {"mo": mo, "adata": at_work, "cells": cells, "gene_sets": gene_sets}
    with warnings.catch_warnings(), joblib.parallel_config(backend="threading"):
        warnings.simplefilter("ignore")  # two epochs teach little, and we are told so
        if stem in TRAINED:
            names["blood"] = at_work
            mo.tl.autoencoder(at_work, n_splits=2 if stem == "reproducible" else 0, max_epochs=2)
            mo.tl.unit_summary(at_work, gene_sets)
        for at in RUN[page]:
            exec(compile(blocks(page)[at], f"{page}, block {at}", "exec"), names)  # noqa: S102


def test_what_r_writes_is_read(at_work):
    names = {}
    exec(compile(blocks("docs/guide/seurat.md")[0], "docs/guide/seurat.md", "exec"), names)  # noqa: S102
    read = names["adata"]
    assert (read.X != at_work.X).nnz == 0
    assert list(read.var_names) == list(at_work.var_names)
    assert list(read.obs_names) == list(at_work.obs_names)
    mo.tl.autoencoder(read, n_splits=0, max_epochs=2, progress=False)


def r_runs(code, at):
    done = subprocess.run([shutil.which("Rscript"), "-e", code], cwd=at, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout if done.returncode == 0 else done.stderr


@pytest.fixture
def for_r(at_work, tmp_path):
    """What the page has Python write, of a model of a few genes; whether R and Seurat are there."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: apt-get install r-base-core")
    mo.tl.autoencoder(at_work, n_splits=0, n_latent=5, max_epochs=2, progress=False)
    mo.tl.unit_summary(at_work, progress=False)
    exec(compile(blocks("docs/guide/seurat.md")[1], "docs/guide/seurat.md", "exec"), {"mo": mo, "adata": at_work})  # noqa: S102
    return at_work


def test_r_reads_what_is_written(for_r, tmp_path):
    """With R alone: sizes, names and numbers."""
    code = """
        one <- as.matrix(read.csv("activities.csv", row.names = 1))
        two <- as.matrix(read.csv("loadings.csv", row.names = 1))
        stopifnot(is.numeric(one), is.numeric(two), !anyNA(one), !anyNA(two))
        stopifnot(identical(rownames(one), read.csv("cells.csv")[[1]]))
        stopifnot(identical(rownames(two), readLines("genes.txt")))
        stopifnot(nrow(read.csv("programmes.csv")) == 5, ncol(one) == 5, ncol(two) == 5)
        cat(sprintf("%.9g", c(one[3, 2], two[7, 4])))
    """
    worked, said = r_runs(code, tmp_path)
    assert worked, said
    expected = [for_r.obsm["X_ae"][2, 1], for_r.varm["ae_loadings"][6, 3]]
    np.testing.assert_allclose([float(number) for number in said.split()], expected, rtol=1e-6)


@pytest.mark.slow
def test_the_lines_for_seurat_run(for_r, tmp_path):
    if not r_runs("library(Seurat)", tmp_path)[0]:
        pytest.skip("needs Seurat: apt-get install r-cran-seurat")
    page = PAGES["docs/guide/seurat.md"].read_text(encoding="utf-8")
    into, back = re.findall(r"^```r\n(.*?)^```", page, flags=re.M | re.S)
    make = """
        counts <- as(Matrix::readMM("counts.mtx"), "CsparseMatrix")
        dimnames(counts) <- list(readLines("genes.txt"), read.csv("cells.csv")[[1]])
        object <- Seurat::CreateSeuratObject(counts, meta.data = read.csv("cells.csv", row.names = 1))
        dir.create("there"); setwd("there")
    """
    before_5 = 'if (packageVersion("SeuratObject") < "5") GetAssayData <- function(o, assay, layer) '
    before_5 += "SeuratObject::GetAssayData(o, assay = assay, slot = layer)"
    check = """
        stopifnot(all(Embeddings(object[["ae"]]) == activities), all(Loadings(object[["ae"]]) == loadings))
        stopifnot(identical(dim(Embeddings(object[["ae_umap"]])), c(ncol(object), 2L)))
    """
    worked, said = r_runs("\n".join([make, before_5, into, 'setwd("..")', back, check]), tmp_path)
    assert worked, said
    assert (tmp_path / "there" / "genes.txt").read_text().split() == list(for_r.var_names)


SHORTEST = {"README.md": 10, "docs/index.md": 10}
"""Lines of the first block of a page, at most."""


@pytest.mark.parametrize("page", SHORTEST)
def test_the_first_block_is_short_and_ends_in_programmes(page):
    first = blocks(page)[0].splitlines()
    assert len(first) <= SHORTEST[page]
    assert first[-1].startswith("mo.get.unit_summary(adata)")
    assert "reproducibility" in first[-1]
    assert "mask_var" not in blocks(page)[0]


@pytest.mark.slow
def test_the_first_block_of_the_readme_warns_of_nothing(tmp_path):
    """In a new process, as it stands."""
    code = blocks("README.md")[0].rstrip()
    assert blocks("docs/index.md")[0].splitlines()[-1] in code
    *_, last = code.splitlines()
    last = last.split("  #")[0]
    show = f"{code}\ntable = {last}\nprint(table['reproducibility'].to_numpy().round(2).tolist())"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", show], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(share > 0.7 for share in found) > 5


@pytest.mark.parametrize("page", HOW_TO)
def test_a_page_for_one_question_has_few_figures(page):
    """Conclusions stand in the guide, numbers in the evidence."""
    text = PAGES[f"docs/guide/{page}.md"].read_text(encoding="utf-8")
    for left_out in (r"```.*?```", r"\$\$.*?\$\$", r"`[^`]*`", r"^\|.*?$", r"\]\([^)]*\)"):
        text = re.sub(left_out, "", text, flags=re.M | re.S)
    assert len(re.findall(FIGURE, text)) <= MAX_FIGURES


def test_the_evidence_has_a_sentence_for_every_page():
    index = PAGES["docs/benchmarks/index.md"].read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \{doc\}`/benchmarks/(\w+)` \| (.+\.) \|$", index, flags=re.M))
    pages = {Path(page).stem for page in PAGES if page.startswith("docs/benchmarks/")} - {"index", "findings"}
    assert set(rows) == pages


def test_every_picture_has_its_question():
    text = PAGES["docs/guide/which_function.md"].read_text(encoding="utf-8")
    assert set(mo.pl.__all__) - set(re.findall(r"`pl\.(\w+) <", text)) == {"embeddings"}  # the paper's figure


def test_the_readme_is_short():
    assert len(PAGES["README.md"].read_text(encoding="utf-8").splitlines()) < 90
