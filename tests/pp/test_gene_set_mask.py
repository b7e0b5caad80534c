"""The genes to train on, and what is said about those that are missing."""

from __future__ import annotations

import numpy as np
import pytest
import scanpy as sc
from anndata import AnnData
from scipy import sparse

import modulae as mo

GENES = ["CD79A", "MALAT1", "CD3E", "UNSEEN", "CD3D", "RARE"]
LARGEST = [9, 50, 3, 0, 2, 1]
SETS = {"T": ["CD3D", "CD3E"], "B": ["CD79A", "RARE"], "other": ["UNSEEN", "CD3E"]}


@pytest.fixture
def adata():
    """Every gene reaches its largest count in another cell; the genes are not in the order of the sets."""
    counts = sparse.csr_matrix(np.diag(LARGEST).astype(np.float32))
    made = AnnData(counts)
    made.var_names = GENES
    return made


def marked(adata, column="in_gene_sets"):
    return set(adata.var_names[adata.var[column]])


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0, {"CD3D", "CD3E", "CD79A", "RARE", "UNSEEN"}),
        (1, {"CD3D", "CD3E", "CD79A", "RARE"}),
        (2, {"CD3D", "CD3E", "CD79A"}),
        (3, {"CD3E", "CD79A"}),
    ],
)
def test_genes_in_some_set_that_reach_the_count(adata, least, expected):
    assert mo.pp.gene_set_mask(adata, SETS, min_max_count=least) is None
    assert marked(adata) == expected
    assert adata.var["in_gene_sets"].dtype == bool


def test_every_gene_that_was_seen_by_default(adata):
    mo.pp.gene_set_mask(adata, SETS)
    assert marked(adata) == {"CD3D", "CD3E", "CD79A", "RARE"}


def test_counts_come_from_the_layer(adata):
    adata.layers["counts"] = adata.X.copy()
    adata.X = adata.X * 0
    mo.pp.gene_set_mask(adata, SETS, layer="counts", min_max_count=3)
    assert marked(adata) == {"CD3E", "CD79A"}


def test_the_column_has_the_name_that_was_asked_for(adata):
    mo.pp.gene_set_mask(adata, SETS, key_added="mine")
    assert list(adata.var) == ["mine"]


def test_copy_leaves_the_original(adata):
    changed = mo.pp.gene_set_mask(adata, SETS, copy=True)
    assert marked(changed) == {"CD3D", "CD3E", "CD79A", "RARE"}
    assert list(adata.var) == []


def test_dense_counts_and_other_forms_of_sets(adata, tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("\n".join("\t".join([name, "of mine", *genes]) for name, genes in SETS.items()), encoding="utf-8")
    adata.X = adata.X.toarray()
    mo.pp.gene_set_mask(adata, path)
    assert marked(adata) == {"CD3D", "CD3E", "CD79A", "RARE"}


def test_counts_on_disk(adata, tmp_path):
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = sc.read_h5ad(tmp_path / "a.h5ad", backed="r")
    mo.pp.gene_set_mask(backed, SETS, min_max_count=3)
    assert marked(backed) == {"CD3E", "CD79A"}
    backed.file.close()


def test_one_warning_names_lost_and_poor_sets(adata):
    sets = {**SETS, "gone": ["X", "Y"], "unseen": ["UNSEEN"], "poor": ["CD3D", *"abcd"], "quarter": ["CD3D", *"abc"]}
    with pytest.warns(UserWarning, match="genes of the gene sets") as seen:
        mo.pp.gene_set_mask(adata, sets)
    assert len(seen) == 1
    message = str(seen[0].message)
    assert "4 of the 11 genes of the gene sets are left." in message
    assert "2 of 7 sets are lost, without any gene: gone, unseen." in message
    assert "1 set keeps less than 25% of their genes: poor (1 of 5)." in message
    assert message.endswith("Leave these sets out, lower min_max_count, or start from data with all genes.")
    assert seen[0].filename == __file__


def test_the_warning_lists_ten_at_most(adata):
    sets = {**SETS, **{f"gone{i}": ["X"] for i in range(13)}}
    with pytest.warns(UserWarning, match=r"13 of 16 sets are lost, .*gone0, .*gone9, … \(3 more\)"):
        mo.pp.gene_set_mask(adata, sets)


def test_the_warning_says_why(adata):
    sets = {"mixed": ["CD3E", "Cd3d", "Cd79a", "Rare", "Malat1"], "mouse": ["Cd3d"]}
    with pytest.warns(
        UserWarning, match=r"lost, without any gene: mouse\..*only when case is ignored \(sets: Cd3d, data: CD3D"
    ):
        mo.pp.gene_set_mask(adata, sets)


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        (
            ["Cd3d", "Cd3e"],
            r"no gene of the 1 gene set is in adata\. .*only when case is ignored.* Use gene sets of the",
        ),
        (["ENSG00000167286"], r"no gene of .* Use gene sets with symbols"),
        (["X", "Y"], r"The sets name genes such as X, Y, adata such as CD79A, .*: give gene sets with the same kind"),
    ],
    ids=["mouse", "Ensembl", "unknown"],
)
def test_no_gene_in_any_set(adata, genes, message):
    with pytest.raises(ValueError, match=message):
        mo.pp.gene_set_mask(adata, {"a": genes})
    assert list(adata.var) == []


