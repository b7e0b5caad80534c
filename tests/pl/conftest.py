"""Results written by hand: a picture's test must not depend on a lucky seed."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

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
    adata.uns["ae_impact"] = {**common, "all": ALL, "all_unscaled": ALL * 7}
    adata.uns["ae_impact_kind"] = {
        **common,
        "all": ALL,
        "all_unscaled": ALL * 7,
        "groups": np.array(["z", "m", "a"], dtype=object),
        "references": np.array(["rest"] * 3, dtype=object),
        "reference": "rest",
        "impact": np.stack([STIM, -STIM, STIM / 2]),
        "unscaled": np.stack([STIM, -STIM, STIM / 2]) * 3,
        "within": np.stack([ALL / 2, ALL, ALL[::-1]]),
        "within_unscaled": np.stack([ALL / 2, ALL, ALL[::-1]]) * 7,
    }
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
