"""The examples of the docstrings run, and show what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo

NAMESPACES = ("", "pp", "tl", "get", "pl", "metrics", "datasets")
NEEDS = {"report": ("jinja2", "bokeh")}


def public_functions():
    for space in NAMESPACES:
        module = importlib.import_module(f"modulae.{space}".rstrip("."))
        for name in module.__all__:
            if inspect.isfunction(function := getattr(module, name)):
                yield f"{space}.{name}".lstrip("."), function


PUBLIC = dict(public_functions())


def example(name, docstring):
    return doctest.DocTestParser().get_doctest(docstring, {"mo": mo}, name, name, 0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where examples write; what they would download is four cells made here."""
    monkeypatch.chdir(tmp_path)
    cells = ad.AnnData(sparse.csc_matrix(np.eye(4)), obs=pd.DataFrame(index=list("abcd")))
    kept = ad.AnnData(np.eye(4), obs=pd.DataFrame({"louvain": pd.Categorical(["T"] * 4)}, index=list("abcd")))
    kept.obsm["X_umap"] = np.zeros((4, 2))
    cells.obs["paul15_clusters"] = list("wxyz")
    for dataset, value in {"pbmc3k": cells, "pbmc3k_processed": kept, "paul15": cells}.items():
        monkeypatch.setattr(f"scanpy.datasets.{dataset}", value.copy)
    yield tmp_path
    plt.close("all")


@pytest.mark.filterwarnings("ignore:explanations that are no better than a control")  # one epoch teaches little
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", PUBLIC)
def test_an_example_shows_what_it_says(name):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package, reason=f"needs modulae[report]: {package}")
    said = []
    results = doctest.DocTestRunner(verbose=False).run(example(name, PUBLIC[name].__doc__), out=said.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(said)


def test_an_example_that_says_something_else_fails():
    wrong = doctest.DocTestRunner(verbose=False).run(example("wrong", ">>> 1 + 1\n3\n"), out=lambda _: None)
    assert wrong.failed == 1
