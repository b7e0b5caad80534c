"""How far batches are mixed in a representation, and cell types are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

NEIGHBOURS = 90
LEAST = 10
"""Cells of each batch that a cell type needs for a silhouette."""


def told_apart(points: NDArray[np.floating], labels: NDArray[Any]) -> float:
    """Balanced accuracy of a logistic regression, cross-validated."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
    varying = points[:, points.std(axis=0) > 1e-6]
    return float(cross_val_score(model, varying, labels, scoring="balanced_accuracy", cv=5).mean())


def lisi(points: NDArray[np.floating], batch: NDArray[Any]) -> float:
    """Mean inverse Simpson index of the batches among the neighbours of a cell, scaled to 0 (one batch) to 1."""
    from sklearn.neighbors import NearestNeighbors

    names, codes = np.unique(batch, return_inverse=True)
    n = min(NEIGHBOURS, len(points) - 1)
    near = NearestNeighbors(n_neighbors=n).fit(points).kneighbors(return_distance=False)
    shares = np.stack([(codes[near] == at).mean(axis=1) for at in range(len(names))])
    return float((np.mean(1 / (shares**2).sum(axis=0)) - 1) / (len(names) - 1))


def scores(adata: AnnData, batch_key: str, label_key: str) -> dict[str, Any]:
    """All of them, of `obsm["X"]`."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, silhouette_samples, silhouette_score

    points, batch = np.asarray(adata.obsm["X"]), adata.obs[batch_key].to_numpy().astype(str)
    labels = adata.obs[label_key].to_numpy().astype(str)
    within = []
    for label in np.unique(labels):
        here = labels == label
        if len(set(batch[here])) > 1 and np.unique(batch[here], return_counts=True)[1].min() >= LEAST:
            within.append(1 - np.abs(silhouette_samples(points[here], batch[here])).mean())
    k = len(set(labels))
    clusters = [KMeans(k, n_init=1, random_state=run).fit_predict(points) for run in range(5)]
    return {
        "told apart": told_apart(points, batch),
        "batch ASW": float(np.mean(within)),
        "iLISI": lisi(points, batch),
        "NMI": float(mo.metrics.clustering_nmi(adata, labels=label_key, use_rep="X").mean()),
        "ARI": float(np.mean([adjusted_rand_score(labels, found) for found in clusters])),
        "type ASW": float((silhouette_score(points, labels) + 1) / 2),
    }


def spread(found: Sequence[dict[str, Any]]) -> dict[str, object]:
    """Mean ± standard deviation of each column; empty where there is none."""
    rows: dict[str, object] = {}
    for name in found[0]:
        values = [one[name] for one in found]
        digits = 4 if "loss" in name else 3
        if values[0] is None:
            rows[name] = ""
        else:
            rows[name] = f"{np.mean(values):.{digits}f}" + (
                f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
            )
    return rows
