"""tl.saliency, tl.pathway_impact, tl.denoise, tl.embeddings, and the tables of get."""

import numpy as np
import pandas as pd
import pytest

import modulae as mo
from modulae._adata.counts import read_cells
from modulae._adata.stored.layouts import cells_to_place
from modulae._adata.stored.models import read_model
from modulae.core.inference.saliency import mean_saliency


@pytest.fixture
def trained(either):
    """A model of each architecture."""
    return either


def test_each_gene_keeps_its_own_row(trained):
    """The genes are reordered and one is unknown to the model; saliencies follow the names."""
    expected = mo.tl.saliency(trained, copy=True)
    shuffled = trained[:, trained.var_names[::-1]].copy()
    mo.tl.saliency(shuffled)
    table, reference = mo.get.saliency(shuffled), mo.get.saliency(expected)
    pd.testing.assert_frame_equal(table.loc[reference.index], reference, rtol=1e-4, atol=1e-6)
    assert table.loc[~shuffled.var["chosen"]].isna().all(axis=None)
    assert table.loc[shuffled.var["chosen"]].notna().all(axis=None)
    assert list(table.columns) == ["0", "1", "2", "3", "4"]


def test_saliency_by_group_has_the_groups_own_cells(trained):
    trained.obs["kind"] = pd.Categorical(["z", "a", "m"] * 30, categories=["z", "m", "a"])
    mo.tl.saliency(trained, groupby="kind", method="guided", signed=False)
    assert trained.varm["ae_saliency_kind"].shape == (40, 5, 3)
    assert list(trained.uns["ae_saliency_kind"]["groups"]) == ["z", "m", "a"]
    fitted = read_model(trained, "ae")
    alone = trained[trained.obs["kind"] == "m"].copy()
    expected = mean_saliency(fitted.network, read_cells(alone, fitted, layer=None), method="guided", signed=False)[0]
    table = mo.get.saliency(trained, result="ae_saliency_kind", group="m")
    np.testing.assert_allclose(table.loc[fitted.genes], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="was made with groupby: name one of its groups"):
        mo.get.saliency(trained, result="ae_saliency_kind")
    with pytest.raises(KeyError, match=r"no group 'q'. Choose one of \['z', 'm', 'a'\]"):
        mo.get.saliency(trained, result="ae_saliency_kind", group="q")


@pytest.fixture
def gene_sets(trained):
    genes = trained.var_names[trained.var["chosen"]]
    return {"beta": list(genes[:6]), "alpha": [*genes[4:9], "unheard of"]}


def by_hand(adata, gene_sets, cells, **saliency):
    """Sets × units from the public saliency of some cells."""
    part = adata[cells].copy()
    mo.tl.saliency(part, **saliency)
    table = mo.get.saliency(part)
    return np.array([table.loc[[g for g in gene_sets[name] if g in table.index]].mean() for name in ("beta", "alpha")])


@pytest.mark.parametrize("settings", [{}, {"method": "guided", "signed": False}, {"method": "input_x_gradient"}])
def test_impact_over_all_cells(trained, gene_sets, settings):
    mo.tl.pathway_impact(trained, gene_sets, explanation=settings)
    unscaled = mo.get.impact(trained, value="unscaled")
    expected = by_hand(trained, gene_sets, slice(None), **settings)
    np.testing.assert_allclose(unscaled, expected, rtol=1e-4, atol=1e-6)
    assert list(unscaled.index) == ["beta", "alpha"]
    strength = np.abs(expected)
    scaled = (strength - strength.min()) / (strength.max() - strength.min())
    np.testing.assert_allclose(mo.get.impact(trained), scaled, atol=1e-4)
    np.testing.assert_array_equal(trained.uns["ae_impact"]["n_genes"], [6, 5])


