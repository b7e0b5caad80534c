"""Columns that name things: one reader for donors, groups, batches and cell types, whatever their type."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import modulae as mo
from modulae._adata.columns.labels import labels_of, read_labels, written

KINDS = {
    "text": lambda values: pd.Series(values, dtype=object).map(str, na_action="ignore"),
    "category of text": lambda values: KINDS["text"](values).astype("category"),
    "string": lambda values: KINDS["text"](values).astype("string"),
    "object of whole numbers": lambda values: pd.Series(values, dtype=object),
    "category of whole numbers": lambda values: pd.Series(values, dtype="Int64").astype("category"),
    "nullable whole numbers": lambda values: pd.Series(values, dtype="Int64"),
    "floats": lambda values: pd.Series(values, dtype="float64"),
    "single floats": lambda values: pd.Series(values, dtype="float32"),
    "category of floats": lambda values: pd.Series(values, dtype="float64").astype("category"),
    "nullable floats": lambda values: pd.Series(values, dtype="Float64"),
}


def run_line(message, frame):
    """Run what a message says to run."""
    adata = ad.AnnData(obs=frame)
    exec(re.search(r"`(adata\.obs[^`]*)`", message).group(1), {"adata": adata})  # noqa: S102
    return adata.obs


def truth_of(values):
    """Names of each cell, worked out with nothing but `str`."""
    return [None if value is None else str(value) for value in values]


def as_texts(found):
    return [None if code < 0 else found.names[code] for code in found.codes]


@given(
    values=st.lists(st.one_of(st.none(), st.integers(-3, 6)), min_size=1, max_size=30), kind=st.sampled_from([*KINDS])
)
def test_whole_numbers_name_the_same_in_every_type(values, kind):
    """A merge that leaves cells without a value turns 1 into 1.0: it is the same donor."""
    column = KINDS[kind](values)
    before = column.copy()
    found = labels_of(column, "column")
    assert as_texts(found) == truth_of(values)
    assert found.n_missing == sum(value is None for value in values)
    pd.testing.assert_series_equal(column, before)


@given(
    values=st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=20),
    kind=st.sampled_from(["boolean", object]),
)
def test_booleans_are_labels(values, kind):
    assert as_texts(labels_of(pd.Series(values, dtype=kind), "column")) == truth_of(values)


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(
                ["T", "T ", " T", "1", "1.0", "B  1", "B 1", "caf\u00e9", "cafe\u0301", "true", "True", b"T"]
            ),
            st.integers(0, 2),
            st.sampled_from([0.0, 1.0, 2.0]),
        ),
        min_size=1,
        max_size=12,
    )
)
@example(["B  1", "B 1", b"T"])
@example(["caf\u00e9", "true", "True"])
def test_labels_count_as_often_as_a_reader_sees_them_or_are_refused_with_the_line(values):
    """Either every label looks unlike the others, or the line of the message makes that so."""
    frame = pd.DataFrame({"x": pd.array(values, dtype=object)}, index=[f"c{i}" for i in range(len(values))])

    def look(value):
        text = value.decode() if isinstance(value, bytes) else str(value)
        text = " ".join(unicodedata.normalize("NFC", text).split())
        return re.sub(r"\.0$", "", text) if text[0].isdigit() else {"true": "True"}.get(text, text)

    expected = [None if value is None else look(value) for value in values]
    for _ in range(6):
        try:
            found = labels_of(frame["x"], "adata.obs['x']")
            break
        except ValueError as error:
            frame = run_line(str(error), frame)
    else:
        raise AssertionError(frame)
    assert [None if name is None else look(name) for name in as_texts(found)] == expected
    assert len(found.names) == len({name for name in expected if name is not None})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "1", 2], r"written alike \(1 and '1'\).*map\(str"),
        ([1.0, "1"], r"written alike \(1\.0 and '1'\)"),
        ([1, "1.0"], r"written alike"),
        (["CTRL", "CTRL ", "STIM"], r"'CTRL' and 'CTRL '.*split"),
        (["a\u00a0b", "a b"], "written alike"),
        (["caf\u00e9", "cafe\u0301"], "normalize"),
        ([True, "True"], "written alike"),
        ([True, 1, 0], "booleans and numbers"),
        ([b"T", "T"], r"b'T' and 'T'.*decode"),
        ([0.5, 1.5, None], r"holds numbers, not donors.*pd\.cut"),
        ([0.5, np.inf], "holds numbers, not donors"),
        ([["a"], ["b"]], "holds list, not donors"),
    ],
)
@pytest.mark.parametrize("as_category", [False, True])
def test_what_is_no_label_is_refused(values, message, as_category):
    column = pd.Series(values, dtype=object)
    if as_category:
        if "written" not in message:
            pytest.skip("who made categories of numbers means them")
        column = column.astype("category")
    with pytest.raises(ValueError, match=message):
        labels_of(column, "adata.obs['x']", what="donors")


def test_categories_keep_their_order_and_only_those_with_cells():
    column = pd.Series(pd.Categorical(["b", "a", None], categories=["z", "b", "a"]))
    assert labels_of(column, "x").names == ["b", "a"]
    assert labels_of(column, "x", unused=True).names == ["z", "b", "a"]
    assert list(labels_of(column, "x").codes) == [0, 1, -1]
    assert labels_of(pd.Series(pd.Categorical([0.5, 1.0])), "x").names == ["0.5", "1"]  # who made categories means them


def test_identifiers_are_written_without_the_point_of_a_float():
    assert [written(one) for one in (12, 12.0, np.float32(12), "12", "12.5", 12.5, b"x")] == [
        "12",
        "12",
        "12",
        "12",
        "12.5",
        "12.5",
        "x",
    ]


# --- every function that takes a column ---------------------------------------------------------------------------

SETTINGS = {"n_latent": 3, "n_splits": 0, "max_epochs": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def model():
    adata = mo.datasets.simulated(n_cells=72, n_genes=30, n_programmes=3, genes_per_programme=8, seed=1)
    mo.tl.autoencoder(adata, **SETTINGS)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(72, 2)).astype("f4")
    adata.obs["side"] = np.where(np.arange(72) < 36, "one", "other")
    adata.obs["given"] = np.where(np.arange(72) % 3, "T", "B")
    return adata


@pytest.fixture
def alike(model):
    adata = model.copy()
    adata.obs["x"] = pd.Series([1, "1", 2, "b"] * 18, index=adata.obs_names, dtype=object)
    return adata


def gene_sets(adata):
    return {"a": list(adata.var_names[:8]), "b": list(adata.var_names[8:16])}


def many_sets(adata):
    return {f"set {at}": list(adata.var_names[at : at + 8]) for at in range(0, 21, 3)}


READERS = {
    "saliency": lambda a: mo.tl.saliency(a, groupby="x", device="cpu"),
    "impact": lambda a: mo.tl.pathway_impact(a, gene_sets(a), groupby="x", device="cpu"),
    "donors": lambda a: mo.tl.pathway_impact(a, gene_sets(a), groupby="side", donor_key="x", device="cpu"),
    "strata": lambda a: mo.tl.pathway_impact(a, gene_sets(a), groupby="side", stratify_by="x", device="cpu"),
    "batches": lambda a: mo.tl.autoencoder(a, batch_key="x", key_added="new", **SETTINGS),
    "search": lambda a: mo.tl.search(a, {"n_latent": [2]}, seeds=[0], labels="x"),
    "search, batches": lambda a: mo.tl.search(a, {"batch_key": ["x"]}, seeds=[0]),
    "summary": lambda a: mo.tl.unit_summary(a, groupby="x", device="cpu"),
    "sanity": lambda a: mo.tl.sanity(a, many_sets(a), groupby="x", device="cpu"),
    "classify": lambda a: mo.tl.classify(a, a, labels="x", device="cpu"),
    "joint": lambda a: mo.tl.joint_embedding(a, a, labels="x", device="cpu"),
    "signatures": lambda a: mo.tl.signatures(a, groupby="x"),
    "confusion": lambda a: mo.get.confusion(a, truth="x", label="given"),
    "confusion, label": lambda a: mo.get.confusion(a, truth="given", label="x"),
    "nmi": lambda a: mo.metrics.clustering_nmi(a, labels="x"),
    "disentanglement": lambda a: mo.metrics.disentanglement(a, "x"),
    "picture": lambda a: mo.pl.units(a, color="x"),
    "report": lambda a: mo.report(a, "never.html", groupby="x"),
}


def same(one, other):
    pd.testing.assert_frame_equal(one.obs, other.obs)
    pd.testing.assert_frame_equal(one.var, other.var)
    assert {name: list(getattr(one, name)) for name in ("obsm", "varm", "uns", "layers")} == {
        name: list(getattr(other, name)) for name in ("obsm", "varm", "uns", "layers")
    }


@pytest.mark.parametrize("name", READERS)
def test_labels_that_are_written_alike_are_refused_everywhere(alike, name):
    before = alike.copy()
    with pytest.raises(ValueError, match=r"obs\['x'\] has .* written alike \(1 and '1'\).*: `(adata|reference)"):
        READERS[name](alike)
    same(alike, before)


@pytest.mark.filterwarnings("ignore:.*not unique")
@pytest.mark.parametrize("name", READERS)
def test_two_columns_of_one_name_are_refused_everywhere(model, name):
    adata = model.copy()
    extra = pd.DataFrame({"x": ["a", "b"] * 36}, index=adata.obs_names)
    adata.obs = pd.concat([adata.obs, extra, extra], axis=1)
    with pytest.raises(ValueError, match=r"obs has 2 columns called 'x'.*duplicated\(\)\]`"):
        READERS[name](adata)


def joined():
    """Three donors on each side; those of the first sample are numbers, of the second text."""
    adata = mo.datasets.simulated(n_cells=120, n_genes=30, n_programmes=3, genes_per_programme=8, seed=2)
    donor = np.arange(120) % 6
    adata.obs["side"] = np.where(donor < 3, "ill", "well")
    first = np.arange(120) < 60
    adata.obs["donor"] = pd.Series(
        [int(d) if early else str(d) for d, early in zip(donor, first, strict=True)],
        index=adata.obs_names,
        dtype=object,
    )
    mo.tl.autoencoder(adata, **SETTINGS)
    return adata


@pytest.mark.filterwarnings("ignore:so few donors:UserWarning")
def test_three_donors_a_side_are_not_six():
    """With three a side a permutation of donors has 20 outcomes, so that p is 0.1 at least (0.05 for one side)."""
    adata = joined()
    sets = gene_sets(adata)
    run = {"groupby": "side", "groups": ["ill"], "device": "cpu", "n_permutations": 999}
    with pytest.raises(ValueError, match="written alike") as refused:
        mo.tl.pathway_impact(adata, sets, donor_key="donor", **run)
    assert Counter(list(adata.uns)) == Counter({"ae": 1, "ae_loadings": 1, "gene_sets": 1, "truth": 1})
    adata.obs = run_line(str(refused.value), adata.obs)
    mo.tl.pathway_impact(adata, sets, donor_key="donor", key_added="right", **run)
    p = mo.get.impact_table(adata, result="right")["p"]
    assert (p >= 0.1 - 1e-9).all()
    adata.obs["whole"] = [float(d) for d in adata.obs["donor"]]  # as a merge leaves them
    mo.tl.pathway_impact(adata, sets, donor_key="whole", key_added="floats", **run)
    np.testing.assert_allclose(mo.get.impact_table(adata, result="floats")["p"], p)


def test_a_missing_donor_or_batch_is_answered_as_before(model):
    adata = model.copy()
    donor = pd.Series([float(i % 6) for i in range(72)], index=adata.obs_names)
    adata.obs["donor"] = donor.where(np.arange(72) != 5)
    found = read_labels(adata, "donor", "donor_key")
    assert (found.names, found.n_missing) == (["0", "1", "2", "3", "4", "5"], 1)
    with pytest.raises(ValueError, match=r"1 cell has no batch in adata.obs\['donor'\].*notna\(\)"):
        mo.tl.autoencoder(adata, batch_key="donor", key_added="new", **SETTINGS)


def test_cell_types_that_a_merge_made_floats_are_labels(model):
    adata = model.copy()
    adata.obs["type"] = [np.nan if i % 5 == 0 else float(i % 2) for i in range(72)]
    mo.tl.classify(adata, adata, labels="type", device="cpu", unknown_rate=0)
    assert list(adata.obs["ae_label"].cat.categories) == ["0", "1", "unknown"]
    table = mo.get.confusion(adata, truth="type")
    assert list(table.index) == ["0", "1"]
    assert table.to_numpy().sum() == adata.obs["type"].notna().sum()


def test_a_list_of_columns_is_refused(model):
    with pytest.raises(TypeError, match=r"groupby is the list \['a', 'b'\]; name one column, such as groupby='a'\."):
        mo.tl.saliency(model.copy(), groupby=["a", "b"])


@pytest.mark.parametrize("group", [0, 0.0, np.float64(0), np.int64(0), "0"])
def test_a_group_is_named_as_it_stands_in_the_column(model, group):
    """A merge made floats of whole numbers: who takes a group from the column has 0.0."""
    adata = model.copy()
    adata.obs["type"] = [np.nan if i % 5 == 0 else float(i % 2) for i in range(72)]
    sets = {"a": list(adata.var_names[:5]), "b": list(adata.var_names[5:10])}
    mo.tl.pathway_impact(adata, sets, groupby="type", groups=[group], null=None)
    assert list(adata.uns["ae_impact_type"]["groups"]) == ["0"]
    mo.tl.pathway_impact(adata, sets, groupby="type", reference=group, null=None)
    assert list(adata.uns["ae_impact_type"]["groups"]) == ["1"]
    mo.tl.pathway_impact(adata, sets, groupby="type", null=None)
    pd.testing.assert_frame_equal(
        mo.get.impact(adata, result="ae_impact_type", group=group),
        mo.get.impact(adata, result="ae_impact_type", group="0"),
    )
    assert list(mo.pl.impact_groups(adata, groupby="type", groups=[group])) == ["0"]
