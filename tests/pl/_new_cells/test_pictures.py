"""Pictures and tables of cells that a foreign model reads, asserted on their artists."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba

import modulae as mo

TRUSTED = np.array([True, False, True, True])
RELIABILITY = np.array([0.9, 0.3, 0.8, 0.75], dtype=np.float32)


def rows(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def columns(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


@pytest.fixture
def foreign(adata):
    """Unit 1, which has the largest variance and impact, cannot be read."""
    adata.uns["ae"]["transfer"] = {
        "coverage": np.array([0.5, 0.2, 0.6, 0.4], dtype=np.float32),
        "reliability": RELIABILITY,
        "trusted": TRUSTED,
        "share_of_genes": 0.25,
        "n_model_genes": 2000,
        "missing": "model",
        "min_reliability": 0.7,
    }
    return adata


def test_transfer_draws_every_unit_and_marks_the_flagged(foreign):
    ax = mo.pl.transfer(foreign)
    assert columns(ax) == ["0", "2", "3", "1"]  # the best first
    bars = {round(bar.get_x() + bar.get_width() / 2): bar for bar in ax.patches}
    np.testing.assert_allclose([bars[at].get_height() for at in range(4)], RELIABILITY[[0, 2, 3, 1]])
    assert [bool(bars[at].get_hatch()) for at in range(4)] == [False, False, False, True]
    assert len({to_hex(bar.get_facecolor()) for bar in bars.values()}) == 2
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], [0.5, 0.6, 0.4, 0.2])
    assert ax.get_lines()[0].get_ydata()[0] == 0.7
    assert "500 of the model's 2,000 genes" in ax.get_title()
    assert "25 %" in ax.get_title()
    assert "3 of 4 programmes" in ax.get_title().replace("\n", " ")
    assert columns(mo.pl.transfer(foreign, sort="coverage")) == ["2", "0", "3", "1"]
    assert columns(mo.pl.transfer(foreign, sort="unit")) == list("0123")
    with pytest.raises(ValueError, match="choose one of"):
        mo.pl.transfer(foreign, sort="size")


def test_no_gene_missing_is_not_rounded_to_all(foreign):
    foreign.uns["ae"]["transfer"]["share_of_genes"] = 0.9995
    assert "> 99 %" in mo.pl.transfer(foreign).get_title()


def test_flagged_units_are_drawn_only_if_named(adata, foreign):
    assert list(mo.pl.units(foreign, n=4)) == ["3", "2", "0"]
    assert list(mo.pl.units(foreign, [1])) == ["1"]
    assert sorted(columns(mo.pl.impact(foreign, min_unit_impact=0))) == ["0", "2", "3"]
    assert columns(mo.pl.impact(foreign, units=[1, 0])) == ["1", "0"]
    panels = mo.pl.impact_groups(foreign, groupby="kind", min_unit_impact=0)
    assert sorted(columns(panels["a"])) == ["0", "2", "3"]
    assert "1" not in columns(mo.pl.enrichment(foreign, max_q=0.1))
    assert columns(mo.pl.enrichment(foreign, units=[1])) == ["1"]


def test_sets_are_not_chosen_for_a_flagged_unit(foreign):
    foreign.uns["ae_impact"]["all"][0] = [0, 1, 0, 0]  # "zeta" moves nothing but unit 1
    assert "zeta" not in rows(mo.pl.impact(foreign, n_sets=2))


def test_all_units_flagged_says_what_to_do(foreign):
    foreign.uns["ae"]["transfer"]["trusted"] = np.zeros(4, dtype=bool)
    for draw in (mo.pl.units, mo.pl.impact, mo.pl.enrichment):
        with pytest.raises(ValueError, match="name units"):
            draw(foreign)
    assert list(mo.pl.units(foreign, [1])) == ["1"]


@pytest.fixture
def labelled(adata):
    given = ["T", "T", "B", "unknown", "B", "NK"] * 5
    adata.obs["ae_label"] = pd.Categorical(given, categories=["T", "B", "NK", "DC", "unknown"])
    known = np.array(["b plus", "T", "B", "T", "B", None] * 5, dtype=object)
    adata.obs["known"] = pd.Categorical(known, categories=["b plus", "B", "T", "nobody"])
    return adata


def test_confusion_counts_cells_in_the_order_of_the_labels(labelled):
    table = mo.get.confusion(labelled, truth="known")
    assert list(table.columns) == ["T", "B", "NK", "DC", "unknown"]
    assert list(table.index) == ["T", "B", "b plus"]
    np.testing.assert_array_equal(table, [[5, 0, 0, 0, 5], [0, 10, 0, 0, 0], [5, 0, 0, 0, 0]])
    shares = mo.get.confusion(labelled, truth="known", normalise="truth")
    np.testing.assert_array_equal(shares.loc["T"], [0.5, 0, 0, 0, 0.5])
    with pytest.raises(KeyError, match="known"):
        mo.get.confusion(labelled, truth="nothing")
    with pytest.raises(KeyError, match="classify"):
        mo.get.confusion(labelled, truth="known", key="other")
    with pytest.raises(ValueError, match="numbers"):
        mo.get.confusion(labelled, truth="depth")


def test_confusion_puts_agreement_on_the_diagonal_and_frames_it(labelled):
    ax = mo.pl.confusion(labelled, truth="known")
    assert rows(ax) == ["T (10)", "b plus (5)", "B (10)"]
    assert columns(ax) == ["T", "B", "NK", "DC", "unknown"]
    written = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
    assert written == {(0, 0): "50", (0, 4): "50", (1, 0): "100", (2, 1): "100"}
    assert {(p.get_y() + 0.5, p.get_x() + 0.5) for p in ax.patches} == {(0, 0), (2, 1)}
    counts = mo.pl.confusion(labelled, truth="known", normalise=None)
    assert sorted(t.get_text() for t in counts.texts) == ["10", "5", "5", "5"]
    dark = {t.get_text(): t.get_color() for t in ax.texts}
    assert dark["100"] == "white"


def reference_and_new():
    """Two data sets of one simulation, the second with fewer genes."""
    data = mo.datasets.simulated(n_cells=160, n_genes=60, n_programmes=3, genes_per_programme=12, seed=1)
    reference, new = data[:100].copy(), data[100:, :50].copy()
    reference.obs["type"] = reference.obs["group"].astype(str).astype("category")
    n = len(reference.obs["type"].cat.categories)
    reference.uns["type_colors"] = np.array([f"#{at + 1:02x}0000" for at in range(n)], dtype=object)
    mo.tl.autoencoder(reference, n_latent=6, n_splits=0, max_epochs=3, device="cpu")
    mo.tl.transfer(new, reference, min_reliability=0.0, device="cpu")
    return reference, new


@pytest.fixture(scope="module")
def embedded_once():
    reference, new = reference_and_new()
    mo.tl.joint_embedding(new, reference, labels="type", n_neighbors=8, device="cpu")
    return reference, new


@pytest.fixture
def embedded(embedded_once):
    return embedded_once[0], embedded_once[1].copy()


def test_joint_embedding_is_one_table_of_both(embedded):
    reference, new = embedded
    table = mo.get.joint_embedding(new)
    assert list(table.index) == [*reference.obs_names, *new.obs_names]
    assert table["of"].value_counts().to_dict() == {"reference": 100, "new": 60}
    assert list(table["label"][:100]) == list(reference.obs["type"])
    assert table["label"][100:].isna().all()
    np.testing.assert_array_equal(table[["x", "y"]][100:], new.obsm["X_ae_joint"])
    assert new.uns["X_ae_joint"]["align"]
    assert np.isfinite(table[["x", "y"]]).all(axis=None)


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("form", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_joint_embedding_survives_a_file(embedded, tmp_path, form):
    _, new = embedded
    path = tmp_path / f"new.{form}"
    getattr(new, f"write_{form}")(path)
    read = getattr(ad, f"read_{form}")(path)
    pd.testing.assert_frame_equal(mo.get.joint_embedding(read), mo.get.joint_embedding(new))
    assert list(mo.pl.joint_embedding(read)) == ["reference", "new"]


def test_joint_embedding_is_forgotten_with_its_model(embedded):
    reference, new = embedded
    mo.tl.transfer(new, reference, min_reliability=0.0, device="cpu")
    assert "X_ae_joint" not in new.obsm
    assert "X_ae_joint" not in new.uns
    with pytest.raises(KeyError, match="joint_embedding"):
        mo.get.joint_embedding(new)


def test_joint_picture_has_one_frame_and_one_colour_a_label(embedded):
    reference, new = embedded
    names = list(reference.obs["type"].cat.categories)
    new.obs["ae_label"] = pd.Categorical([names[1]] * 30 + ["unknown"] * 30, categories=[*names, "unknown"])
    axes = mo.pl.joint_embedding(new)
    assert axes["reference"].get_xlim() == axes["new"].get_xlim()
    assert axes["reference"].get_ylim() == axes["new"].get_ylim()
    assert sorted(t.get_text() for t in axes["reference"].texts) == names
    behind, drawn = axes["new"].collections
    assert behind.get_gid() == "reference"
    assert (len(behind.get_offsets()), len(drawn.get_offsets())) == (100, 60)
    found = {to_hex(colour) for colour in drawn.get_facecolors()}
    assert found == {"#020000", to_hex("0.1")}
    codes = reference.obs["type"].cat.codes.to_numpy()
    places = {tuple(p): c for p, c in zip(new.uns["X_ae_joint"]["reference"], codes, strict=True)}
    left = axes["reference"].collections[0]
    for point, colour in zip(left.get_offsets(), left.get_facecolors(), strict=True):
        assert tuple(colour) == to_rgba(f"#{places[tuple(point.astype(np.float32))] + 1:02x}0000")


def test_bad_joint_embedding_leaves_the_cells_alone(embedded):
    reference, new = embedded
    del new.obsm["X_ae_joint"], new.uns["X_ae_joint"]
    for bad, error in (
        (({"labels": "none"}), KeyError),
        ({"n_neighbors": 160}, ValueError),
        ({"layer": "x"}, KeyError),
    ):
        with pytest.raises(error):
            mo.tl.joint_embedding(new, reference, **bad)
    assert "X_ae_joint" not in new.obsm
    assert "X_ae_joint" not in new.uns


def test_alignment_takes_away_a_shift_that_is_known():
    from modulae.core.inference.joint_space import joint_space

    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 100)
    roots = 10 + 4 * np.eye(3)[codes] + rng.normal(scale=0.3, size=(300, 3))
    shift = np.array([1.0, -0.5, 0.7])
    reference, cells = roots**2, (roots[:200] + shift) ** 2  # the third label is not there
    theirs, ours = joint_space(reference, cells, codes=codes, n_labels=3)
    np.testing.assert_allclose(theirs, roots)
    np.testing.assert_allclose(ours, roots[:200], atol=0.15)
    np.testing.assert_allclose(joint_space(reference, cells)[1], roots[:200] + shift)
