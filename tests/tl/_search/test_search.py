"""`tl.search`: which settings are tried, what the table says, and how a search goes on where it stopped."""

import inspect
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import wraps

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import modulae as mo
from modulae.tl._search import runs
from modulae.tl._search.data import Data
from modulae.tl._search.settings import HELD, defaults, list_settings

ORTHOGONAL = {"architecture": ["orthogonal"]}
FAST = {"n_latent": [4, 3], "orthogonality": [0.0, 0.05], "n_hidden": [6], "max_epochs": [2], **ORTHOGONAL}
GIVEN = {"seeds": [0, 1], "device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def cells():
    return mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)


def same(one, other):
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)


@pytest.fixture
def trained_settings(monkeypatch):
    """Note every training that is really done."""
    done, real = [], runs._train

    def noted(task, data):
        done.append((task.values, task.seed))
        return real(task, data)

    monkeypatch.setattr(runs, "_train", noted)
    return done


def test_a_run_is_what_training_by_hand_gives(cells):
    before = cells.copy()
    table = mo.tl.search(cells, FAST, mask_var=None, by_run=True, labels="group", **GIVEN)
    assert list(table[["n_latent", "orthogonality", "seed"]].itertuples(index=False, name=None)) == [
        (4, 0.0, 0), (4, 0.0, 1), (4, 0.05, 0), (4, 0.05, 1), (3, 0.0, 0), (3, 0.0, 1), (3, 0.05, 0), (3, 0.05, 1),
    ]  # fmt: skip
    assert list(table.index) == [0, 0, 1, 1, 2, 2, 3, 3]
    row = table[(table["n_latent"] == 3) & (table["orthogonality"] == 0.05) & (table["seed"] == 1)].iloc[0]
    one = {"architecture": "orthogonal", "n_latent": 3, "orthogonality": 0.05, "n_hidden": 6, "max_epochs": 2}
    hand = [mo.tl.autoencoder(cells, **one, seed=seed, device="cpu", copy=True) for seed in (0, 1)]
    history = hand[1].uns["ae"]["history"]
    assert row["loss"] == history["test_loss"].min()
    assert row["gain"] == history["gene_means_loss"] - history["test_loss"].min()
    assert row["epochs"] == 2
    match = mo.metrics.unit_stability(hand[1], hand[0].obsm["X_ae"])
    np.testing.assert_allclose(row["stability"], match["abs_r"].mean())
    assert row["back"] == match["back"].mean()
    scores = mo.metrics.disentanglement(hand[1], "group")["SMI"]
    np.testing.assert_allclose(row[["LMS", "MSAS", "MSGS"]].astype(float), scores)
    np.testing.assert_allclose(row["nmi"], mo.metrics.clustering_nmi(hand[1], labels="group", n_runs=5).mean())
    assert row["error"] == ""
    assert list(cells.obsm) == list(before.obsm)
    assert list(cells.uns) == list(before.uns)
    assert (cells.X != before.X).nnz == 0


def test_a_setting_is_the_mean_of_its_runs(cells):
    by_run = mo.tl.search(cells, FAST, by_run=True, **GIVEN)
    table = mo.tl.search(cells, FAST, **GIVEN)
    assert table.index.name == "setting"
    for column in ("loss", "gain", "stability", "back", "epochs"):
        np.testing.assert_allclose(table[column], by_run.groupby("setting")[column].mean())
    np.testing.assert_allclose(table["loss_sd"], by_run.groupby("setting")["loss"].std())
    assert (table["n_runs"] == 2).all()
    assert not {"LMS", "nmi", "seed"} & set(table)


def test_cells_held_out_depend_on_the_seed_alone(cells, monkeypatch):
    from modulae.core.training import train

    held = {}
    real = train.split_cells

    def noted(n_cells, config):
        test = real(n_cells, config)
        held.setdefault(config.seed, []).append((test, config.n_latent))
        return test

    monkeypatch.setattr(train, "split_cells", noted)
    mo.tl.search(cells, FAST | {"batch_size": [8, 16]}, test_fraction=0.25, **GIVEN)
    assert sorted(held) == [0, 1]
    for splits in held.values():
        assert {n for _, n in splits} == {3, 4}
        assert all((test == splits[0][0]).all() for test, _ in splits)
        assert splits[0][0].sum() == round(0.25 * 90)
    assert (held[0][0][0] != held[1][0][0]).any()


