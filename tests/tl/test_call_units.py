"""In which cells a unit is on, from an AnnData into an AnnData."""

import re

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata.stored.models import read_model
from modulae.core.data.cells import Cells
from modulae.core.statistics.calls.call import UnitCalls, decide

FIELDS = ("ae_on", "ae_on_callable")


@pytest.fixture(scope="module")
def called(trained_once):
    adata = trained_once.copy()
    mo.tl.call_units(adata, device="cpu", fdr=0.2)
    return adata


def test_fields(called):
    for field in FIELDS:
        assert called.obsm[field].shape == called.obsm["X_ae"].shape
        assert called.obsm[field].dtype == bool
    assert (called.obsm["ae_on"] & ~called.obsm["ae_on_callable"]).sum() == 0
    entry = called.uns["ae_on"]
    assert {name: entry[name] for name in ("of_model", "fdr", "n_controls", "n_cells", "seed")} == {
        "of_model": "ae",
        "fdr": 0.2,
        "n_controls": 10,
        "n_cells": 90,
        "seed": 0,
    }


def test_calls_are_those_of_the_counts_and_the_model(called):
    """What `core` makes of the counts of the model's genes, which are tested there against the truth."""
    genes = called.var["chosen"].to_numpy()
    depth = np.asarray(called.X.sum(axis=1)).ravel()
    cells = Cells(sparse.csr_matrix(called.X[:, genes]), (depth / np.median(depth)).astype(np.float32))
    model = read_model(called, "ae")
    given = {
        "least_on": np.sqrt(np.diag(model.training.unit_covariance)),
        "fdr": 0.2,
        "n_controls": 10,
        "n_cells": 4000,
        "seed": 0,
        "batch_size": 90,
        "device": "cpu",
    }
    found = decide(model.network, cells, called.obsm["X_ae"], **given)
    assert found.on.any()
    assert (found.on == called.obsm["ae_on"]).mean() > 0.98  # but for rounding
    assert (found.callable == called.obsm["ae_on_callable"]).mean() > 0.98
    np.testing.assert_allclose(found.level_on, called.uns["ae_on"]["level_on"], rtol=1e-5)


def test_cells_in_which_a_unit_is_low_keep_the_level_of_the_training_cells(called):
    z = called.obsm["X_ae"].astype(np.float64)
    unit = int((z.std(axis=0) / z.mean(axis=0)).argmax())
    low = np.argsort(z[:, unit])[:30]
    some = called[low].copy()
    some.uns["ae"]["model"]["training"]["units_on"] = np.zeros(z.shape[1])  # else no cell would be called
    mo.tl.call_units(some, device="cpu")
    alone = (z[low, unit] ** 3).sum() / (z[low, unit] ** 2).sum()
    assert alone < 0.9 * z[:, unit].std()  # what these cells say of themselves
    assert some.uns["ae_on"]["level_on"][unit] == pytest.approx(z[:, unit].std(), rel=1e-4)


def test_table(called):
    table = mo.get.unit_calls(called)
    assert list(table.index) == ["0", "1", "2", "3", "4"]
    on, known = called.obsm["ae_on"], called.obsm["ae_on_callable"]
    np.testing.assert_allclose(table["share_called"], on.mean(axis=0))
    np.testing.assert_allclose(table["share_undecided"], (~known).mean(axis=0))
    decided = known.mean(axis=0) >= 0.5
    shares = [
        one[those].mean() if enough else np.nan for one, those, enough in zip(on.T, known.T, decided, strict=True)
    ]
    np.testing.assert_allclose(table["share_on"], shares)
    some = mo.get.unit_calls(called[:50].copy())
    np.testing.assert_allclose(some["share_called"], on[:50].mean(axis=0))
    assert table["name"].isna().all()
    assert (table["level_on"] > table["level_off"]).all()
    assert (table["expected_fdr"].dropna() <= 0.2).all()


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")
@pytest.mark.parametrize("form", ["h5ad", pytest.param("zarr", marks=pytest.mark.slow)])
def test_calls_survive_a_file(called, tmp_path, form):
    path = tmp_path / f"cells.{form}"
    getattr(called, f"write_{form}")(path)
    again = {"h5ad": ad.read_h5ad, "zarr": ad.io.read_zarr}[form](path)
    for field in FIELDS:
        np.testing.assert_array_equal(again.obsm[field], called.obsm[field])
        assert again.obsm[field].dtype == bool
    assert mo.get.unit_calls(again).equals(mo.get.unit_calls(called))


def test_copy_and_genes_in_another_order(called):
    other = called[:, ::-1].copy()
    found = mo.tl.call_units(other, device="cpu", fdr=0.2, key_added="calls", copy=True)
    assert "calls" not in other.uns
    assert (found.obsm["calls"] == called.obsm["ae_on"]).mean() > 0.98  # but for rounding
    assert found.obsm["calls_callable"].dtype == bool


