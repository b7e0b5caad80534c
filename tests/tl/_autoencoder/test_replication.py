"""tl.autoencoder with its defaults: units that two halves of the cells find, and one model of them."""

import re
import threading

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import modulae as mo
from modulae._adata.stored.models import read_model
from modulae.core.training import anywhere
from modulae.core.training.replication import replicate, side_by_side
from modulae.core.training.replication.reproducibility import reproducibility
from modulae.tl._autoencoder.replicate import _side_by_side

pytestmark = [  # two epochs, on few cells
    pytest.mark.filterwarnings("ignore:the held-out loss never fell below:UserWarning"),
    pytest.mark.filterwarnings("ignore:the model predicts the held-out cells no better:UserWarning"),
]

SETTINGS = {"max_epochs": 2, "learning_rate": 2e-4, "device": "cpu"}
ENTRIES = {
    "found", "similarity", "reproducibility", "held", "level", "sizes", "n_units", "explained", "min_likeness", "size",
    "few_cells", "n_single", "n_splits", "n_latent", "max_cells",
}  # fmt: skip


@pytest.fixture(scope="module")
def cells():
    """Three programmes in groups of cells, six donors, two batches."""
    adata = mo.datasets.simulated(n_cells=240, n_genes=90, n_programmes=3, genes_per_programme=20, n_groups=3, seed=1)
    rng = np.random.default_rng(0)
    adata.obs["donor"] = np.char.add("donor ", rng.integers(6, size=240).astype(str))
    adata.obs["sample"] = np.where(rng.random(240) < 0.5, "one", "two")
    adata.var["chosen"] = np.arange(90) % 9 != 0
    return adata


@pytest.fixture(scope="module")
def once(cells):
    return mo.tl.autoencoder(cells, copy=True, snapshot_epochs=(0, 1), **SETTINGS)


@pytest.fixture
def untrained(cells):
    return cells.copy()


def snapshot(adata):
    fields = {name: set(getattr(adata, name)) for name in ("obs", "var", "obsm", "varm", "layers", "uns")}
    return fields, adata.X.toarray().tobytes()


