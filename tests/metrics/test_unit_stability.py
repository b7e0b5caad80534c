"""Units that come back in another run."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo

UNITS = np.random.default_rng(0).normal(size=(200, 4))


def test_a_rearranged_copy_is_found_again():
    table = mo.metrics.unit_stability(UNITS, UNITS[:, [2, 0, 3, 1]] * [-1, 2, 1e-6, -5] + 3)
    assert table["partner"].tolist() == ["1", "3", "0", "2"]
    np.testing.assert_allclose(table["abs_r"], 1)
    assert table["back"].all()
    assert table.index.name == "unit"


def test_correlations_are_those_of_numpy_and_partners_are_not_shared():
    """Both of the first run are closest to unit 0 of the second; together they are closest this way round."""
    other = np.c_[UNITS[:, 0] + UNITS[:, 1] + 0.1 * UNITS[:, 2], UNITS[:, 1] + 2 * UNITS[:, 3]]
    table = mo.metrics.unit_stability(UNITS[:, :2], other, threshold=0.5)
    r = np.abs(np.corrcoef(UNITS[:, :2], other, rowvar=False)[:2, 2:])
    assert r.argmax(axis=1).tolist() == [0, 0]
    assert table["partner"].tolist() == ["0", "1"]
    np.testing.assert_allclose(table["abs_r"], r[[0, 1], [0, 1]])
    assert table["back"].tolist() == (r[[0, 1], [0, 1]] > 0.5).tolist() == [True, False]


def test_fewer_units_and_units_that_never_vary_do_not_come_back():
    first = UNITS.copy()
    first[:, 3] = 0.1
    table = mo.metrics.unit_stability(first, UNITS[:, 1:3])
    assert table["partner"].fillna("none").tolist() == ["none", "0", "1", "none"]
    assert table["back"].tolist() == [False, True, True, False]
    np.testing.assert_allclose(table["abs_r"], [0, 1, 1, 0])
    dead = mo.metrics.unit_stability(first, first)
    assert dead["abs_r"].tolist() == pytest.approx([1, 1, 1, 0])


@pytest.mark.parametrize("form", [list, tuple, lambda runs: dict(zip("ab", runs, strict=True))])
def test_several_runs(form):
    noisy = UNITS + [0, 0, 5, 0] * np.random.default_rng(1).normal(size=UNITS.shape)
    table = mo.metrics.unit_stability(UNITS, form([UNITS, noisy]))
    assert table.index.names == ["run", "unit"]
    assert list(table.index.get_level_values("run").unique()) in (["0", "1"], ["a", "b"])
    assert table["back"].groupby("unit", sort=False).mean().tolist() == [1, 1, 0.5, 1]


def test_anndata_and_tables_are_matched_by_cell():
    first = ad.AnnData(np.ones((200, 1), dtype=np.float32), obs=pd.DataFrame(index=[f"cell{i}" for i in range(200)]))
    first.obsm["X_ae"] = UNITS
    second = first[::-1].copy()
    table = mo.metrics.unit_stability(first, second)
    np.testing.assert_allclose(table["abs_r"], 1)
    named = pd.DataFrame(second.obsm["X_ae"], index=second.obs_names, columns=list("wxyz"))
    assert mo.metrics.unit_stability(first, named)["partner"].tolist() == list("wxyz")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_units=st.integers(1, 6))
def test_order_sign_and_scale_change_nothing(seed, n_units):
    rng = np.random.default_rng(seed)
    other = UNITS @ rng.normal(size=(4, n_units)) + rng.normal(size=(200, n_units))
    expected = mo.metrics.unit_stability(UNITS, other)
    order, cells = rng.permutation(n_units), rng.permutation(200)
    changed = pd.DataFrame(other * rng.choice([-3.0, 0.1], size=n_units) + 7)[order].iloc[cells].to_numpy()
    found = mo.metrics.unit_stability(UNITS[cells], changed)
    np.testing.assert_allclose(found["abs_r"], expected["abs_r"], atol=1e-9)
    back_to = {str(at): str(unit) for at, unit in enumerate(order)} | {"none": "none"}
    partners = [back_to[partner] for partner in found["partner"].fillna("none")]
    assert partners == expected["partner"].fillna("none").tolist()
    swapped = mo.metrics.unit_stability(other, UNITS)
    assert swapped["abs_r"].sum() == pytest.approx(expected["abs_r"].sum())


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        (UNITS[:5], ValueError, "second has 5 cells, and the representation 200. Give the same cells"),
        ([UNITS, UNITS[:5]], ValueError, "run '1' of second has 5 cells"),
        ([], ValueError, "second holds no run. Give at least one"),
        (np.where(UNITS > 2, np.nan, UNITS), ValueError, "second holds values that are missing, .* finite numbers"),
        (ad.AnnData(UNITS), KeyError, r"adata.obsm has no 'X_ae'. Run"),
    ],
)
def test_mistakes_get_the_next_step(second, error, message):
    with pytest.raises(error, match=message):
        mo.metrics.unit_stability(UNITS, second)