@pytest.mark.parametrize("difference", ["saliency", "activity"])
def test_impact_of_groups_is_the_difference_to_the_reference(trained, gene_sets, difference):
    kind = np.array(["z", "a", "m"] * 30)
    trained.obs["kind"] = pd.Categorical(kind, categories=["z", "m", "a"])
    trained.obs.loc[trained.obs_names[:6], "kind"] = np.nan  # unlabelled cells are in no group and no rest
    known = trained.obs["kind"].notna().to_numpy()
    mo.tl.pathway_impact(trained, gene_sets, groupby="kind", explanation={"difference": difference})
    mine, rest, both = (by_hand(trained, gene_sets, known & where) for where in (kind == "m", kind != "m", known))
    expected = mine - rest
    if difference == "activity":
        activity = trained.obsm["X_ae"][known].astype(float)
        inside = kind[known] == "m"
        expected = both * (activity[inside].mean(axis=0) - activity[~inside].mean(axis=0)) / activity.std(axis=0)
    unscaled = mo.get.impact(trained, result="ae_impact_kind", group="m", value="unscaled")
    np.testing.assert_allclose(unscaled, expected, rtol=1e-3, atol=1e-6)
    scaled = mo.get.impact(trained, result="ae_impact_kind", group="m")
    np.testing.assert_allclose(scaled, expected / np.abs(expected).max(), rtol=1e-3, atol=1e-5)
    within = mo.get.impact(trained, result="ae_impact_kind", group="m", value="within_unscaled")
    np.testing.assert_allclose(within, mine, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(trained.uns["ae_impact_kind"]["n_cells"], [28, 28, 28])

    table = mo.get.impact_table(trained, result="ae_impact_kind")
    row = table[(table["group"] == "m") & (table["set"] == "alpha")].iloc[0]
    np.testing.assert_allclose(row["effect"], expected[1].sum(), rtol=1e-3, atol=1e-6)
    assert (row["reference"], row["n_genes"]) == ("rest", 5)
    by_unit = mo.get.impact_table(trained, result="ae_impact_kind", by_unit=True)
    cell = by_unit[(by_unit["group"] == "m") & (by_unit["set"] == "alpha") & (by_unit["unit"] == "3")]
    np.testing.assert_allclose(cell["effect"], unscaled.loc["alpha", "3"], rtol=1e-6)


@pytest.mark.parametrize("difference", ["saliency", "activity"])
def test_swapping_group_and_reference_flips_every_sign(trained, gene_sets, difference):
    trained.obs["kind"] = ["a", "b"] * 45
    for group, other in (("a", "b"), ("b", "a")):
        sides = {"groups": [group], "reference": other, "key_added": group}
        mo.tl.pathway_impact(trained, gene_sets, groupby="kind", explanation={"difference": difference}, **sides)
    one, two = (mo.get.impact(trained, result=key, group=key) for key in ("a", "b"))
    np.testing.assert_allclose(one, -two, atol=1e-6)
    assert np.abs(one.to_numpy()).max() == 1


def test_scales_of_all_and_within_are_one(trained, gene_sets):
    trained.obs["kind"] = ["a", "b"] * 45
    for scale in ("all", "set"):
        mo.tl.pathway_impact(trained, gene_sets, groupby="kind", explanation={"scale": scale})
        entry = trained.uns["ae_impact_kind"]
        levels = np.abs(np.concatenate([entry["all_unscaled"][None], entry["within_unscaled"]]))
        axis = None if scale == "all" else (0, 2)
        lowest, highest = levels.min(axis=axis, keepdims=True), levels.max(axis=axis, keepdims=True)
        shown = np.concatenate([entry["all"][None], entry["within"]])
        np.testing.assert_allclose(shown, (levels - lowest) / (highest - lowest), atol=1e-5)


def test_planted_programmes_lead_in_their_groups():
    """The answer is known: a group's own programme has the largest effect."""
    adata = mo.datasets.simulated(n_cells=600, n_genes=200, n_programmes=4, genes_per_programme=20, seed=0)
    loadings, activity = adata.varm["truth_loadings"], adata.obsm["truth_activity"]
    sets = {str(p): list(adata.var_names[loadings[:, p] > 0]) for p in range(4)}
    mo.tl.autoencoder(adata, n_latent=16, n_splits=0, device="cpu")
    adata.obs["leading"] = pd.Categorical(activity.argmax(axis=1).astype(str))
    mo.tl.pathway_impact(adata, sets, groupby="leading")
    table = mo.get.impact_table(adata, result="ae_impact_leading")
    leading = table.loc[table.groupby("group", observed=True)["effect"].idxmax()]
    assert (leading["group"] == leading["set"]).mean() >= 0.75


def test_denoised_counts_are_the_decoded_rates(trained):
    mo.tl.denoise(trained)
    fitted = read_model(trained, "ae")
    cells = read_cells(trained, fitted, layer=None)
    rates = cells.scale() * fitted.network.decode(fitted.network.encode(cells.inputs()))
    np.testing.assert_allclose(trained[:, fitted.genes].layers["ae_denoised"], rates, rtol=1e-5)
    assert np.isnan(trained[:, ~trained.var["chosen"]].layers["ae_denoised"]).all()


def test_embeddings_cover_input_representation_and_snapshots(trained):
    mo.tl.embeddings(trained, n_neighbors=10)
    names = ["X_ae_umap_input", "X_ae_umap", "X_ae_umap_epoch0", "X_ae_umap_epoch2"]
    maps = [trained.obsm[name] for name in names]
    assert all(m.shape == (90, 2) and m.dtype == np.float32 and np.isfinite(m).all() for m in maps)
    assert len({m.tobytes() for m in maps}) >= 3  # the weights that were kept may be those of epoch 2
    with pytest.raises(ValueError, match="90 cells are too few for 90 neighbours"):
        mo.tl.embeddings(trained, n_neighbors=90)


def test_of_many_cells_some_get_a_place(trained):
    alone = mo.tl.embeddings(trained[cells_to_place(90, 40, 3)].copy(), n_neighbors=10, seed=3, copy=True)
    mo.tl.embeddings(trained, n_neighbors=10, max_cells=40, seed=3)
    for name in ("X_ae_umap", "X_ae_umap_input"):
        placed = np.isfinite(trained.obsm[name]).all(axis=1)
        np.testing.assert_array_equal(np.flatnonzero(placed), cells_to_place(90, 40, 3))
        np.testing.assert_allclose(trained.obsm[name][placed], alone.obsm[name], rtol=1e-5)
        assert placed.sum() == 40
    np.testing.assert_array_equal(cells_to_place(90, 90, 3), np.arange(90))
    with pytest.raises(ValueError, match="40 cells are too few for 50 neighbours"):
        mo.tl.embeddings(trained, n_neighbors=50, max_cells=40)


MISTAKES = {
    "no model": (lambda a: mo.tl.saliency(a, key="x"), KeyError, r"no model 'x'.*Trained models here: \['ae'\]"),
    "method": (lambda a: mo.tl.saliency(a, method="lime"), ValueError, "method is 'lime'; choose one of"),
    "groupby": (lambda a: mo.tl.saliency(a, groupby="nope"), KeyError, "'nope' is not a column of adata.obs. Choose"),
    "numbers": (lambda a: mo.tl.saliency(a, groupby="number"), ValueError, "holds numbers, not groups.*pd.cut"),
    "no gene": (
        lambda a: mo.tl.pathway_impact(a, {"s": ["x"]}),
        ValueError,
        "no gene of the 1 gene set is in adata",
    ),
    "aggregate": (
        lambda a: mo.tl.pathway_impact(a, {"s": ["x"]}, explanation={"aggregate": "max"}),
        ValueError,
        "aggregate is 'max'",
    ),
    "no dict": (
        lambda a: mo.tl.pathway_impact(a, {"s": ["x"]}, explanation="guided"),
        TypeError,
        "explanation is 'guided'; give a dict, such as explanation={'method': 'guided', 'signed': False}",
    ),
    "unknown setting": (
        lambda a: mo.tl.sanity(a, {"s": ["x"]}, explanation={"methods": "guided"}),
        ValueError,
        r"explanation has no setting 'methods'; choose from \['method', 'signed', 'aggregate', 'difference', 'scale'\]",
    ),
    "neither true nor false": (
        lambda a: mo.tl.pathway_impact(a, {"s": ["x"]}, explanation={"signed": "no"}),
        TypeError,
        "signed is 'no'; choose True or False",
    ),
    "difference": (
        lambda a: mo.tl.pathway_impact(a, {"s": ["x"]}, explanation={"difference": "units"}),
        ValueError,
        r"difference is 'units'; choose one of \['activity', 'saliency'\]",
    ),
    "one group": (
        lambda a: mo.tl.pathway_impact(a, {"s": list(a.var_names)}, groupby="same"),
        ValueError,
        "nothing to compare.*two groups or more",
    ),
    "unknown group": (
        lambda a: mo.tl.pathway_impact(a, {"s": list(a.var_names)}, groupby="kind", groups=["q"]),
        KeyError,
        r"no group 'q'. Choose from \['a', 'b'\]",
    ),
    "itself": (
        lambda a: mo.tl.pathway_impact(a, {"s": list(a.var_names)}, groupby="kind", groups=["a"], reference="a"),
        ValueError,
        "cannot be compared with itself",
    ),
    "text": (
        lambda a: mo.tl.pathway_impact(a, {"s": list(a.var_names)}, groupby="kind", groups="a"),
        TypeError,
        r"groups=\['a'\]",
    ),
    "rest": (
        lambda a: mo.tl.pathway_impact(a, {"s": list(a.var_names)}, groupby="remains"),
        ValueError,
        "two meanings.*rename this one: `adata",
    ),
    "no impact": (mo.get.impact, KeyError, "no impact 'ae_impact'.*Run `mo.tl.pathway_impact"),
    "no saliency": (mo.get.saliency, KeyError, "no saliency 'ae_saliency'.*Run `mo.tl.saliency"),
    "no representation": (
        lambda a: mo.get.representation(a, key="x"),
        KeyError,
        r"no 'X_x'. Trained models here: \['ae'\]",
    ),
    "genes gone": (
        lambda a: mo.tl.saliency(a[:, 10:].copy()),
        KeyError,
        r"7 of the model's 30 genes are not in adata.*Use the AnnData with all the genes",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_the_next_step_and_write_nothing(trained, name):
    trained.obs["number"], trained.obs["same"], trained.obs["kind"] = 0.5, "x", ["a", "b"] * 45
    trained.obs["remains"] = ["rest", "b"] * 45
    before = [set(field) for field in (trained.uns, trained.varm, trained.obsm, trained.layers)]
    call, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        call(trained)
    assert [set(field) for field in (trained.uns, trained.varm, trained.obsm, trained.layers)] == before


def test_warnings_about_counts_stand_at_the_line_of_the_user(trained):
    trained.layers["roots"] = np.sqrt(trained.X)
    sets = {"s": list(trained.var_names)}
    for call in (
        lambda: mo.tl.autoencoder(trained, layer="roots", n_splits=0, n_latent=5, max_epochs=2, device="cpu"),
        lambda: mo.tl.saliency(trained),
        lambda: mo.tl.pathway_impact(trained, sets),
        lambda: mo.pp.gene_set_mask(trained, sets, layer="roots", min_max_count=0),
        lambda: mo.tl.denoise(trained),
    ):
        with pytest.warns(UserWarning, match="no raw counts") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]


def test_history_marks_the_epoch_that_was_kept(trained):
    table = mo.get.history(trained)
    assert list(table.columns) == ["train_loss", "test_loss", "orthogonality", "best"]
    assert table.index[table["best"]].tolist() == [table["test_loss"].idxmin()]


def test_metrics_against_their_definitions(trained):
    units = trained.obsm["X_ae"].astype(float)
    found = mo.metrics.orthogonality(trained)
    np.testing.assert_allclose(found["singular_values"], np.sqrt((units**2).sum()), rtol=1e-6)
    model = trained.uns["ae"]["model"]
    weight = (model["w2"] if "w2" in model else model["encoder"]).astype(float)
    if "encoder" in model:
        weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    np.testing.assert_allclose(found["weights"], np.sqrt(((np.eye(5) - weight @ weight.T) ** 2).sum()), rtol=1e-6)
    trained.obsm["apart"] = np.repeat([[0.0, 0], [9, 9], [-9, 9]], 30, axis=0) + np.random.default_rng(0).normal(
        size=(90, 2)
    )
    trained.obs["truth"] = np.repeat(["a", "b", "c"], 30)
    assert mo.metrics.clustering_nmi(trained, labels="truth", use_rep="apart").max() == 1
    trained.obs["noise"] = np.random.default_rng(1).permutation(trained.obs["truth"])
    assert mo.metrics.clustering_nmi(trained, labels="noise", use_rep="apart").mean() < 0.2
    with pytest.raises(KeyError, match="labels='x' is not a column"):
        mo.metrics.clustering_nmi(trained, labels="x")
    with pytest.raises(KeyError, match="no 'X_x'"):
        mo.metrics.clustering_nmi(trained, labels="truth", use_rep="X_x")