def test_loss_is_in_counts_whatever_the_scale(cells):
    untrained = {"learning_rate": [1e-12], "max_epochs": [1], "loss_scale": ["mean", "counts"], **ORTHOGONAL}
    table = mo.tl.search(cells, untrained, seeds=[0], device="cpu", progress=False)
    np.testing.assert_allclose(table["loss"].iloc[0], table["loss"].iloc[1], rtol=1e-5)


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_the_number_of_jobs_changes_nothing(cells, backend):
    one = mo.tl.search(cells, FAST, n_jobs=1, labels="group", **GIVEN)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        other = mo.tl.search(cells, FAST, labels="group", **GIVEN)
    same(one, other)


def test_threads_and_warnings_are_as_before(cells):
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        before = list(warnings.filters)
        mo.tl.search(cells, {"max_epochs": [1]}, n_threads=2, **GIVEN)
        assert torch.get_num_threads() == 3
        assert list(warnings.filters) == before
    finally:
        torch.set_num_threads(usual)


def test_random_search_draws_some_settings_once(cells):
    space = {"n_latent": [2, 3, 4, 5], "orthogonality": stats.loguniform(0.01, 1), **ORTHOGONAL}
    drawn = list_settings(space, 5, 0)
    assert len(drawn) == 5
    assert drawn == list_settings(space, 5, 0)
    assert drawn != list_settings(space, 5, 1)
    assert all(type(one["n_latent"]) is int and type(one["orthogonality"]) is float for one in drawn)
    assert len(list_settings({"n_latent": [2, 3]}, 10, 0)) == 2  # there are no more
    table = mo.tl.search(cells, space | {"max_epochs": [1]}, n_iter=3, seeds=[0], device="cpu", progress=False)
    assert len(table) == 3


def test_settings_are_tried_once_and_as_pythons_numbers():
    assert list_settings({"n_latent": np.array([4, 4, 8])}, None, 0) == [{"n_latent": 4}, {"n_latent": 8}]
    two = list_settings([{"n_latent": [4]}, {"n_latent": [4], "momentum": [0.5], **ORTHOGONAL}], None, 0)
    assert two == [{"n_latent": 4}, {"architecture": "orthogonal", "n_latent": 4, "momentum": 0.5}]


def test_an_argument_that_is_left_out_has_its_default(cells):
    space = [{"n_latent": [4], "max_epochs": [1], **ORTHOGONAL}, {"momentum": [0.5], "max_epochs": [1], **ORTHOGONAL}]
    table = mo.tl.search(cells, space, seeds=[0], device="cpu", progress=False)
    assert list(table["n_latent"]) == [4, 64]
    assert list(table["momentum"]) == [0.9, 0.5]
    assert list(table.columns[:4]) == ["n_latent", "architecture", "max_epochs", "momentum"]  # as in the signature


def test_architectures_are_searched_side_by_side(cells):
    space = [{"max_epochs": [1]}, {**ORTHOGONAL, "n_hidden": [8], "n_latent": [4], "max_epochs": [1]}]
    table = mo.tl.search(cells, space, seeds=[0, 1], device="cpu", progress=False)
    assert list(table["architecture"]) == ["parts", "orthogonal"]
    assert list(table["n_latent"]) == [32, 4]
    assert np.isnan(table["n_hidden"][0])
    assert table["stability"].notna().all()
    with pytest.raises(ValueError, match="architecture='parts' has no n_hidden"):
        mo.tl.search(cells, {"n_hidden": [8]}, seeds=[0], device="cpu")


def test_every_argument_of_the_training_is_searched_or_held():
    keywords = set(inspect.signature(mo.tl.autoencoder).parameters) - {"adata"}
    assert set(defaults()) | set(HELD) == keywords
    assert not set(defaults()) & set(HELD)