@pytest.fixture(scope="module")
def planted():
    """A model of deep cells, with names."""
    adata = mo.datasets.simulated(n_cells=400, n_genes=200, n_programmes=4, seed=3)
    mo.tl.autoencoder(adata, n_latent=4, n_splits=0, max_epochs=20, device="cpu", progress=False)
    mo.tl.unit_summary(adata, progress=False)
    return adata


def test_units_that_are_decided_nowhere_are_named_with_the_reason(planted):
    thin = planted.copy()
    thin.X = np.random.default_rng(0).binomial(planted.X.toarray().astype(int), 0.002).astype(np.float32)
    mo.tl.transfer(thin, planted)
    with pytest.warns(UserWarning, match=r"in less than 5% of the cells") as caught:
        mo.tl.call_units(thin, device="cpu")
    (said,) = [str(one.message) for one in caught]
    assert (~thin.obsm["ae_on_callable"]).mean(axis=0).min() > 0.95  # what the words say
    assert said.startswith("for 4 of 4 units")
    assert "where they were on: off everywhere, or too few counts: 0 (" in said
    assert all(str(name) in said for name in mo.get.unit_calls(thin)["name"].dropna())
    assert said.endswith("compare how active they are, `mo.tl.rank_units(adata, groupby=...)`.")
    assert mo.get.unit_calls(thin)["share_on"].isna().all()


def test_few_counts_of_units_that_were_never_on_in_the_training(planted):
    thin = planted.copy()
    thin.X = np.random.default_rng(0).binomial(planted.X.toarray().astype(int), 0.002).astype(np.float32)
    mo.tl.transfer(thin, planted)
    thin.uns["ae"]["model"]["training"]["units_on"] = np.zeros(thin.obsm["X_ae"].shape[1])
    with pytest.warns(UserWarning, match=r"are too few to decide, or fit neither on nor off: 0 \("):
        mo.tl.call_units(thin, device="cpu")


