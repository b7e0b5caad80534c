"""The gene sets that come with the package."""

from __future__ import annotations

import numpy as np
import pytest

import modulae as mo


def test_twenty_sets_of_marker_genes():
    sets = mo.datasets.immune_signatures()
    assert len(sets) == 20
    assert {len(genes) for genes in sets.values()} <= set(range(12, 22))
    for name, gene in {"T_CELL": "CD3D", "B_CELL": "MS4A1", "NK_CELL": "NCAM1", "MONOCYTE_CD14": "CD14"}.items():
        assert gene in sets[name]


def test_no_gene_twice_within_a_set_of_the_file():
    """The reader would hide it."""
    from importlib.resources import files

    for line in (files("modulae.datasets") / "immune_signatures.gmt").read_text(encoding="utf-8").splitlines():
        genes = line.split("\t")[2:]
        assert len(genes) == len(set(genes)), line


def test_they_fit_the_cells_that_come_with_scanpy():
    """No set is lost or poor: the mask has nothing to warn of."""
    adata = mo.datasets.pbmc68k()
    sets = mo.datasets.immune_signatures()
    found = {name: np.isin(genes, adata.var_names) for name, genes in sets.items()}
    assert min(there.sum() for there in found.values()) >= 4
    mo.pp.gene_set_mask(adata, sets)
    assert adata.var["in_gene_sets"].sum() == 169


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("B_CELL", "CD19+ B"),
        ("NK_CELL", "CD56+ NK"),
        ("MONOCYTE_CD14", "CD14+ Monocyte"),
        ("DENDRITIC_CONVENTIONAL", "Dendritic"),
        ("STEM_PROGENITOR", "CD34+"),
    ],
)
def test_each_is_highest_in_its_own_cells(name, label):
    """Mean over the set's genes of the expression as z-scores, by cell type."""
    adata = mo.datasets.pbmc68k()
    expression = np.log1p(adata.X.toarray() / adata.obs["n_counts"].to_numpy()[:, None] * 1e4)
    z = (expression - expression.mean(axis=0)) / expression.std(axis=0)
    score = z[:, adata.var_names.isin(mo.datasets.immune_signatures()[name])].mean(axis=1)
    means = {kind: score[adata.obs["bulk_labels"] == kind].mean() for kind in adata.obs["bulk_labels"].cat.categories}
    assert max(means, key=means.get) == label