def test_a_run_that_diverges_is_a_row_not_an_end(cells):
    space = {"learning_rate": [1e9, 0.1], "loss_scale": ["counts"], "max_epochs": [2], **ORTHOGONAL}
    table = mo.tl.search(cells, space, labels="group", **GIVEN)
    assert table["loss"].isna().tolist() == [True, False]
    assert table["stability"].isna().tolist() == [True, False]
    assert "learning_rate=2e+08" in table["error"].iloc[0]
    assert table["error"].iloc[1] == ""


def test_a_setting_that_fails_with_one_seed_has_no_mean(cells, monkeypatch):
    real = mo.tl.autoencoder

    @wraps(real)
    def fails(adata, **given):
        if given["seed"] == 1:
            raise FloatingPointError("the loss stopped being finite")
        real(adata, **given)

    monkeypatch.setattr("modulae.tl._autoencoder.autoencoder.autoencoder", fails)
    given = {**GIVEN, "seeds": [0, 1, 2]}
    by_run = mo.tl.search(cells, {"max_epochs": [1]}, by_run=True, **given)
    assert by_run["loss"].isna().tolist() == [False, True, False]
    assert by_run["stability"].isna().tolist() == [False, True, False]
    table = mo.tl.search(cells, {"max_epochs": [1]}, **given)
    assert table[["loss", "loss_sd", "gain", "stability"]].isna().all(axis=None)
    assert table["error"].iloc[0] == "the loss stopped being finite"


def test_loss_is_that_of_the_weights_that_are_kept(cells):
    fast = {"learning_rate": 2.0, "schedule": "constant", "max_epochs": 7, "n_latent": 4, "batch_size": 8}
    fast["architecture"] = "orthogonal"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hand = mo.tl.autoencoder(cells, **fast, device="cpu", copy=True).uns["ae"]["history"]["test_loss"]
    assert hand[-1] > hand.min()
    table = mo.tl.search(cells, {name: [value] for name, value in fast.items()}, **{**GIVEN, "seeds": [0]})
    assert table["loss"].iloc[0] == hand.min()


def test_programmes_and_one_unit(cells):
    cells = cells.copy()
    space = {"n_latent": [1, 3], "max_epochs": [1]}
    table = mo.tl.search(cells, space, labels="truth_activity", **GIVEN)
    assert table["LMS"].isna().tolist() == [True, False]
    assert "nmi" not in table
    assert mo.tl.search(cells, space, seeds=[4], device="cpu", progress=False)["stability"].isna().all()


def test_labels_may_be_missing_for_some_cells(cells):
    cells = cells.copy()
    cells.obs["some"] = cells.obs["group"].astype(object)
    cells.obs.loc[cells.obs_names[:20], "some"] = np.nan
    table = mo.tl.search(cells, {"max_epochs": [1]}, labels="some", **GIVEN)
    assert table[["LMS", "nmi"]].notna().all(axis=None)


@pytest.mark.parametrize(
    ("settings", "given", "error", "message"),
    [
        ({"latent": [4]}, {}, KeyError, "n_latent"),
        ({"seed": [4]}, {}, KeyError, "seeds="),
        ({"n_splits": [0]}, {}, KeyError, "every run is one training"),
        ({"mask_var": ["a"]}, {}, KeyError, "mask_var="),
        ({"test_fraction": [0.1]}, {}, KeyError, "test_fraction="),
        ({"n_latent": 4}, {}, TypeError, r"\{'n_latent': \[4\]\}"),
        ({"size_factors": "total"}, {}, TypeError, "list of values"),
        ({"n_latent": []}, {}, ValueError, "no values"),
        ({}, {}, ValueError, "settings is empty"),
        ([], {}, ValueError, "settings is empty"),
        ([4], {}, TypeError, "dict of name"),
        ({"n_latent": [4, 0]}, {}, ValueError, "at least 1"),
        ({"n_latent": [4.5]}, {}, ValueError, "whole number"),
        ({"schedule": ["linear"]}, {}, ValueError, "choose one of"),
        ({"momentum": stats.uniform(0, 0.9), **ORTHOGONAL}, {}, TypeError, "list of values"),
        ({"n_latent": [4]}, {"n_iter": 0}, ValueError, "n_iter"),
        ({"n_latent": [4]}, {"seeds": 3}, TypeError, r"\[0, 1, 2\]"),
        ({"n_latent": [4]}, {"seeds": []}, ValueError, "at least one"),
        ({"n_latent": [4]}, {"seeds": [1, 1]}, ValueError, "each once"),
        ({"n_latent": [4]}, {"seeds": [0.5]}, ValueError, "whole number"),
        ({"n_latent": [4]}, {"labels": "kind"}, KeyError, "Choose one of"),
        ({"n_latent": [4]}, {"mask_var": "kind"}, KeyError, "variable_genes"),
        ({"n_latent": [4]}, {"layer": "raw"}, KeyError, "layer"),
        ({"n_latent": [4]}, {"test_fraction": 1.5}, ValueError, "test_fraction"),
        ({"n_latent": [4]}, {"n_threads": 0}, ValueError, "n_threads"),
        ({"size_factors": ["total", "depth"]}, {}, KeyError, "not a column of adata.obs"),
    ],
)
def test_bad_input_is_refused_before_any_training(cells, trained_settings, tmp_path, settings, given, error, message):
    with pytest.raises(error, match=message):
        mo.tl.search(cells, settings, **({**GIVEN, "folder": tmp_path / "runs"} | given))
    assert trained_settings == []
    assert not (tmp_path / "runs").exists()