def test_each_reason_names_its_units(planted, monkeypatch):
    """Unit 0 is decided, 1 would be seen, 2 would not, 3 is called in two cells of a hundred."""
    n_cells = planted.n_obs
    on = np.zeros((n_cells, 4), dtype=bool)
    on[: n_cells // 50, 3] = True
    known = on.copy()
    known[:, 0] = True
    threshold, visible = np.array([5.0, np.inf, np.inf, 30.0]), np.array([1.0, 0.9, 0.1, 0.9])
    result = UnitCalls(on, known, threshold, *np.zeros((4, 4)), np.ones(4), visible)
    monkeypatch.setattr("modulae.core.statistics.calls.call.decide", lambda *_, **__: result)
    adata = planted.copy()
    adata.uns["other"] = adata.uns.pop("ae")
    adata.obsm["X_other"] = adata.obsm.pop("X_ae")
    with pytest.warns(UserWarning, match=r"^for 3 of 4 units") as caught:
        mo.tl.call_units(adata, key="other")
    (said,) = [str(one.message) for one in caught]
    assert "so that they may be off everywhere: 1. The counts of their genes are too few to decide, " in said
    assert "or fit neither on nor off: 2, 3. Do not" in said
    assert said.endswith("`mo.tl.rank_units(adata, groupby=..., key='other')`.")


def test_where_all_is_decided_nothing_is_said(planted):
    adata = planted.copy()
    mo.tl.call_units(adata, device="cpu")  # a warning would be an error
    assert adata.obsm["ae_on_callable"].mean(axis=0).min() > 0.05


def test_only_a_model_of_other_cells_has_its_rates_rescaled(planted, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "modulae.core.statistics.calls.call.decide",
        lambda *_, rescaled, **given: seen.append(rescaled) or decide(*_, **given),
    )
    adata = planted.copy()
    mo.tl.call_units(adata, device="cpu")
    mo.tl.transfer(adata, planted)
    mo.tl.call_units(adata, device="cpu")
    assert seen == [False, True]


@pytest.mark.filterwarnings("ignore:for . of 5 units it can be decided:UserWarning")
def test_the_other_architecture(either):
    mo.tl.call_units(either, device="cpu")
    assert either.obsm["ae_on"].shape == (90, 5)
    assert mo.get.unit_calls(either)["n_genes"].between(1, 30).all()


@pytest.mark.parametrize("fdr", [0, 1, -0.1, "5%", None, np.nan])
def test_rates_that_make_no_sense(trained, fdr):
    before = str(trained)
    with pytest.raises(ValueError, match=r"fdr is .*; give a number above 0 and below 1, such as 0\.05\."):
        mo.tl.call_units(trained, fdr=fdr)
    assert str(trained) == before


@pytest.mark.parametrize("given", [{"n_controls": 0}, {"n_cells": 1.5}, {"seed": -1}])
def test_numbers_that_make_no_sense(trained, given):
    before = str(trained)
    with pytest.raises(ValueError, match=rf"{next(iter(given))} is .*; give a whole number"):
        mo.tl.call_units(trained, **given)
    assert str(trained) == before


def test_what_is_not_a_result_is_kept(trained):
    trained.obsm["ae_on_callable"] = np.ones((90, 1))
    with pytest.raises(ValueError, match=r"adata.obsm\['ae_on_callable'\] would be overwritten"):
        mo.tl.call_units(trained, device="cpu")
    assert "ae_on" not in trained.obsm


def test_calls_that_were_changed_since(called):
    adata = called.copy()
    adata.obsm["ae_on"] = ~adata.obsm["ae_on"]
    with pytest.raises(ValueError, match=r"holds other values.*Run `mo.tl.call_units\(adata\)` on all cells"):
        mo.get.unit_calls(adata)


def test_a_new_training_drops_the_calls(called):
    adata = called.copy()
    mo.tl.autoencoder(adata, n_latent=3, n_splits=0, max_epochs=1, batch_size=16, device="cpu", progress=False)
    assert not {"ae_on", "ae_on_callable"} & set(adata.obsm)


@pytest.fixture(scope="module")
def with_programmes():
    """A model in which each of most units stands for one planted programme; and where these run."""
    adata = mo.datasets.simulated(n_cells=600, n_genes=300, n_programmes=6, genes_per_programme=25, seed=5)
    mo.tl.autoencoder(adata, n_latent=6, n_splits=0, max_epochs=40, device="cpu", progress=False)
    r = np.corrcoef(adata.obsm["X_ae"].T.astype(float), adata.obsm["truth_activity"].T)[:6, 6:]
    return adata, {
        unit: adata.obsm["truth_activity"][:, row.argmax()] > 0 for unit, row in enumerate(r) if row.max() > 0.8
    }


@pytest.mark.parametrize("how", ["cells of the training", "other cells"])
def test_a_programme_that_runs_nowhere_is_on_in_hardly_any_cell(with_programmes, how):
    """Every call of it is wrong, so that no more than the rate may be made."""
    adata, programmes = with_programmes
    assert len(programmes) >= 4
    for unit, runs in programmes.items():
        some = adata[~runs].copy()
        if how == "other cells":
            mo.tl.transfer(some, adata, device="cpu")
        with pytest.warns(UserWarning, match=r"or too few counts: .*Do not read that as off") as caught:
            mo.tl.call_units(some, device="cpu")
        assert some.obsm["ae_on"][:, unit].mean() <= 0.05
        assert not some.obsm["ae_on_callable"][:, unit].all()
        assert re.search(rf"off everywhere, or too few counts: [^.]*\b{unit}\b", str(caught[0].message))
        mo.tl.call_units(every := adata.copy(), device="cpu")
        assert every.obsm["ae_on"][runs, unit].mean() > 0.5  # where it runs it is called


def test_units_whose_genes_are_missing_are_not_called(with_programmes):
    adata, programmes = with_programmes
    unit = next(iter(programmes))
    lost = np.argsort(-adata.uns["ae"]["model"]["loadings"][unit])[:60]
    some = adata[:, np.setdiff1d(np.arange(300), lost)].copy()
    with pytest.warns(UserWarning, match="too few for"):
        mo.tl.transfer(some, adata, min_reliability=0.99, device="cpu")
    trusted = mo.get.transfer(some)["trusted"].to_numpy()
    assert not trusted[unit]
    with pytest.warns(UserWarning, match=r"Too many of their genes are missing, see `mo\.get\.transfer\(adata\)`: "):
        mo.tl.call_units(some, device="cpu")
    assert not some.obsm["ae_on"][:, ~trusted].any()
    assert np.isinf(some.uns["ae_on"]["threshold"][~trusted]).all()


@pytest.mark.parametrize("transferred", [False, True])
def test_units_that_are_on_for_other_genes_are_named_in_other_cells(planted, monkeypatch, recwarn, transferred):
    n_cells = planted.n_obs
    on = np.zeros((n_cells, 4), dtype=bool)
    on[: n_cells // 2], on[:, 3] = True, True
    likeness = np.array([0.9, 0.1, np.nan, np.nan])
    result = UnitCalls(on, np.ones_like(on), *np.zeros((5, 4)), likeness, np.ones(4))
    monkeypatch.setattr("modulae.core.statistics.calls.call.decide", lambda *_, **__: result)
    adata = planted.copy()
    if transferred:
        mo.tl.transfer(adata, planted, device="cpu")
    mo.tl.call_units(adata)
    said = [str(one.message) for one in recwarn if "nearly all cells: " in str(one.message)]
    np.testing.assert_array_equal(mo.get.unit_calls(adata)["likeness"], likeness)
    assert len(said) == transferred
    if transferred:
        assert re.search(r"nearly all cells: 1 \([^()]*\), 3 \(", said[0])
        assert said[0].endswith("see their likeness in `mo.get.unit_calls(adata)`.")


def test_calls_of_an_older_version_have_no_likeness(called):
    old = called.copy()
    del old.uns["ae_on"]["likeness"]
    assert mo.get.unit_calls(old)["likeness"].isna().all()
    np.testing.assert_array_equal(mo.get.unit_calls(called)["likeness"], called.uns["ae_on"]["likeness"])