def test_no_gene_is_counted_often_enough(adata):
    with pytest.raises(ValueError, match=r"reaches a count of 10 in any cell; the largest is 9\. Lower min_max_count"):
        mo.pp.gene_set_mask(adata, SETS, min_max_count=10)
    assert list(adata.var) == []


@pytest.mark.parametrize("least", ["3", None, True])
def test_a_least_count_that_is_no_number(adata, least):
    with pytest.raises(ValueError, match=r"min_max_count is .*; give a number, such as 1"):
        mo.pp.gene_set_mask(adata, SETS, min_max_count=least)


def test_gene_names_twice(adata):
    adata.var_names = ["CD3D", "CD3D", *GENES[2:]]
    with pytest.raises(ValueError, match=r"Run `adata\.var_names_make_unique\(\)` first"):
        mo.pp.gene_set_mask(adata, SETS)


@pytest.mark.parametrize(
    ("value", "message"), [(-1, "negative values"), (np.nan, "NaN or infinite"), (np.inf, "NaN or infinite")]
)
def test_values_that_no_count_can_have(adata, value, message):
    """Also in a gene that no set asks for."""
    adata.X[1, 1] = value
    with pytest.raises(ValueError, match=message):
        mo.pp.gene_set_mask(adata, SETS)
    assert list(adata.var) == []


def test_values_that_are_no_counts(adata):
    sc.pp.log1p(adata)
    with pytest.warns(UserWarning, match="no raw counts.* layer=") as seen:
        mo.pp.gene_set_mask(adata, SETS)
    assert [warning.filename for warning in seen] == [__file__]


def test_unknown_layer(adata):
    adata.layers["counts"] = adata.X
    with pytest.raises(KeyError, match=r"no layer 'count'\. Choose one of \['counts'\]"):
        mo.pp.gene_set_mask(adata, SETS, layer="count")


@pytest.mark.parametrize("empty", [(slice(0), slice(None)), (slice(None), slice(0))], ids=["no cells", "no genes"])
def test_nothing_there(adata, empty):
    with pytest.raises(ValueError, match=r"(cells and|in adata\. )"):
        mo.pp.gene_set_mask(adata[empty].copy(), SETS)


def test_real_cells_with_the_sets_of_the_paper(data_dir):
    """The numbers that the docstring and the choice of the default rest on."""
    adata = sc.read_h5ad(data_dir / "pbmc3k.h5ad")
    sets = {
        **mo.read_gene_sets(data_dir / "hallmark_human_v2025.gmt"),
        **mo.read_gene_sets(data_dir / "xcell_novershtern_DMAP.gmt"),
    }
    mo.pp.gene_set_mask(adata, sets)
    assert adata.var["in_gene_sets"].sum() == 3605
    with pytest.warns(UserWarning, match=r"sets keep less than 25% of their genes: HALLMARK_ANGIOGENESIS \(7 of 36\)"):
        mo.pp.gene_set_mask(adata, sets, min_max_count=3)
    assert adata.var["in_gene_sets"].sum() == 1817


def test_mouse_sets_on_human_cells(data_dir):
    adata = sc.read_h5ad(data_dir / "pbmc3k.h5ad")
    with pytest.warns(
        UserWarning, match=r"45 of 50 sets are lost.*only when case is ignored \(sets: Abca1, data: ABCA1\)"
    ):
        mo.pp.gene_set_mask(adata, data_dir / "hallmark_mouse_v2025.gmt")