def test_a_folder_keeps_what_is_done(cells, trained_settings, tmp_path):
    first = mo.tl.search(cells, FAST, folder=tmp_path / "a" / "b", labels="group", **GIVEN)
    assert len(trained_settings) == 8
    assert len(list((tmp_path / "a" / "b").iterdir())) == 8
    again = mo.tl.search(cells, FAST, folder=tmp_path / "a" / "b", labels="group", **GIVEN)
    assert len(trained_settings) == 8
    pd.testing.assert_frame_equal(first, again, check_exact=True)  # seconds too
    same(first, mo.tl.search(cells, FAST, labels="group", **GIVEN))
    more = {**FAST, "n_latent": [4, 3, 5]}
    trained_settings.clear()
    mo.tl.search(cells, more, folder=tmp_path / "a" / "b", **{**GIVEN, "seeds": [1, 2]})
    wanted = [(one["n_latent"], seed) for one, seed in trained_settings]
    assert sorted(wanted) == [(3, 2), (3, 2), (4, 2), (4, 2), (5, 1), (5, 1), (5, 2), (5, 2)]


def test_settings_stand_in_the_order_of_the_grid_whatever_was_there(cells, tmp_path):
    mo.tl.search(cells, {"n_latent": [3], "max_epochs": [1]}, folder=tmp_path, **GIVEN)
    table = mo.tl.search(cells, {"n_latent": [4, 3, 5], "max_epochs": [1]}, folder=tmp_path, by_run=True, **GIVEN)
    assert list(table["n_latent"]) == [4, 4, 3, 3, 5, 5]
    assert list(table.index) == [0, 0, 1, 1, 2, 2]
    assert list(table["seed"]) == [0, 1] * 3


@pytest.mark.parametrize("change", ["counts", "genes", "mask", "test_fraction", "version"])
def test_other_cells_are_trained_anew(cells, trained_settings, tmp_path, monkeypatch, change):
    cells = cells.copy()
    cells.var["mask"] = True
    given = {"folder": tmp_path, "mask_var": "mask", **GIVEN, "seeds": [0]}
    space = {"max_epochs": [1]}
    mo.tl.search(cells, space, **given)
    match change:
        case "counts":
            cells.X.data[0] += 1
        case "genes":
            cells.var_names = [f"other{i}" for i in range(cells.n_vars)]
        case "mask":
            cells.var.loc[cells.var_names[0], "mask"] = False
        case "test_fraction":
            given["test_fraction"] = 0.3
        case "version":
            monkeypatch.setattr(runs, "version", lambda _: "99")
    mo.tl.search(cells, space, **given)
    assert len(trained_settings) == 2
    mo.tl.search(cells, space, **given)
    assert len(trained_settings) == 2


def test_other_size_factors_are_trained_anew(cells, trained_settings, tmp_path):
    cells = cells.copy()
    cells.obs["depth"] = np.arange(1.0, 91)
    space = {"size_factors": ["total", "depth", None], "max_epochs": [1], **ORTHOGONAL}
    mo.tl.search(cells, space, folder=tmp_path, **{**GIVEN, "seeds": [0]})
    cells.obs["depth"] *= np.arange(2.0, 92)
    mo.tl.search(cells, space, folder=tmp_path, **{**GIVEN, "seeds": [0]})
    assert [one["size_factors"] for one, _ in trained_settings] == ["total", "depth", None, "depth"]


