"""What is no AnnData, and what can't be written to, is refused by every function before it does anything."""

from __future__ import annotations

import inspect
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata.public import public

SPACES = {"": mo, "pp.": mo.pp, "tl.": mo.tl, "get.": mo.get, "pl.": mo.pl, "metrics.": mo.metrics}
FUNCTIONS = {
    f"{space}{name}": function
    for space, module in SPACES.items()
    for name in module.__all__
    if inspect.isfunction(function := getattr(module, name))
}
OF_CELLS = {
    name: function
    for name, function in FUNCTIONS.items()
    if next(iter(inspect.signature(function).parameters), "") in {"adata", "reference", "data", "first"}
    and not name.endswith("match_programmes")  # of anything that has programmes
}
WRITERS = {name: function for name, function in OF_CELLS.items() if "copy" in inspect.signature(function).parameters}
NO_TABLES = {"none", "path", "text", "folder", "other file", "raw", "rna", "other modality", "spatial"}
TABLES = {"metrics.disentanglement", "metrics.unit_stability", "metrics.programme_recovery"}
"""These take tables and arrays as well."""


class MuData:
    """What tells a MuData from others; mudata is not needed for it."""

    def __init__(self, *names):
        self.mod = dict.fromkeys(names)


class SpatialData:
    def __init__(self):
        self.tables = {"cells": None}


@pytest.fixture(scope="module")
def cells():
    adata = ad.AnnData(sparse.csr_matrix(np.random.default_rng(0).poisson(1, (20, 8)).astype("f4")))
    adata.raw = adata
    return adata


@pytest.fixture(scope="module")
def file(cells, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "cells.h5ad"
    cells.write_h5ad(path)
    return path


@pytest.fixture
def wrong(cells, file):
    with h5py.File(file) as opened:
        yield {
            "none": (None, "return None"),
            "path": (file, f"sc.read_h5ad({str(file)!r})"),
            "text": ("a/b.h5mu", "mudata.read_h5mu('a/b.h5mu')['rna']"),
            "folder": ("cells.zarr/", "read_zarr('cells.zarr/')"),
            "other file": (Path("x.mtx"), "sc.read('x.mtx')"),
            "table": (pd.DataFrame({"G1": [1.0]}), "ad.AnnData(table)"),
            "raw": (cells.raw, "adata.raw.to_adata()"),
            "rna": (MuData("prot", "rna"), "mdata['rna']"),
            "other modality": (MuData("gex"), "mdata['gex']"),
            "spatial": (SpatialData(), "sdata.tables['cells']"),
            "open file": (opened, "sc.read_h5ad("),
            "part of a file": (opened["obs"], "sc.read_h5ad("),
            "matrix": (cells.X, "ad.AnnData(counts, var=genes)"),
            "array": (np.ones((3, 2)), "ad.AnnData(counts, var=genes)"),
            "several": ([cells, cells], "ad.concat(objects"),
            "class": (ad.AnnData, "Give the AnnData itself"),
            "number": (3, "Give the AnnData itself"),
        }


def arguments(function, first):
    """The first object, and something for each other parameter that must be there."""
    others = list(inspect.signature(function).parameters.values())[1:]
    return (first,), {p.name: None for p in others if p.default is p.empty}


@pytest.mark.parametrize("name", OF_CELLS)
def test_what_is_no_anndata_gets_the_line_that_makes_one(wrong, name):
    function = OF_CELLS[name]
    for kind, (value, step) in wrong.items():
        if name in TABLES and kind in {
            "table",
            "matrix",
            "array",
            "open file",
            "part of a file",
            "several",
            "class",
            "number",
        }:
            continue
        given, named = arguments(function, value)
        with pytest.raises(TypeError) as refused:
            function(*given, **named)
        assert "not an AnnData" in str(refused.value), kind
        assert step in str(refused.value), kind
        assert str(refused.value).rstrip().endswith((".", "`.")), kind


def test_the_object_may_be_given_by_name_and_others_are_checked_too(cells):
    with pytest.raises(TypeError, match=r"^adata is None, not an AnnData"):
        mo.tl.novelty(adata=None)
    with pytest.raises(TypeError, match=r"^reference is a DataFrame, not an AnnData.*`reference = "):
        mo.tl.classify(cells, pd.DataFrame(), labels="x")
    with pytest.raises(TypeError, match=r"^mo\.tl\.novelty needs adata="):
        mo.tl.novelty()


def test_every_function_that_takes_cells_has_the_door():
    assert len(OF_CELLS) > 40
    plain = [name for name, function in OF_CELLS.items() if name not in TABLES and not hasattr(function, "__wrapped__")]
    assert plain == []


def test_the_door_changes_neither_signature_nor_docs():
    def made(adata: AnnData, *, key: str = "ae", copy: bool = False) -> None:  # noqa: F821
        """Do something.

        Parameters
        ----------
        {adata}
        """

    passed = public(made)
    assert inspect.signature(passed) == inspect.signature(made)
    assert passed.__name__ == "made"
    assert "Cells × genes, with raw counts" in passed.__doc__
    assert passed.__module__ == __name__


@pytest.mark.parametrize("name", WRITERS)
def test_a_part_of_a_backed_object_is_refused_before_any_work(file, name):
    adata = ad.read_h5ad(file, backed="r")
    part = adata[:10]
    given, named = arguments(WRITERS[name], part)
    if "reference" in named:
        named["reference"] = ad.read_h5ad(file)
    with pytest.raises(ValueError, match=r"part of a backed AnnData.*`adata = adata\.to_memory\(\)`"):
        WRITERS[name](*given, **named)
    adata.file.close()


@pytest.mark.filterwarnings("ignore:.*fewer than.*held out")
def test_a_copy_of_such_a_part_is_made_in_memory(file):
    adata = ad.read_h5ad(file, backed="r")
    done = mo.tl.autoencoder(adata[:15], n_latent=2, n_splits=0, max_epochs=1, device="cpu", copy=True)
    assert not done.isbacked
    assert done.obsm["X_ae"].shape == (15, 2)
    adata.file.close()


def test_a_warning_points_to_the_line_of_the_user(cells):
    with pytest.warns(UserWarning, match="of the 2 genes of the gene sets") as found:
        mo.pp.gene_set_mask(cells.copy(), {"a": ["0"], "b": ["nowhere"]})
    assert found[0].filename == __file__
