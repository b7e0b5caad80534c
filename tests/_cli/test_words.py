"""What the command line prints of the units."""

import numpy as np
import pytest

import modulae as mo
from modulae._cli.words import units


@pytest.fixture(scope="module")
def summed():
    adata = mo.datasets.simulated(n_cells=120, n_genes=60, n_programmes=3, genes_per_programme=8, seed=1)
    mo.tl.autoencoder(adata, n_latent=5, n_splits=0, max_epochs=2, device="cpu", progress=False)
    mo.tl.unit_summary(adata, groupby="group", progress=False)
    return adata


def with_silent(adata, *, below, dead):
    """The same with some units without a name, as `tl.unit_summary` writes them."""
    result = adata.copy()
    table = result.uns["ae_units"]["table"]
    silent = np.isin(np.arange(5), [*below, *dead])
    table["below_level"], table["dead"] = np.isin(np.arange(5), below), np.isin(np.arange(5), dead)
    for name in ("name", "top_genes_up", "group"):
        table[name] = np.where(silent, "", table[name]).astype(object)
    return result


def test_units_without_a_name_are_counted_in_one_line(summed):
    lines = units(with_silent(summed, below=[0, 2], dead=[3])).splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [
        unit for unit in mo.get.unit_summary(summed).index if unit in {"1", "4"}
    ]
    assert lines[-1] == "Not listed, as they have no name: 2 that may be chance and 1 that have no effect."
    only = units(with_silent(summed, below=[1], dead=[])).splitlines()
    assert only[-1] == "Not listed, as they have no name: 1 that may be chance."


def test_where_all_are_named_there_is_no_such_line(summed):
    lines = units(with_silent(summed, below=[], dead=[])).splitlines()
    assert len(lines) == 6
    assert "Not listed" not in lines[-1]


def test_where_none_is_named_it_is_said(summed):
    lines = units(with_silent(summed, below=range(5), dead=[])).splitlines()
    assert lines[1:] == ["Not listed, as they have no name: 5 that may be chance."]
