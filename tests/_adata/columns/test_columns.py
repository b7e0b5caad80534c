"""Masks, gene names and identifiers as users have them."""

from __future__ import annotations

import re
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import modulae as mo
from modulae._adata.columns.columns import read_mask
from modulae._adata.gene_names import gene_names

MASKS = {
    "bool": lambda v: pd.Series(v, dtype=bool),
    "object": lambda v: pd.Series(v, dtype=object),
    "nullable": lambda v: pd.Series(v, dtype="boolean"),
    "0 and 1": lambda v: pd.Series(v, dtype=int),
    "unsigned": lambda v: pd.Series(v, dtype="uint8"),
    "0.0 and 1.0": lambda v: pd.Series(v, dtype=float),
    "nullable 0 and 1": lambda v: pd.Series(v, dtype="Int64"),
    "text": lambda v: pd.Series([str(one) for one in v], dtype=object),
    "string": lambda v: pd.Series([str(one) for one in v], dtype="string"),
    "R": lambda v: pd.Series([str(one).upper() for one in v], dtype=object),
    "category": lambda v: pd.Series([str(one) for one in v]).astype("category"),
    "category of booleans": lambda v: pd.Series(v, dtype=bool).astype("category"),
}


def genes(column):
    adata = ad.AnnData(np.ones((2, len(column)), dtype="f4"))
    adata.var["mask"] = column.to_numpy() if column.dtype == object else column.array
    return adata


def run_line(message, adata):
    exec(re.findall(r"`([^`]*)`", message)[-1], {"adata": adata, "np": np, "pd": pd})  # noqa: S102


@given(values=st.lists(st.booleans(), min_size=1, max_size=12), kind=st.sampled_from([*MASKS]))
def test_a_mask_is_read_in_every_type(values, kind):
    adata = genes(MASKS[kind](values))
    before = adata.var.copy()
    found = read_mask(adata, "mask")
    assert found.dtype == bool
    assert found.tolist() == values
    pd.testing.assert_frame_equal(adata.var, before)


@given(
    values=st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=12),
    kind=st.sampled_from(["object", "nullable", "0.0 and 1.0", "nullable 0 and 1", "R"]),
)
def test_missing_values_of_a_mask_are_counted_and_the_line_leaves_these_genes_out(values, kind):
    if kind == "R":
        column = pd.Series([None if one is None else str(one).upper() for one in values], dtype=object)
    else:
        column = pd.Series(
            values, dtype={"object": object, "nullable": "boolean", "0.0 and 1.0": float}.get(kind, "Int64")
        )
    adata = genes(column)
    n = values.count(None)
    if n:
        with pytest.raises(ValueError, match=rf"adata\.var\['mask'\] is missing for {n} gene.*isin") as refused:
            read_mask(adata, "mask")
        run_line(str(refused.value), adata)
    assert read_mask(adata, "mask").tolist() == [one is True for one in values]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["yes", "no"], r"holds object such as 'yes', 'no', not True and False. Name a boolean.*== 'yes'"),
        ([0, 2], "holds int64 such as 2, not True and False"),
        ([0.5, 1.0], "holds float64 such as 0.5"),
        ([True, "maybe"], "such as 'maybe'"),
    ],
)
def test_what_is_no_mask_is_refused_before_any_work(values, message):
    adata = genes(pd.Series(values))
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message.replace("object", "(object|str)")):
        mo.tl.autoencoder(adata, mask_var="mask")
    assert not adata.uns
    assert not adata.obsm


def test_two_columns_of_one_name_are_no_mask():
    adata = genes(pd.Series([True, False]))
    adata.var = pd.concat([adata.var, adata.var], axis=1)
    with pytest.raises(ValueError, match=r"adata\.var has 2 columns called 'mask'.*duplicated") as refused:
        read_mask(adata, "mask")
    run_line(str(refused.value), adata)
    assert read_mask(adata, "mask").tolist() == [True, False]


def with_names(names):
    adata = ad.AnnData(np.random.default_rng(0).poisson(2, (30, 4)).astype("f4"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.var.index = pd.Index(names)
    return adata


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["A", np.nan, "B", "C"], r"1 of 4 genes has no name.*notna\(\)"),
        (["A", None, None, "C"], "2 of 4 genes have no name"),
        ([1, 2, 3, 4], r"4 gene names are no text but int.*map\(str\)"),
        ([1.0, 2.0, 3.0, 4.0], "no text but float"),
        ([b"A", b"B", b"C", b"D"], r"no text but bytes.*decode\('utf-8'\)"),
        (pd.Index(["A", 2, "C", "D"], dtype=object), "1 gene name is no text but int"),
    ],
)
@pytest.mark.parametrize("function", ["autoencoder", "search"])
def test_gene_names_that_are_no_names_say_so(names, message, function):
    adata = with_names(names)
    more = {"settings": {"n_latent": [2]}, "seeds": [0]} if function == "search" else {}
    with pytest.raises(ValueError, match=message) as refused:
        getattr(mo.tl, function)(adata, **more)
    assert not adata.uns
    space = {"adata": adata}
    exec(re.search(r"`([^`]*)`", str(refused.value)).group(1), space)  # noqa: S102
    assert all(isinstance(name, str) for name in gene_names(space["adata"]))


def test_names_in_every_type_of_index():
    for index in (
        pd.Index(list("ABCD"), dtype=object),
        pd.Index(list("ABCD"), dtype="string"),
        pd.CategoricalIndex(list("ABCD")),
    ):
        assert gene_names(with_names(index)).tolist() == list("ABCD")


IDS = {
    "whole": lambda n: np.arange(100, 100 + n),
    "float": lambda n: np.arange(100.0, 100 + n),
    "text": lambda n: [str(at) for at in range(100, 100 + n)],
    "text of floats": lambda n: [f"{at}.0" for at in range(100, 100 + n)],
    "nullable": lambda n: pd.array(np.arange(100, 100 + n), dtype="Int64"),
    "object": lambda n: np.arange(100, 100 + n).astype(object),
}


@pytest.mark.parametrize("theirs", IDS)
@pytest.mark.parametrize("ours", ["whole", "float", "text of floats"])
def test_identifiers_match_in_every_type(ours, theirs, tmp_path):
    """12 in the model is 12.0 in a table that once had a missing value."""
    old = mo.datasets.simulated(n_cells=60, n_genes=20, n_programmes=2, genes_per_programme=6, seed=1)
    old.var["gene_ids"] = IDS[ours](20)
    mo.tl.autoencoder(old, n_latent=2, n_splits=0, max_epochs=1, device="cpu")
    mo.save_model(old, tmp_path / "m.safetensors")
    new = old.copy()
    new.uns.clear(), new.obsm.clear(), new.varm.clear()
    del new.var["ae_gene"]
    new.var_names = [f"other{at}" for at in range(20)]
    new.var["gene_ids"] = IDS[theirs](20)
    for model in (old, tmp_path / "m.safetensors"):
        mo.tl.transfer(new, model, device="cpu")
        assert new.uns["ae"]["transfer"]["share_of_genes"] == 1
        np.testing.assert_allclose(new.obsm["X_ae"], old.obsm["X_ae"], rtol=1e-5)
