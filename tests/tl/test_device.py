"""Every function computes on a device of PyTorch what NumPy does on the CPU; `cpu:0` is such a device everywhere."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
import torch

import modulae as mo
from modulae.core.training.replication import on_device

TORCH_CPU = "cpu:0"
DEVICES = [
    TORCH_CPU,
    pytest.param("cuda", marks=pytest.mark.gpu),
]
METHODS = ("gradient", "guided", "input_x_gradient", "integrated_gradients")


def cells(seed=1):
    adata = mo.datasets.simulated(
        n_cells=150, n_genes=80, n_programmes=4, genes_per_programme=10, n_groups=2, seed=seed
    )
    adata.obs["donor"] = pd.Categorical([f"d{i % 6}" for i in range(adata.n_obs)])
    return adata


@pytest.fixture(scope="module", params=["orthogonal", "orthogonal, batches", "parts", "parts, batches"])
def trained(request):
    architecture, _, batches = request.param.partition(", ")
    adata = cells()
    more = {"batch_key": "donor"} if batches else {}
    settings = {"architecture": architecture, "n_splits": 0, "n_latent": 6, "max_epochs": 3, "engine": "torch"}
    mo.tl.autoencoder(adata, **settings, device="cpu", **more)
    return adata


def written(adata):
    """Every array of numbers, by where it lies."""
    found = {f"obs {name}": column.to_numpy() for name, column in adata.obs.items() if column.dtype.kind == "f"}
    for part in ("obsm", "varm", "layers", "obsp"):
        for name, value in getattr(adata, part).items():
            found[f"{part} {name}"] = value.toarray() if hasattr(value, "toarray") else np.asarray(value)

    def walk(value, path):
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{path} {name}")
        elif isinstance(value, pd.DataFrame):
            for name, column in value.items():
                walk(column.to_numpy(), f"{path} {name}")
        elif np.asarray(value).dtype.kind == "f":
            found[path] = np.asarray(value)

    walk(dict(adata.uns), "uns")
    return found


def assert_same_on(adata, device, function, *args, rtol=2e-4, **settings):
    """What `function` writes with NumPy, and what on the device."""
    before = set(written(adata))
    here, there = (copy.deepcopy(adata) for _ in range(2))
    function(here, *args, device="cpu", **settings)
    function(there, *args, device=device, **settings)
    expected, found = written(here), written(there)
    assert set(expected) == set(found)
    assert set(expected) > before
    for name, value in expected.items():
        if counted := re.search(COUNTED, name):
            assert_few_steps(found[name], value, counted[1], name)
        else:
            atol = rtol * np.abs(np.nan_to_num(value)).max(initial=0)
            np.testing.assert_allclose(found[name], value, rtol=rtol, atol=atol, err_msg=name)


COUNTED = r"\b(?:\w+_)?(percentile|p|q)(?:_\w+)?$"
"""Names of what is counted: how many draws lie above a value."""


def assert_few_steps(found, expected, kind, name):
    """Rounding may tip a draw that ties with the value, and what is counted moves by a whole step, but seldom.

    What was counted is compared to all its digits elsewhere: scores, effects. A false discovery rate may follow one
    step of one p-value all over the table.
    """
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=name)
    if kind != "q":
        known = ~np.isnan(expected)
        away = np.abs(found[known] - expected[known]) > {"percentile": 0.1, "p": 1e-3}[kind]
        assert away.mean() <= 0.05, name


@pytest.mark.parametrize("device", DEVICES)
def test_the_default_finds_the_same_programmes(device):
    here, there = (mo.datasets.simulated(n_cells=400, n_genes=200, n_programmes=4, seed=5) for _ in range(2))
    mo.tl.autoencoder(here, device="cpu", n_splits=3)
    mo.tl.autoencoder(there, device=device, n_splits=3)
    one, other = (adata.obsm["X_ae"][:, : adata.obsm["X_ae"].any(axis=0).sum()] for adata in (here, there))
    alike = np.corrcoef(one, other, rowvar=False)[: one.shape[1], one.shape[1] :]
    assert abs(one.shape[1] - other.shape[1]) <= 1
    assert np.median(alike.max(axis=1)) > 0.99


def test_a_gpu_that_fails_with_halves_is_said_once_and_stops_nobody(monkeypatch):
    def fails(*_, **__):
        msg = "CUDA out of memory"
        raise torch.OutOfMemoryError(msg)

    monkeypatch.setattr(on_device, "low_rank_of_groups", fails)
    adata = mo.datasets.simulated(n_cells=200, n_genes=100, n_programmes=2, seed=5)
    with pytest.warns(
        UserWarning, match=r"factorised on 'cpu:0', and are on the CPU.*: CUDA out of memory\. To silence"
    ) as said:
        mo.tl.autoencoder(adata, device=TORCH_CPU, n_splits=3, max_epochs=1)
    assert said[0].filename == __file__
    assert "X_ae" in adata.obsm


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("signed", [True, False])
def test_saliency(trained, device, method, signed):
    assert_same_on(trained, device, mo.tl.saliency, method=method, signed=signed)
    assert_same_on(trained, device, mo.tl.saliency, method=method, signed=signed, groupby="group")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("difference", ["activity", "saliency"])
@pytest.mark.parametrize("signed", [True, False])
def test_pathway_impact(trained, device, signed, difference):
    sets = trained.uns["gene_sets"]
    assert_same_on(trained, device, mo.tl.pathway_impact, sets, explanation={"signed": signed}, null=None)
    more = {"explanation": {"signed": signed, "difference": difference}, "n_permutations": 100}
    assert_same_on(trained, device, mo.tl.pathway_impact, sets, groupby="group", **more)
    more["donor_key"] = "donor"
    assert_same_on(trained, device, mo.tl.pathway_impact, sets, groupby="group", **more)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("source", ["counts", "neighbors", "decoded"])
def test_pathway_activity(trained, device, source):
    sets = trained.uns["gene_sets"]
    assert_same_on(trained, device, mo.tl.pathway_activity, sets, source=source, n_random=20, key_added="activity")


@pytest.mark.parametrize("device", DEVICES)
def test_denoise_and_what_reads_units(trained, device, tmp_path):
    assert_same_on(trained, device, mo.tl.denoise)
    assert_same_on(trained, device, mo.tl.unit_summary)
    assert_same_on(trained, device, mo.tl.enrich_units, trained.uns["gene_sets"], n_permutations=50)
    mo.save_model(trained, tmp_path / "model.safetensors")
    assert_same_on(cells(2), device, mo.tl.transfer, tmp_path / "model.safetensors")


@pytest.mark.parametrize("device", DEVICES)
def test_other_cells_get_the_same_labels(trained, device):
    other = cells(3)
    mo.tl.transfer(other, trained)
    assert_same_on(other, device, mo.tl.classify, trained, labels="group")


@pytest.mark.filterwarnings("ignore:explanations that are no better:UserWarning")  # of a model of three epochs
@pytest.mark.parametrize("device", DEVICES)
def test_sanity(trained, device):
    genes = list(trained.var_names)
    sets = {f"set {at}": genes[at : at + 10] for at in range(0, 70, 10)}
    here, there = (copy.deepcopy(trained) for _ in range(2))
    for adata, where in ((here, "cpu"), (there, device)):
        mo.tl.sanity(adata, sets, n_seeds=1, max_epochs=2, n_draws=3, device=where)
    expected, found = (written(adata) for adata in (here, there))
    names = [name for name in expected if name.startswith("uns ae_sanity")]
    assert names
    for name in names:  # the networks of the controls are trained by two engines, whose rounding adds up
        np.testing.assert_array_equal(np.isnan(found[name]), np.isnan(expected[name]), err_msg=name)
        assert np.nanmean(np.abs(found[name] - expected[name])) < 0.03, name
