"""Published settings say what was published."""

from __future__ import annotations

import inspect

import pytest

import modulae as mo

PAPER = {
    "n_latent": 64,
    "n_hidden": 128,
    "orthogonality": 0.05,
    "size_factors": None,
    "batch_size": 1,
    "learning_rate": 0.001,
    "momentum": 0.9,
    "schedule": "constant",
    "patience": 10,
    "test_fraction": 0.05,
    "activation_beta": 1.0,
    "loss_scale": "counts",
    "output_bias": "constant",
    "architecture": "orthogonal",
}


def test_the_paper():
    assert dict(mo.presets.KINALIS_2019) == PAPER


def test_the_scripts_differ_in_three_settings():
    differ = {"activation_beta": "width", "orthogonality_gradient": False, "test_every": 10}
    assert dict(mo.presets.KINALIS_2019_SCRIPTS) == {**PAPER, **differ}


@pytest.mark.parametrize("name", ["KINALIS_2019", "KINALIS_2019_SCRIPTS"])
def test_training_takes_them(name):
    """By name, and with values that its settings accept."""
    preset = getattr(mo.presets, name)
    assert set(preset) <= set(inspect.signature(mo.tl.autoencoder).parameters)
    sizes = {"n_cells": 100, "n_genes": 12, "n_programmes": 2, "genes_per_programme": 3, "n_groups": 2}
    adata = mo.datasets.simulated(**sizes, mean_counts=30)  # published rates fit thin counts
    mo.tl.autoencoder(adata, **preset, max_epochs=1, device="cpu")
    assert adata.obsm["X_ae"].shape == (100, 64)
    assert {key: adata.uns["ae"]["params"][key] for key in preset} == dict(preset)


@pytest.mark.parametrize("name", mo.presets.__all__)
def test_nobody_can_change_them(name):
    preset = getattr(mo.presets, name)
    with pytest.raises(TypeError, match="does not support item assignment"):
        preset["n_latent"] = 2


def test_the_explanation_of_the_paper_and_of_the_scripts():
    paper = {"method": "guided", "signed": False, "difference": "saliency"}
    assert dict(mo.presets.KINALIS_2019_IMPACT) == paper
    assert dict(mo.presets.KINALIS_2019_SCRIPTS_IMPACT) == {**paper, "aggregate": "median", "scale": "set"}


@pytest.mark.parametrize("name", ["KINALIS_2019_IMPACT", "KINALIS_2019_SCRIPTS_IMPACT"])
def test_impact_and_its_controls_take_them(name):
    preset = getattr(mo.presets, name)
    adata = mo.datasets.simulated(n_cells=60, n_genes=60, n_programmes=6, genes_per_programme=10)
    mo.tl.autoencoder(adata, architecture="orthogonal", n_latent=3, n_hidden=4, max_epochs=1, device="cpu")
    mo.tl.pathway_impact(adata, adata.uns["gene_sets"], explanation=preset, device="cpu")
    assert {key: adata.uns["ae_impact"][key] for key in preset if key != "difference"} == {
        key: value for key, value in preset.items() if key != "difference"
    }
    with pytest.warns(UserWarning, match="no better than a control"):
        mo.tl.sanity(
            adata, adata.uns["gene_sets"], explanation=preset, n_seeds=1, max_epochs=1, n_draws=2, device="cpu"
        )
    assert adata.uns["ae_sanity"]["difference"] == "saliency"


def test_gates_are_read_only_all_the_way_down():
    with pytest.raises(TypeError, match="does not support item assignment"):
        mo.presets.VELTEN_2017_GATES["HSC"]["CD34"] = "low"


def test_gates_of_table_1():
    """Column by column; a dot is an empty cell. CMP and GMP differ in CD45RA alone."""
    markers = ["SSC", "FSC", "lin", "CD38", "CD34", "CD10", "CD90", "CD135", "CD45RA"]
    words = {"h": "high", "m": "mid", "l": "low"}
    table = {
        "MEP": "l m l h h l . l l",
        "CMP": "l m l h h l . h l",
        "GMP": "l m l h h l . h h",
        "HSC": "l m l l h . h . l",
        "MPP": "l m l l h . l . l",
        "MLP": "l m l l h h . . h",
    }
    expected = {
        label: {marker: words[level] for marker, level in zip(markers, row.split(), strict=True) if level != "."}
        for label, row in table.items()
    }
    assert {label: dict(gate) for label, gate in mo.presets.VELTEN_2017_GATES.items()} == expected
    assert list(mo.presets.VELTEN_2017_GATES) == list(table)
