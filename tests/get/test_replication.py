"""`get.replication`: every column from the halves, by hand and of a real training."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo

FOUND = np.array(
    [
        [[1, 1], [1, 1], [1, 1], [1, 1]],  # in every split
        [[1, 1], [1, 0], [1, 1], [1, 1]],  # one half of one split has it not
        [[1, 1], [0, 0], [0, 1], [1, 1]],
    ],
    dtype=bool,
)
SIMILARITY = np.array([[0.9, 0.8, 1.0, 0.9], [0.8, np.nan, 0.8, 0.8], [1.0, np.nan, np.nan, 0.6]], dtype=np.float32)


@pytest.fixture
def adata():
    adata = ad.AnnData(np.ones((4, 3), dtype=np.float32))
    replication = {
        "found": FOUND,
        "similarity": SIMILARITY,
        "reproducibility": np.array([0.9, 0.75, 0.4], dtype=np.float32),
        "level": 0.7,
        "sizes": np.array([4, 8, 12]),
        "n_units": np.array([2, 3, 3]),
        "explained": np.array([0.2, 0.5, 0.4]),
        "size": 8,
    }
    adata.uns["ae"] = {"params": {}, "model": {}, "history": {}, "replication": replication}
    return adata


def test_one_row_a_unit(adata):
    table = mo.get.replication(adata)
    assert table.index.name == "unit"
    assert list(table.index) == ["0", "1", "2"]
    np.testing.assert_allclose(table["reproducibility"], [0.9, 0.75, 0.4], rtol=1e-6)
    assert table["replicates"].tolist() == [True, True, False]
    np.testing.assert_allclose(table["share"], [1, 0.75, 0.5])
    np.testing.assert_allclose(table["similarity"], [0.9, 0.6, 0.4], rtol=1e-6)
    assert [str(kind) for kind in table.dtypes] == ["object", "float64", "bool", "float64", "float64", "bool"]
    assert table["name"].isna().all()
    assert not table["few_cells"].any()  # the model that ships says nothing of them
    adata.uns["ae"]["replication"]["few_cells"] = np.array([False, True, False])
    assert mo.get.replication(adata)["few_cells"].tolist() == [False, True, False]


def test_names_stand_in_the_table(adata):
    names = np.array(["LYZ, CD14 · Mono", "GNLY · NK", ""], dtype=object)
    adata.uns["ae_units"] = {"of_model": "ae", "table": {"name": names}, "caveat_above": 0.5}
    table = mo.get.replication(adata)
    assert table["name"].tolist()[:2] == ["LYZ, CD14 · Mono", "GNLY · NK"]
    assert table["name"].isna().tolist() == [False, False, True]


def test_the_level_is_the_stored_one(adata):
    adata.uns["ae"]["replication"]["level"] = 0.8
    assert mo.get.replication(adata)["replicates"].tolist() == [True, False, False]


def test_one_row_a_number_of_parts(adata):
    table = mo.get.replication(adata, of="sizes")
    assert table.index.name == "size"
    assert table.index.tolist() == [4, 8, 12]
    assert table["n_units"].tolist() == [2, 3, 3]
    assert table["explained"].tolist() == [0.2, 0.5, 0.4]
    assert table["taken"].tolist() == [False, True, False]


def test_a_model_that_was_trained_once_gets_the_next_step(adata):
    del adata.uns["ae"]["replication"]
    adata.uns["other"] = adata.uns["ae"]
    for draw in (mo.get.replication, mo.pl.replication):
        with pytest.raises(KeyError, match=r"run `mo\.tl\.autoencoder\(adata, key_added='other'\)`\."):
            draw(adata, key="other")
    with pytest.raises(KeyError, match=r"there is no model 'no' in adata\.uns"):
        mo.get.replication(adata, key="no")


def test_another_table_is_refused(adata):
    with pytest.raises(ValueError, match=r"choose one of \['units', 'sizes'\]"):
        mo.get.replication(adata, of="splits")


@pytest.mark.parametrize("how", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_a_trained_model_has_both_after_a_file(tmp_path, how):
    adata = mo.datasets.simulated(n_cells=200, n_genes=120, n_programmes=3, seed=1)
    mo.tl.autoencoder(adata, n_latent=4, n_splits=2, max_epochs=3, device="cpu", progress=False)
    getattr(adata, f"write_{how}")(tmp_path / f"x.{how}")
    back = getattr(ad, f"read_{how}")(tmp_path / f"x.{how}")
    units, sizes = mo.get.replication(back), mo.get.replication(back, of="sizes")
    assert list(units.index) == list(mo.get.representation(adata).columns)
    stored = adata.uns["ae"]["replication"]
    np.testing.assert_allclose(
        units["similarity"], np.where(np.isnan(stored["similarity"]), 0, stored["similarity"]).mean(axis=1)
    )
    assert sizes.index.tolist() == [4]
    assert sizes["taken"].all()