@pytest.mark.parametrize("damage", ["half", "empty", "foreign", "other run", "leftover"])
def test_damaged_files_are_ignored(cells, trained_settings, tmp_path, damage):
    given = {"folder": tmp_path, **GIVEN}
    first = mo.tl.search(cells, {"max_epochs": [1]}, **given)
    one, other = sorted(tmp_path.iterdir())
    match damage:
        case "half":
            one.write_bytes(one.read_bytes()[: one.stat().st_size // 2])
        case "empty":
            one.write_bytes(b"")
        case "foreign":
            one.write_text(json.dumps({"not": "a run"}))
        case "other run":
            one.write_bytes(other.read_bytes())
        case "leftover":
            (tmp_path / "x.unfinished").write_bytes(one.read_bytes())
    again = mo.tl.search(cells, {"max_epochs": [1]}, **given)
    assert len(trained_settings) == (2 if damage == "leftover" else 3)
    same(first, again)


def test_a_write_that_fails_leaves_nothing(cells, tmp_path, monkeypatch):
    from pathlib import Path

    def full(*_args):
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        mo.tl.search(cells, {"max_epochs": [1]}, folder=tmp_path, **GIVEN)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_the_search_and_keeps_what_is_finished(cells, trained_settings, tmp_path, monkeypatch):
    from modulae.core.training import train

    real, started = train.start_engine, []

    class Interrupted:
        """An engine of which the third run is stopped by the user in its second epoch."""

        def __init__(self, engine):
            self._engine, self._epochs = engine, 0

        def epoch(self, *args):
            self._epochs += 1
            if len(started) == 3 and self._epochs == 2:
                raise KeyboardInterrupt
            return self._engine.epoch(*args)

        def __getattr__(self, name):
            return getattr(self._engine, name)

    def noted(*args, **given):
        started.append(args)
        return Interrupted(real(*args, **given))

    monkeypatch.setattr(train, "start_engine", noted)
    with pytest.raises(KeyboardInterrupt):
        mo.tl.search(cells, FAST, folder=tmp_path, n_jobs=1, **GIVEN)
    assert len(list(tmp_path.iterdir())) == 2
    trained_settings.clear()
    same(mo.tl.search(cells, FAST, folder=tmp_path, **GIVEN), mo.tl.search(cells, FAST, **GIVEN))
    assert len(trained_settings) == 6 + 8


KILLED = """
import os, sys
import modulae as mo
from modulae.tl._search import runs
from modulae.tl._search.data import Data

real, done = runs._train, []

def until_the_fourth(task, data):
    done.append(task)
    if len(done) == 4:
        (task.file.parent / "x.unfinished").write_bytes(b"half")
        os._exit(9)
    return real(task, data)

runs._train = until_the_fourth
cells = mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=3, genes_per_programme=8, seed=1)
mo.tl.search(cells, {settings}, folder=sys.argv[1], **{given})
"""


def test_a_killed_search_goes_on_where_it_stopped(cells, trained_settings, tmp_path):
    code = KILLED.replace("{settings}", repr(FAST)).replace("{given}", repr(GIVEN))
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    resumed = mo.tl.search(cells, FAST, folder=tmp_path, **GIVEN)
    assert len(trained_settings) == 8 - 3
    same(resumed, mo.tl.search(cells, FAST, **GIVEN))


def test_a_task_knows_its_file(cells, tmp_path):
    data = Data(cells.X.astype(np.float32), cells.obs[[]], cells.var[[]], None, 0.1, "cpu")
    tasks = runs.plan(data, [{"n_latent": 3, "max_epochs": 1}], [0, 1], folder=tmp_path, n_threads=1)
    assert len({task.file for task in tasks}) == 2
    runs.run(tasks[0], data)
    assert runs.load(tasks[0]).seed == 0
    assert runs.load(tasks[1]) is None
    assert runs.load(replace(tasks[0], file=None)) is None
