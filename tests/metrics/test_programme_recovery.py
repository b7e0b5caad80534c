"""Genes of programmes in the weights of units."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo

GENES = [f"g{i}" for i in range(10)]
SETS = {"first": ["g0", "g1", "g2"], "second": ["g7", "g8"]}


def weights(*units):
    return pd.DataFrame(np.transpose(units), index=GENES, dtype=float)


def test_known_ranks():
    """`first` leads from the top of unit 1, `second` is 2nd and 3rd from the bottom of unit 0: (1/2 + 2/3) / 2."""
    found = mo.metrics.programme_recovery(
        weights([4, 5, 6, 7, 8, 9, 10, 1, 2, 0], [9, 8, 7, 0, 1, 2, 3, 4, 5, 6]), SETS
    )
    assert found["unit"].to_dict() == {"first": "1", "second": "0"}
    assert found["direction"].to_dict() == {"first": 1, "second": -1}
    assert found["auprc"].to_dict() == pytest.approx({"first": 1, "second": (1 / 2 + 2 / 3) / 2})
    assert found["n_genes"].tolist() == [3, 2]
    assert found["chance"].tolist() == [0.3, 0.2]


def test_each_programme_has_a_unit_of_its_own():
    """Unit 0 ranks `first` right below `second`, and unit 1 knows little: best for both is the same unit."""
    leading = [7, 6, 5, 0, 1, 2, 3, 9, 8, 4]
    found = mo.metrics.programme_recovery(weights(leading, np.arange(10) % 4), SETS)
    assert found["best_unit"].tolist() == ["0", "0"]
    assert found["best_auprc"].to_dict() == pytest.approx({"first": (1 / 3 + 2 / 4 + 3 / 5) / 3, "second": 1})
    assert sorted(found["unit"]) == ["0", "1"]
    assert found.loc["second", "unit"] == "0"
    assert found.loc["first", "auprc"] < found.loc["first", "best_auprc"]
    alone = mo.metrics.programme_recovery(weights(leading), SETS)
    assert pd.isna(alone.loc["first", "unit"])
    assert alone.loc["first", ["direction", "auprc"]].tolist() == [0, 0]
    assert alone.loc["second", "auprc"] == 1


def test_genes_outside_the_model_are_left_out():
    table = weights([9, 8, np.nan, 0, 1, 2, 3, 4, 5, 6])
    found = mo.metrics.programme_recovery(table, {"first": [*SETS["first"], "elsewhere"]})
    assert found.loc["first", ["n_genes", "chance", "auprc"]].tolist() == [2, 2 / 9, 1]


def test_planted_genes_in_a_field_of_varm():
    adata = mo.datasets.simulated(difficulty="hard", n_cells=200, n_genes=300, seed=0)
    found = mo.metrics.programme_recovery(adata, adata.uns["gene_sets"], result="truth_loadings")
    np.testing.assert_allclose(found["auprc"], 1)
    assert found["unit"].tolist() == [str(p) for p in range(15)]
    adata.varm["noise"] = np.random.default_rng(0).normal(size=(300, 20))
    noise = mo.metrics.programme_recovery(adata, adata.uns["gene_sets"], result="noise")
    assert noise["auprc"].mean() < 3 * noise["chance"].mean()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_sign_and_scale_change_nothing(seed):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(10, 4)), index=GENES, columns=list("abcd"))
    expected = mo.metrics.programme_recovery(table, SETS)
    sign = pd.Series(rng.choice([-1, 1], size=4), index=table.columns)
    found = mo.metrics.programme_recovery((3 * sign * table).iloc[rng.permutation(10), rng.permutation(4)], SETS)
    assert found["auprc"].sum() == pytest.approx(expected["auprc"].sum())
    np.testing.assert_allclose(found["best_auprc"], expected["best_auprc"])


@pytest.mark.parametrize(
    ("data", "sets", "error", "message"),
    [
        (ad.AnnData(np.ones((2, 10))), SETS, KeyError, r"no 'ae_saliency'. Run `mo.tl.sal"),
        (
            weights(range(10)),
            {"a": ["x"]},
            ValueError,
            r"1 programme has none of the 10 .*\(a\). Leave out such programmes, or",
        ),
        (weights(range(10)), {"a": GENES}, ValueError, "or all of them"),
        (weights([np.nan] * 10), SETS, ValueError, "no gene has weights. Give genes × units"),
        (weights(range(10)).rename(index={"g1": "g0"}), SETS, ValueError, "more than one row of weights. Make"),
    ],
)
def test_mistakes_get_the_next_step(data, sets, error, message):
    with pytest.raises(error, match=message):
        mo.metrics.programme_recovery(data, sets)


def test_saliency_of_groups():
    adata = ad.AnnData(np.ones((2, 10)), var=pd.DataFrame(index=GENES))
    adata.varm["ae_saliency_kind"] = np.ones((10, 2, 3))
    with pytest.raises(ValueError, match=r"is no genes × units. Choose one group of it with `mo\.get\.saliency`"):
        mo.metrics.programme_recovery(adata, SETS, result="ae_saliency_kind")
