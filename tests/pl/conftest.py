"""Results written by hand: a picture's test must not depend on a lucky seed."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

SCORED = ["HALLMARK_ALPHA", "HALLMARK_BETA", "HALLMARK_GAMMA"]
SETS = ["zeta", "alpha", "mid"]
ALL = np.array([[0.0, 0.9, 0.3, 0.1], [1.0, 0.2, 0.5, 0.0], [0.6, 0.7, 0.4, 0.2]], dtype=np.float32)
STIM = np.array([[-1.0, 0.2, 0.0, 0.1], [0.8, 0.4, 0.1, -0.3], [0.5, -0.6, 0.0, 0.0]], dtype=np.float32)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(1.0, size=(30, 5)).astype(np.float32), var=pd.DataFrame(index=list("edcba")))
    adata.obs["kind"] = pd.Categorical(["z", "m", "a"] * 10, categories=["z", "m", "a"])
    adata.obs["depth"] = np.arange(30.0)
    adata.obsm["X_ae"] = np.outer(np.arange(30), [0.1, 5, 1, 3]).astype(np.float32)
    for i, name in enumerate(("X_ae_umap_input", "X_ae_umap", "X_ae_umap_epoch10")):
        adata.obsm[name] = np.column_stack([np.arange(30) + 100 * i, np.arange(30) % 7]).astype(np.float32)
    adata.uns["ae"] = {
        "params": {},
        "model": {},
        "history": {
            "epoch": np.arange(5),
            "train_loss": np.array([0.9, 0.5, 0.4, 0.3, 0.2]),
            "test_loss": np.array([0.95, 0.6, 0.45, 0.41, 0.43]),
            "orthogonality": np.array([8.0, 4.0, 2.0, 1.0, 0.5]),
            "best_epoch": 3,
            "stopped": "patience",
        },
    }
    adata.varm["ae_saliency"] = np.array([[np.nan, 3, -5, 1, -2], [1, 2, 3, 4, 5]], np.float32).T
    adata.uns["ae_saliency"] = {"of_model": "ae", "method": "gradient", "signed": True, "groups": []}
    common = {"of_model": "ae", "sets": np.array(SETS, dtype=object), "n_genes": np.array([3, 2, 4])}
    adata.uns["ae_impact"] = {**common, "all": ALL.copy(), "all_unscaled": ALL * 7}
    adata.uns["ae_impact_kind"] = {
        **common,
        "all": ALL.copy(),
        "all_unscaled": ALL * 7,
        "groups": np.array(["z", "m", "a"], dtype=object),
        "references": np.array(["rest"] * 3, dtype=object),
        "reference": "rest",
        "impact": np.stack([STIM, -STIM, STIM / 2]),
        "unscaled": np.stack([STIM, -STIM, STIM / 2]) * 3,
        "within": np.stack([ALL / 2, ALL, ALL[::-1]]),
        "within_unscaled": np.stack([ALL / 2, ALL, ALL[::-1]]) * 7,
    }
    adata.uns["ae_pathways"] = {"of_model": "ae", "sets": np.array(SCORED, dtype=object), "model_cells": 3.0}
    adata.obsm["ae_pathways"] = (rng.normal(size=(30, 3)) * [1, 5, 2]).astype(np.float32)
    adata.obsm["ae_pathways_percentile"] = rng.uniform(0, 100, size=(30, 3)).astype(np.float32)
    adata.uns["ae_sanity"] = sanity_by_hand()
    q = np.array([[0.5, 1e-4, 0.3, 0.9], [0.04, 0.01, 1.0, 0.8], [0.2, 0.6, 0.7, 0.06]])
    z = np.array([[1.0, -5.0, 1.5, 0.1], [2.5, 3.5, 0.0, -0.2], [1.6, 0.5, -0.3, 2.4]])
    adata.uns["ae_enrichment"] = {
        **common,
        "q": q,
        "z": z,
        "p": q / 10,
        "q_prerank": q[::-1],
        "p_prerank": q[::-1] / 10,
        "nes": np.where(z == 0, np.nan, z / 2),
        **dict.fromkeys(("es", "effect", "null_mean"), z),
        **{name: np.ones_like(q) for name in ("p_correlated", "q_correlated")},
        "genes": np.array(list("abcabdcab"), dtype=object),
        "leading_edge": np.zeros((9, 4), dtype=np.uint8),
    }
    return adata


def sanity_by_hand():
    """Four units, one control a kind but for the seeds; every number is different."""
    kinds = ["other seeds", "other seeds", "shuffled counts", "untrained, same start", "last layer redrawn"]
    kinds.append("expression alone")
    levels = ["units", "sets", "set strength", "groups", "group strength"]
    units = np.linspace(-0.2, 0.9, 24).reshape(4, 6).astype(np.float32)
    agreement = np.linspace(0.95, 0.1, 30).reshape(5, 6).astype(np.float32)
    agreement[0] = np.median(units, axis=0)
    steps = np.array([0, 1, 4, 10])
    top = np.array([[1, 0.8, 0.4, 0.1]]) * np.array([[1.0], [0.9], [0.7], [0.6]])
    return {
        "of_model": "ae",
        "n_genes": 100,
        "verdict": np.array([*(f"{level}: words" for level in levels), "deletion: words"], dtype=object),
        "levels": np.array(levels, dtype=object),
        "passed": np.array([False, True, False, True, False]),
        "seeds": agreement[:, :2].mean(axis=1),
        "control": agreement[:, 2],
        "control_kind": np.array(["shuffled counts"] * 5, dtype=object),
        "controls": np.array([f"control {at}" for at in range(6)], dtype=object),
        "kinds": np.array(kinds, dtype=object),
        "agreement": agreement,
        "unit_agreement": units,
        "unit_activity": np.full((4, 6), 0.95, np.float32),
        "unit_partner": np.tile(np.arange(4)[:, None], 6),
        "deletion": {
            "n_deleted": steps,
            "top": top.astype(np.float32),
            "random": (1 - steps[None, :] / np.array([[20.0], [30], [40], [50]])).astype(np.float32),
            "score": np.full(4, 0.3, np.float32),
            "beaten": np.ones(4, np.float32),
        },
    }
