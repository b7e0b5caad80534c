"""The paper's clustering experiment: k-means on the input and on the representation, and Seurat's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scanpy as sc
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import normalize

import modulae as mo
from benchmarks import table

from .paper_data import MODELS, SCRIPTS, TEXT, blood_cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from anndata import AnnData
    from numpy.typing import NDArray

RUNS = 20
PAPER_EPOCHS = 70
COMPONENTS = "50 principal components"
GENES = "genes"
ORIGINAL, REPRESENTATION = "original – Seurat", "representation – Seurat"
TIGHT = "tightest run"
DIRECTION = "cells of length 1 – Seurat"


FIELDS = {"untrained": "X_ae_epoch0", f"after {PAPER_EPOCHS} epochs": f"X_ae_epoch{PAPER_EPOCHS}", "kept": "X_ae"}


def clusterings(points: NDArray[np.float32], k: int, n_runs: int) -> list[NDArray[np.int32]]:
    """Labels of `n_runs` of k-means, each from one start; the first of the list has the least inertia."""
    runs = [KMeans(k, n_init=1, random_state=run).fit(points) for run in range(n_runs)]
    return [run.labels_ for run in sorted(runs, key=lambda run: run.inertia_)]


def originals(adata: AnnData, genes: str) -> dict[str, NDArray[np.float32]]:
    """What "the original input" can mean, cells × genes of the model, or components of all genes."""
    corrected = sc.pp.normalize_total(adata, copy=True)
    logged = sc.pp.log1p(corrected, copy=True)
    sc.pp.highly_variable_genes(logged)
    return {
        "raw counts": adata[:, adata.var[genes]].X.toarray(),
        "size-corrected counts": corrected[:, adata.var[genes]].X.toarray(),
        "log of size-corrected counts": logged[:, adata.var[genes]].X.toarray(),
        COMPONENTS: sc.pp.pca(logged, copy=True).obsm["X_pca"],
    }


def nmi(first: Sequence[NDArray], second: Sequence[NDArray]) -> NDArray[np.float64]:
    """Normalised mutual information of clusterings, pair by pair."""
    return np.array([normalized_mutual_info_score(a, b) for a, b in zip(first, second, strict=True)])


def shown(values: Sequence[NDArray[np.float64]]) -> str:
    """Mean and spread over all runs and seeds."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def representations(adata: AnnData, genes: str, settings: Mapping[str, Any], *, short: bool) -> Iterator[AnnData]:
    """The trained network of every seed, with the representation it started from."""
    limit = {"max_epochs": 2} if short else {}
    for seed in range(1 if short else 3):
        train = {**settings, **limit, "seed": seed, "snapshot_epochs": (0, PAPER_EPOCHS)}
        yield mo.tl.autoencoder(adata, mask_var=genes, progress=False, copy=True, device="cpu", **train)


def run(*, short: bool) -> str:
    """Every model and reading of "the original", all three pairs."""
    adata, labels = blood_cells(short=short)
    truth = adata.obs[labels].astype(str).to_numpy()
    k, n_runs = len(set(truth)), 3 if short else RUNS
    seurat = [truth] * n_runs
    inputs = {
        genes: {name: clusterings(values, k, n_runs) for name, values in originals(adata, genes).items()}
        for genes in (SCRIPTS, TEXT)
    }
    by_input = [{"original": "the paper", GENES: "3009", ORIGINAL: "0.785", TIGHT: ""}]
    for genes, by_name in inputs.items():
        for name, found in by_name.items():
            of_all = name == COMPONENTS
            if of_all and genes == TEXT:
                continue  # the same as with the other genes
            against = nmi(found, seurat)
            used = "variable" if of_all else adata.var[genes].sum()
            row = {"original": name, GENES: used, ORIGINAL: shown([against])}
            by_input.append({**row, TIGHT: f"{against[0]:.3f}"})
            print(by_input[-1], flush=True)
    names = list(inputs[TEXT])
    head = {"representation": "the paper", GENES: "3009", "epochs": "70", REPRESENTATION: "0.761"}
    head |= {TIGHT: "", DIRECTION: ""}
    by_model = [{**head, **dict.fromkeys((f"with {name}" for name in names), "0.780")}]
    for model, (genes, settings) in MODELS.items():
        trained = list(representations(adata, genes, settings, short=short))
        for who, field in FIELDS.items():
            if any(field not in one.obsm for one in trained):
                continue  # it stopped before
            units = [one.obsm[field] for one in trained]
            row = {"representation": f"{model}, {who}", GENES: adata.var[genes].sum()}
            row["epochs"] = ", ".join(str(one.uns["ae"]["history"]["best_epoch"]) for one in trained)
            if who != "kept":
                row["epochs"] = field.removeprefix("X_ae_epoch")
            by_seed = [clusterings(each, k, n_runs) for each in units]
            against = [nmi(found, seurat) for found in by_seed]
            row |= {REPRESENTATION: shown(against), TIGHT: f"{np.mean([values[0] for values in against]):.3f}"}
            row[DIRECTION] = shown([nmi(clusterings(normalize(each), k, n_runs), seurat) for each in units])
            for name in names:
                row[f"with {name}"] = shown([nmi(inputs[genes][name], found) for found in by_seed])
            by_model.append(row)
            print(by_model[-1], flush=True)
    words = (
        f"Normalised mutual information (NMI) of {n_runs} runs of k-means (k = {k}, one random start each) on "
        f'{adata.n_obs} blood cells: mean ± standard deviation over the runs. The paper clustered "the raw input"; '
        "what was done to it first is not said, so here are four readings. Genes: those of Hallmark and DMAP that are "
        "seen at all (the text), or with some count above 2 (the scripts); the principal components are those of all "
        'variable genes, as in scanpy\'s tutorial. "Tightest run": the one with the least inertia, which '
        "`KMeans(n_init=20)` would keep."
    )
    below = (
        "The representation, over three seeds of the network. Kept: the epoch with the lowest held-out loss, one a "
        "seed; training ends where it has not improved for 10 epochs, or after 200 (the defaults: 20, 80). `cells of "
        "length 1`: each cell divided by its length first, which the paper does not speak of, to see how much of the "
        "difference is depth. The columns after it: NMI between the clusters of the representation and those of the "
        "original (runs paired by the order of their inertia; the paper: 0.780). The untrained network is the control."
    )
    more = [(below, by_model)]
    return table.write("paper_clustering", "The paper's clustering experiment", words, by_input, short=short, more=more)
