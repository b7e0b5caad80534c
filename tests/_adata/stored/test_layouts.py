"""UMAP of few cells and of many."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modulae as mo
from modulae._adata.stored import layouts
from modulae._adata.stored.layouts import placed, read_layout, umap_layout

MANY = 8192  # from here on scanpy leaves exact neighbours for PyNNDescent


@pytest.mark.slow
@pytest.mark.parametrize(("n_cells", "exact"), [(200, True), (MANY, True), (MANY, False)])
def test_two_kinds_of_cells_lie_apart(n_cells, exact, monkeypatch):
    """Where neighbours are exact, PyNNDescent, which compiles for long, has no part in it."""
    if exact:
        monkeypatch.setattr("pynndescent.PyNNDescentTransformer", None)
    else:
        monkeypatch.setattr(layouts, "MOST_EXACT", 0)
    rng = np.random.default_rng(0)
    kind = np.arange(n_cells) % 2
    points = umap_layout((rng.normal(size=(n_cells, 3)) + 8 * kind[:, None]).astype(np.float32), 10, 0)
    assert points.shape == (n_cells, 2)
    assert points.dtype == np.float32
    centres = np.stack([points[kind == k].mean(axis=0) for k in (0, 1)])
    nearest = np.linalg.norm(points[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == kind).mean() > 0.99


PLACES = st.sampled_from([0.0, 1.5, -2.0, np.nan, np.inf, -np.inf])
FORMS = {
    "array": lambda points, _: points,
    "single": lambda points, _: points.astype("f4"),
    "table": lambda points, names: pd.DataFrame(points, index=names, columns=["x", "y"]),
    "three columns": lambda points, _: np.column_stack([points, np.arange(len(points))]),
    "objects": lambda points, _: points.astype(object),
}


@given(points=st.lists(st.tuples(PLACES, PLACES), min_size=1, max_size=8), form=st.sampled_from([*FORMS]))
def test_a_layout_is_read_in_every_form_without_the_cells_that_have_no_place(points, form):
    exact = np.array(points)
    adata = ad.AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(len(points))]))
    adata.obsm["X_umap"] = FORMS[form](exact, adata.obs_names)
    before = adata.obsm["X_umap"].copy()
    there = [bool(np.isfinite(x) and np.isfinite(y)) for x, y in points]
    if any(there):
        found = read_layout(adata, "X_umap")
        assert placed(found).tolist() == there
        np.testing.assert_array_equal(found[there], exact[there])
    else:
        with pytest.raises(ValueError, match=r"no cell has a place in adata\.obsm\['X_umap'\].*basis="):
            read_layout(adata, "X_umap")
    np.testing.assert_array_equal(np.asarray(adata.obsm["X_umap"], dtype=float), np.asarray(before, dtype=float))


@pytest.fixture(scope="module")
def cells():
    adata = mo.datasets.simulated(n_cells=60, n_genes=30, n_programmes=3, genes_per_programme=8, seed=1)
    mo.tl.autoencoder(adata, n_latent=3, n_splits=0, max_epochs=2, device="cpu")
    mo.tl.embeddings(adata, n_neighbors=5)
    mo.tl.pathway_activity(adata, {"a": list(adata.var_names[:8])}, n_random=5, device="cpu", source="counts")
    adata.obs["kind"] = pd.Categorical(["lost" if i < 3 else "T" if i % 2 else "B" for i in range(60)])
    return adata


def lose(adata, name):
    """Three cells without a place, all there are of their kind."""
    points = np.array(adata.obsm[name], dtype=np.float64)
    points[0], points[1, 1], points[2, 0] = np.nan, np.nan, np.inf
    adata.obsm[name] = points
    return points


PICTURES = {
    "units": lambda a: mo.pl.units(a, color="kind"),
    "units, numbers": lambda a: mo.pl.units(a, color=a.var_names[0]),
    "pathways": lambda a: mo.pl.pathway_activity(a, color="kind"),
    "embeddings": lambda a: mo.pl.embeddings(a, color="kind"),
    "embeddings, legend": lambda a: mo.pl.embeddings(a, color="kind", legend="on data"),
    "embeddings, plain": mo.pl.embeddings,
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_leave_out_cells_without_a_place_and_say_how_many(cells, name):
    adata = cells.copy()
    points = lose(adata, "X_ae_umap")
    with pytest.warns(UserWarning, match="^3 of 60 cells have no place in .* not drawn") as said:
        axes = PICTURES[name](adata)
    assert len(said) == 1
    assert said[0].filename == __file__
    drawn = list(axes.values())[-1].collections[0].get_offsets()
    expected = points[3:]
    np.testing.assert_allclose(sorted(map(tuple, drawn)), sorted(map(tuple, expected)), rtol=1e-6)
    for ax in axes.values():
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    assert "lost" not in {text.get_text() for text in list(axes.values())[-1].texts}


def test_a_joint_picture_leaves_them_out_on_both_sides(cells):
    adata = cells.copy()
    mo.tl.joint_embedding(adata, cells, labels="kind", n_neighbors=5, device="cpu")
    points = lose(adata, "X_ae_joint")
    entry = adata.uns["X_ae_joint"]
    del entry["rows"]  # as of an older version: this is about the picture
    entry["reference"] = entry["reference"].copy()
    entry["reference"][5] = np.nan
    with pytest.warns(UserWarning, match="^4 of 120 cells have no place"):
        axes = mo.pl.joint_embedding(adata, color="kind")
    assert len(axes["reference"].collections[0].get_offsets()) == 59
    drawn = axes["new"].collections[-1].get_offsets()
    np.testing.assert_allclose(sorted(map(tuple, drawn)), sorted(map(tuple, points[3:])), rtol=1e-6)