def same(one, other, rtol=0.0):
    """The same units in the same order, found by the same halves."""
    first, second = one.uns["ae"]["replication"], other.uns["ae"]["replication"]
    for name in ("found", "sizes", "n_units", "size"):
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    for name in ("similarity", "explained"):
        np.testing.assert_allclose(first[name], second[name], rtol=rtol, atol=rtol, err_msg=name)
    np.testing.assert_allclose(one.obsm["X_ae"], other.obsm["X_ae"], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(one.varm["ae_loadings"], other.varm["ae_loadings"], rtol=rtol, atol=rtol)


def test_the_default_writes_what_it_promises(once):
    n = once.obsm["X_ae"].shape[1]
    entry = once.uns["ae"]["replication"]
    assert set(entry) == ENTRIES
    assert (entry["found"].shape, entry["found"].dtype) == ((n, 5, 2), np.dtype(bool))
    assert (entry["similarity"].shape, entry["similarity"].dtype) == ((n, 5), np.dtype(np.float32))
    assert (entry["reproducibility"].shape, entry["reproducibility"].dtype) == ((n,), np.dtype(np.float32))
    assert len(entry["sizes"]) == len(entry["n_units"]) == len(entry["explained"])
    assert entry["size"] in entry["sizes"]
    assert (entry["n_splits"], entry["n_latent"], entry["max_cells"]) == (5, "auto", 10_000)
    assert once.uns["ae"]["params"]["n_latent"] == n
    assert once.varm["ae_loadings"].shape == (90, n)
    assert once.obsm["X_ae"].dtype == np.float32
    found = entry["found"].all(axis=2)
    assert (found.sum(axis=1) >= 3).all()
    np.testing.assert_array_equal(np.isnan(entry["similarity"]), ~found)
    assert (entry["reproducibility"] > 0.5).all()


def test_the_programmes_are_among_the_units(once):
    """Those that run in groups of cells; each in a unit of its own."""
    n = once.obsm["X_ae"].shape[1]
    r = np.corrcoef(once.obsm["X_ae"].T, once.obsm["truth_activity"].T)[:n, n:]
    assert r.max(axis=0).min() > 0.8
    assert len(set(r.argmax(axis=0))) == 3


def test_replication_follows_the_units_through_their_order(cells, once, monkeypatch):
    """Units are put in another order after training: what is said of a unit has to go with it."""
    real, seen = replicate.Replication.search, []

    def noted(self, n_latent):
        seen.append(real(self, n_latent))
        return seen[-1]

    monkeypatch.setattr(replicate.Replication, "search", noted)
    again = mo.tl.autoencoder(cells, copy=True, max_epochs=1, learning_rate=1e-9, device="cpu", snapshot_epochs=(0,))
    (found,) = seen
    for unit, loadings in enumerate(again.varm["ae_loadings"].T):
        alike = np.array([one @ loadings / np.linalg.norm(one) / np.linalg.norm(loadings) for one in found.loadings])
        source = int(alike.argmax())
        assert alike[source] > 0.95  # the decoder starts from all genes, so it is not quite the same
        entry = again.uns["ae"]["replication"]
        np.testing.assert_array_equal(entry["found"][unit], found.found[source])
        np.testing.assert_array_equal(entry["similarity"][unit], found.similarity[source].astype(np.float32))
    np.testing.assert_allclose(again.obsm["X_ae_epoch0"], again.obsm["X_ae"], atol=1e-3)


def test_snapshots_have_the_units_in_the_same_order(once):
    for epoch in (0, 1):
        units = once.obsm[f"X_ae_epoch{epoch}"]
        n = units.shape[1]
        r = np.corrcoef(units.T, once.obsm["X_ae"].T)[:n, n:]
        np.testing.assert_array_equal(r.argmax(axis=0), np.arange(n))
        assert np.diag(r).min() > 0.9


def test_units_of_the_largest_effect_come_first(once):
    """By the loss of the model where a unit is at its mean in every cell, less that of the model as it is."""
    units, network = once.obsm["X_ae"], read_model(once, "ae").network
    counts = once.X.toarray().astype(float)
    size = counts.sum(axis=1, keepdims=True) / once.uns["ae"]["model"]["size_factor_unit"]

    def loss(activity):
        rates = size * network.shared_rates(activity).astype(float)
        return (rates - counts * np.log(rates + 1e-8)).mean()

    effects = []
    for unit in range(units.shape[1]):
        without = units.copy()
        without[:, unit] = units[:, unit].mean()
        effects.append(loss(without) - loss(units))
    assert effects[0] > 1.05 * effects[-1]  # the order is no matter of rounding
    assert effects[0] == max(effects)
    assert effects[-1] == min(effects)


@pytest.mark.parametrize("write", ["write_h5ad", "write_zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2 data:UserWarning")  # anndata's own plans for its default
def test_it_is_stored_and_read_back(once, write, tmp_path):
    getattr(once, write)(tmp_path / "stored")
    again = (ad.read_h5ad if write == "write_h5ad" else ad.read_zarr)(tmp_path / "stored")
    entry, before = again.uns["ae"]["replication"], once.uns["ae"]["replication"]
    assert set(entry) == ENTRIES
    for name, value in before.items():
        np.testing.assert_array_equal(entry[name], value, err_msg=name)
        if isinstance(value, np.ndarray):
            assert entry[name].dtype == value.dtype, name
    mo.tl.saliency(again)
    assert again.varm["ae_saliency"].shape == once.varm["ae_loadings"].shape


def test_same_seed_same_numbers_on_any_number_of_processors(untrained, once, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    again = mo.tl.autoencoder(untrained, copy=True, **SETTINGS)
    same(once, again)


def test_copy_leaves_the_original_alone(untrained):
    before = snapshot(untrained)
    assert "replication" in mo.tl.autoencoder(untrained, copy=True, **SETTINGS).uns["ae"]
    assert snapshot(untrained) == before


def test_one_training_says_nothing_of_replication(untrained):
    mo.tl.autoencoder(untrained, n_splits=0, n_latent=4, **SETTINGS)
    assert "replication" not in untrained.uns["ae"]
    assert untrained.obsm["X_ae"].shape == (240, 4)


def test_a_model_trained_once_leaves_nothing_of_the_replication_before(once):
    again = mo.tl.autoencoder(once, n_splits=0, n_latent=4, copy=True, **SETTINGS)
    assert "replication" not in again.uns["ae"]


def test_n_latent_is_the_most(untrained):
    mo.tl.autoencoder(untrained, n_latent=2, n_splits=3, **SETTINGS)
    entry = untrained.uns["ae"]["replication"]
    assert untrained.obsm["X_ae"].shape[1] <= 2
    assert entry["found"].shape[1:] == (3, 2)
    np.testing.assert_array_equal(entry["sizes"], [2])
    assert (entry["n_latent"], entry["n_splits"]) == (2, 3)


def test_orthogonal_is_trained_once_and_says_so_where_splits_are_asked_for(untrained):
    orthogonal = {"architecture": "orthogonal", "n_latent": 4, "n_hidden": 8, "max_epochs": 1, "engine": "torch"}
    for asked in ({"n_splits": 5}, {"replicate_over": "donor"}):
        before = snapshot(untrained)
        with pytest.raises(ValueError, match=r"orthogonal.*Leave out (n_splits|replicate_over)=, or take .*'parts'"):
            mo.tl.autoencoder(untrained, **asked, **orthogonal)
        assert snapshot(untrained) == before
    for asked in ({}, {"n_splits": 0}):
        trained = mo.tl.autoencoder(untrained, copy=True, **asked, **orthogonal)
        assert "replication" not in trained.uns["ae"]


def test_halves_of_donors(untrained, monkeypatch):
    drawn = []
    real = replicate.Replication.__init__

    def noted(self, inputs, unseen, depth, halves, **how):
        drawn.append((inputs, halves))
        real(self, inputs, unseen, depth, halves, **how)

    monkeypatch.setattr(replicate.Replication, "__init__", noted)
    mo.tl.autoencoder(untrained, replicate_over="donor", **SETTINGS)
    ((inputs, halves),) = drawn
    learn = ~np.asarray(untrained.uns["ae"]["model"]["test_cells"])
    donors = untrained.obs["donor"].to_numpy()[learn]
    assert inputs.shape[0] == learn.sum()
    for first, second in halves:
        assert set(donors[first]).isdisjoint(donors[second])
        assert len(set(donors[first])) == len(set(donors[second])) == 3
    entry = untrained.uns["ae"]["replication"]
    assert set(entry) == {*ENTRIES, "replicate_over"}
    assert entry["replicate_over"] == "donor"
    np.testing.assert_allclose(
        entry["reproducibility"], reproducibility(entry["similarity"], few_cells=entry["few_cells"]), rtol=1e-5
    )


def few_donors(adata):
    adata.obs["donor"] = np.where(np.arange(240) % 2, "a", "b")


def no_donor(adata):
    adata.obs["donor"] = adata.obs["donor"].astype(object).where(np.arange(240) > 2, None)


def thin(adata):
    """Counts in 19 cells only."""
    adata.X = sparse.csr_matrix(adata.X.multiply((np.arange(240) < 19)[:, None]), dtype=np.float32)


REFUSED = {
    "few donors": (few_donors, {"replicate_over": "donor"}, ValueError, "2 donors; halves .* need 4 or more. Leave"),
    "no donor": (no_donor, {"replicate_over": "donor"}, ValueError, r"3 cells have no donor.*adata = adata\[adata.obs"),
    "no such donors": (None, {"replicate_over": "patient"}, KeyError, "'patient' is not a column of adata.obs"),
    "donors, no splits": (None, {"replicate_over": "donor", "n_splits": 0}, ValueError, "Leave one of them out"),
    "splits": (None, {"n_splits": -1}, ValueError, "n_splits is -1; give a whole number of at least 0"),
    "splits, half": (None, {"n_splits": 2.5}, ValueError, "n_splits is 2.5; give a whole number"),
    "units": (None, {"n_latent": 0}, ValueError, "n_latent is 0; give"),
    "units, word": (None, {"n_latent": "many"}, ValueError, "n_latent is 'many'; give"),
    "most cells": (None, {"max_cells": 50}, ValueError, "max_cells is 50; give a whole number of at least 100"),
    "few counts": (thin, {}, ValueError, "19 cells have counts; halves of them need 20 or more.*n_splits=0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_refused_before_work_starts(untrained, name, monkeypatch):
    change, settings, error, message = REFUSED[name]
    if change is not None:
        change(untrained)
    before = snapshot(untrained)

    def started(*_args):
        raise AssertionError("work has started")

    monkeypatch.setattr(side_by_side, "compress", started)
    with pytest.raises(error, match=message):
        mo.tl.autoencoder(untrained, **{**SETTINGS, **settings})
    assert snapshot(untrained) == before


@pytest.mark.parametrize("n_cells", [2, 3, 10, 19])
def test_fewer_than_twenty_cells_are_refused_with_the_next_step(untrained, n_cells):
    few = untrained[:n_cells].copy()
    with pytest.raises(ValueError, match=rf"{n_cells} cells have counts.*Add cells, or take n_splits=0"):
        mo.tl.autoencoder(few, **SETTINGS)
    assert "ae" not in few.uns


def test_noise_has_no_units_and_adata_stays_as_it_was(untrained):
    rng = np.random.default_rng(0)
    untrained.X = sparse.csr_matrix(rng.poisson(np.exp(rng.normal(size=90)), size=(240, 90)).astype(np.float32))
    before = snapshot(untrained)
    with pytest.raises(ValueError, match=r"no programme was found by both halves.*n_splits=0"):
        mo.tl.autoencoder(untrained, **SETTINGS)
    assert snapshot(untrained) == before


def interrupt(monkeypatch, after):
    """Ctrl-C once so many halves have been factorised; how often each step was taken."""
    calls = {"compress": 0, "find": 0}

    def noted(name, real):
        def step(*given):
            if name == "find" and calls["find"] == after:
                raise KeyboardInterrupt
            calls[name] += 1
            return real(*given)

        return step

    for name in calls:
        monkeypatch.setattr(side_by_side, name, noted(name, getattr(side_by_side, name)))
    return calls


def test_ctrl_c_while_units_are_sought_leaves_adata_as_it_was_and_says_so(untrained, monkeypatch):
    before = snapshot(untrained)
    interrupt(monkeypatch, 3)
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped while programmes were being looked for; adata is unchanged\.$"
    ):
        mo.tl.autoencoder(untrained, **SETTINGS)
    assert snapshot(untrained) == before


def test_halves_that_were_done_are_not_done_again_and_the_result_is_the_same(untrained, once, tmp_path, monkeypatch):
    settings = {**SETTINGS, "snapshot_epochs": (0, 1), "checkpoint": tmp_path}
    before = snapshot(untrained)
    with monkeypatch.context() as patch:
        calls = interrupt(patch, 3)
        with pytest.raises(KeyboardInterrupt, match="Halves that were done are kept: the same call goes on"):
            mo.tl.autoencoder(untrained, **settings)
        assert calls["compress"] == 10
    assert snapshot(untrained) == before
    with monkeypatch.context() as patch:
        calls = interrupt(patch, None)
        same(once, mo.tl.autoencoder(untrained, copy=True, **settings))
        assert calls["compress"] == 0
        sizes = len(once.uns["ae"]["replication"]["sizes"])
        assert calls["find"] == 10 * (sizes - 4) - 3 if sizes > 5 else calls["find"] <= 10 * sizes - 3
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint.safetensors", "halves.npz"]
    with monkeypatch.context() as patch:
        calls = interrupt(patch, 0)
        same(once, mo.tl.autoencoder(untrained, copy=True, **settings))
        assert calls == {"compress": 0, "find": 0}


def test_halves_of_another_search_and_damaged_ones_are_refused(untrained, tmp_path):
    settings = {**SETTINGS, "n_splits": 2, "checkpoint": tmp_path}
    mo.tl.autoencoder(untrained, copy=True, **settings)
    for changed, differs in (
        ({"n_splits": 3}, r"n_splits \(2 there, 3 here\)"),
        ({"n_latent": 2}, r"n_latent \('auto' there, 2 here\)"),
        ({"max_cells": 300}, r"max_cells \(\d+ there, 300 here\)"),
        ({"replicate_over": "donor"}, r"replicate_over \(None there, 'donor' here\), donors"),
        ({"seed": 1}, r"seed \(0 there, 1 here\), counts, held-out cells"),
    ):
        with pytest.raises(ValueError, match=rf"halves\.npz is .* another training: it differs in {differs}.* Give"):
            mo.tl.autoencoder(untrained, **{**settings, **changed})
    file = tmp_path / "halves.npz"
    whole = file.read_bytes()
    for content in (b"", b"nothing of the kind", whole[:-30], whole[:40]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"halves\.npz can't be read .*delete the file to train from the start"):
            mo.tl.autoencoder(untrained, **settings)
    assert "ae" not in untrained.uns


def test_the_bar_ends_at_its_total(untrained, capsys):
    mo.tl.autoencoder(untrained, progress=True, **SETTINGS)
    shown = re.findall(r"halves of the cells.*?(\d+)/(\d+)", capsys.readouterr().err)
    done, total = map(int, shown[-1])
    assert done == total
    assert total % 10 == 0  # halves of five splits, for each step
    assert total >= 30
    mo.tl.autoencoder(untrained, **SETTINGS)
    assert capsys.readouterr().err == ""


def test_units_are_sought_in_some_cells_and_all_are_encoded(untrained, monkeypatch):
    seen = []
    real, real_training = replicate.Replication.__init__, anywhere.train

    def noted(self, inputs, unseen, depth, halves, **how):
        seen.append((inputs.shape[0], unseen.shape[0], max(max(map(np.max, split)) for split in halves)))
        real(self, inputs, unseen, depth, halves, **how)

    def trained(cells, test, config, **how):
        seen.append((len(cells), int(test.sum()), config.max_epochs))
        return real_training(cells, test, config, **how)

    monkeypatch.setattr(replicate.Replication, "__init__", noted)
    monkeypatch.setattr(anywhere, "train", trained)
    mo.tl.autoencoder(untrained, max_cells=120, batch_key="sample", **SETTINGS)
    assert seen == [(120, 24, 119), (144, 24, 2)]
    assert untrained.obsm["X_ae"].shape[0] == 240
    assert untrained.uns["ae"]["replication"]["max_cells"] == 120
    n = untrained.obsm["X_ae"].shape[1]
    r = np.corrcoef(untrained.obsm["X_ae"].T, untrained.obsm["truth_activity"].T)[:n, n:]
    assert r.max(axis=0).min() > 0.7


def test_halves_of_some_cells_are_made_of_their_donors(untrained, monkeypatch):
    seen = []
    real = replicate.Replication.__init__

    def noted(self, inputs, unseen, depth, halves, **how):
        seen.append((inputs, halves))
        real(self, inputs, unseen, depth, halves, **how)

    monkeypatch.setattr(replicate.Replication, "__init__", noted)
    untrained.obs["depth"] = 1.0  # so that what is read tells which cell it is
    mo.tl.autoencoder(untrained, max_cells=120, replicate_over="donor", size_factors="depth", **SETTINGS)
    inputs, halves = seen[0]
    of_cell = {row.tobytes(): donor for row, donor in zip(untrained.X.toarray(), untrained.obs["donor"], strict=True)}
    donors = np.array([of_cell[row.tobytes()] for row in np.rint(np.expm1(inputs.toarray())).astype(np.float32)])
    for first, second in halves:
        assert not set(donors[first]) & set(donors[second])
        assert len(set(donors[first]) | set(donors[second])) == 6


def test_some_cells_of_a_file_give_what_they_give_in_memory(untrained, tmp_path):
    untrained.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    settings = {**SETTINGS, "n_splits": 2, "max_cells": 120}
    mo.tl.autoencoder(untrained, **settings)
    mo.tl.autoencoder(stored, memory_limit="100KB", **settings)
    same(untrained, stored, rtol=1e-4)


def test_units_of_some_cells_are_those_of_all():
    sizes = {"n_cells": 3000, "n_genes": 300, "n_programmes": 6, "genes_per_programme": (20, 40), "n_groups": 3}
    adata = mo.datasets.simulated(difficulty="easy", **sizes, seed=1)
    settings = {"n_splits": 2, "device": "cpu"}
    some = mo.tl.autoencoder(adata, max_cells=1500, copy=True, **settings)
    mo.tl.autoencoder(adata, **settings)
    n = adata.obsm["X_ae"].shape[1]
    planted = np.concatenate([adata.obsm["X_ae"], some.obsm["X_ae"], adata.obsm["truth_activity"]], axis=1)
    r = np.corrcoef(planted.T)
    common = r[:n, n:-9].max(axis=1)[r[:n, -9:].argmax(axis=0)]  # of the unit that is nearest to each programme
    assert common.min() > 0.95
    assert some.uns["ae"]["params"]["max_epochs"] > adata.uns["ae"]["params"]["max_epochs"]  # as many steps


def test_no_unit_is_spent_on_batches(untrained):
    """One batch counts every third gene four times as often: units differ between batches only if they are not told."""
    strong = np.where(np.arange(90) % 3 == 0, 4, 1)
    of_two = (untrained.obs["sample"] == "two").to_numpy()
    untrained.X = sparse.csr_matrix(untrained.X.toarray() * np.where(of_two[:, None], strong, 1), dtype=np.float32)

    def most(adata):
        return max(abs(np.corrcoef(unit, of_two)[0, 1]) for unit in adata.obsm["X_ae"].T)

    told = mo.tl.autoencoder(untrained, batch_key="sample", copy=True, **SETTINGS)
    assert most(told) < 0.4
    assert most(mo.tl.autoencoder(untrained, copy=True, **SETTINGS)) > 0.6


def test_units_are_sought_as_if_all_cells_were_of_one_batch(untrained, monkeypatch):
    """In one batch a third of the genes are counted four times as often: the halves see next to nothing of it."""
    of_two = (untrained.obs["sample"] == "two").to_numpy()
    strong = np.arange(90) % 3 == 0
    more = np.where(of_two[:, None] & strong, 4, 1)
    untrained.obs["depth"] = np.asarray(untrained.X.sum(axis=1)).ravel()
    untrained.X = sparse.csr_matrix(untrained.X.toarray() * more, dtype=np.float32)
    real, seen = replicate.Replication.__init__, []

    def noted(self, inputs, *given, **how):
        seen.append(np.expm1(inputs.toarray()))
        real(self, inputs, *given, **how)

    monkeypatch.setattr(replicate.Replication, "__init__", noted)
    mo.tl.autoencoder(untrained, batch_key="sample", size_factors="depth", **SETTINGS)
    two = of_two[~np.asarray(untrained.uns["ae"]["model"]["test_cells"])]
    ratio = seen[0][two][:, strong].mean() / seen[0][~two][:, strong].mean()
    assert 0.7 < ratio < 1.4


@pytest.mark.parametrize("memory_limit", ["4GB", 1])
def test_counts_on_disk_give_the_same_units(untrained, once, tmp_path, memory_limit):
    untrained.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    mo.tl.autoencoder(backed, memory_limit=memory_limit, **SETTINGS)
    entry, expected = backed.uns["ae"]["replication"], once.uns["ae"]["replication"]
    np.testing.assert_array_equal(entry["sizes"], expected["sizes"])
    np.testing.assert_array_equal(entry["n_units"], expected["n_units"])
    np.testing.assert_allclose(np.sort(entry["similarity"], axis=0), np.sort(expected["similarity"], axis=0), rtol=1e-5)
    if memory_limit == "4GB":
        same(backed, once, rtol=1e-5)
    backed.file.close()


def test_a_checkpoint_goes_on_to_the_same_bits(untrained, tmp_path, monkeypatch):
    from modulae.core.training.numba.parts.engine import NumbaPartsEngine

    settings = {**SETTINGS, "max_epochs": 3, "snapshot_epochs": (0, 1, 3)}
    whole = mo.tl.autoencoder(untrained, copy=True, **settings)
    real, turns = NumbaPartsEngine.epoch, []

    def epoch(self, *given):
        turns.append(1)
        if len(turns) == 2:
            raise OSError("gone")
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(NumbaPartsEngine, "epoch", epoch)
        with pytest.raises(OSError, match="gone"):
            mo.tl.autoencoder(untrained, checkpoint=tmp_path, **settings)
    assert "ae" not in untrained.uns
    for _ in range(2):  # to its end, and read from there
        again = mo.tl.autoencoder(untrained, checkpoint=tmp_path, copy=True, **settings)
        same(whole, again)
        for epoch_kept in (0, 1, 3):
            np.testing.assert_array_equal(again.obsm[f"X_ae_epoch{epoch_kept}"], whole.obsm[f"X_ae_epoch{epoch_kept}"])


@pytest.mark.parametrize("source", ["total", "depth"])
def test_empty_cells_are_left_out_of_the_search_and_encoded(untrained, source, monkeypatch):
    real, seen = replicate.Replication.__init__, []

    def noted(self, inputs, unseen, *given, **how):
        seen.extend([inputs, unseen])
        real(self, inputs, unseen, *given, **how)

    monkeypatch.setattr(replicate.Replication, "__init__", noted)
    untrained.obs["depth"] = np.asarray(untrained.X.sum(axis=1)).ravel() * 7 + 1
    untrained.X = sparse.csr_matrix(untrained.X.multiply((np.arange(240) % 10 != 3)[:, None]), dtype=np.float32)
    mo.tl.autoencoder(untrained, size_factors=source, **SETTINGS)
    assert np.isfinite(untrained.obsm["X_ae"]).all()
    assert sum(each.shape[0] for each in seen) == 216
    assert all((each.getnnz(axis=1) > 0).all() for each in seen)
    empty = untrained.obsm["X_ae"][3::10]
    assert np.ptp(empty, axis=0).max() == 0
    assert np.isfinite(untrained.uns["ae"]["replication"]["explained"]).all()


def test_only_the_genes_of_the_mask_have_units(untrained):
    mo.tl.autoencoder(untrained, mask_var="chosen", **SETTINGS)
    chosen = untrained.var["chosen"].to_numpy()
    assert (untrained.varm["ae_loadings"][chosen] > 0).any(axis=0).all()
    assert len(untrained.uns["ae"]["model"]["genes"]) == chosen.sum()
    assert np.isnan(untrained.varm["ae_loadings"][~chosen]).all()


def test_size_factors_of_a_column_find_the_same_units(untrained, once):
    untrained.obs["depth"] = np.asarray(untrained.X.sum(axis=1)).ravel() * 8  # a power of two: the same bits
    mo.tl.autoencoder(untrained, size_factors="depth", **SETTINGS)
    same(untrained, once, rtol=1e-4)


def test_genes_in_another_order_have_the_same_units(untrained, once):
    order = np.random.default_rng(2).permutation(90)
    other = untrained[:, order].copy()
    mo.tl.autoencoder(other, **SETTINGS)
    n = other.obsm["X_ae"].shape[1]
    assert abs(n - once.obsm["X_ae"].shape[1]) <= 1
    r = np.corrcoef(other.obsm["X_ae"].T, other.obsm["truth_activity"].T)[:n, n:]
    assert r.max(axis=0).min() > 0.8


def test_this_thread_compiles_while_others_are_at_work():
    compiled = threading.Event()
    assert list(_side_by_side([(compiled.wait, (30,))], compiled.set)) == [True]


def test_copies_of_cells_are_told_of_where_halves_would_share_them():
    """A file that was read twice: each half has copies of cells of the other."""
    cells = mo.datasets.simulated(n_cells=200, n_genes=150, n_programmes=3, mean_counts=1000, seed=0)
    twice, once = (ad.concat([cells, cells[:n]], index_unique="-") for n in (30, 1))
    few = {"n_splits": 1, "n_latent": 2, "max_epochs": 1, "device": "cpu"}
    with pytest.warns(UserWarning, match=r"30 of 230 cells are copies.*Keep one cell of each"):
        mo.tl.autoencoder(twice, **few)
    mo.tl.autoencoder(twice, **few | {"n_splits": 0})
    mo.tl.autoencoder(cells, **few)
    mo.tl.autoencoder(once, **few)  # one in more than a hundred is let pass
    twice.var["hardly"] = np.asarray(twice.X.mean(axis=0)).ravel() < 2  # of these genes a cell has some dozen counts
    assert 30 <= twice.X[:, twice.var["hardly"].to_numpy()].sum() / twice.n_obs < 90
    mo.tl.autoencoder(twice, mask_var="hardly", **few)
    often = np.argsort(-np.asarray(twice.X.mean(axis=0)).ravel())[:12]  # so few genes are the same by chance
    twice.var["often"] = np.isin(np.arange(twice.n_vars), often)
    assert twice.X[:, often].sum() / twice.n_obs > 110
    mo.tl.autoencoder(twice, mask_var="often", **few)
