"""How well a model reads cells in which some of its genes were not measured, by what is assumed of these."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo
from benchmarks import table
from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae.core.inference.encode import encode
from modulae.core.inference.missing_genes import restrict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.inference.missing_genes import Restricted
    from modulae.core.model.fitted import Fitted

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
ROUNDS = (1, 3, 10)
FILLS = ("zero", "mean", *(f"network ×{n}" for n in ROUNDS), "model")
DRAWS = 3
PICTURE = table.FOLDER.parent / "images" / "missing_genes.png"

WORDS = """A share of the genes of Hallmark and DMAP on which a model of pbmc3k was trained is removed, at random (mean
and standard deviation of three draws) or the most expressed first, and **with them all other genes** that size factors
are otherwise taken from, as in a targeted panel. The {n} cells that were held out of the training are then read again.
What is assumed of the absent genes: `"zero"`, `"mean"` and `"model"`, the default, are what `missing` offers in
`modulae.tl.transfer`; `network ×n`, only here, fills in their means, encodes, decodes, fills in the decoded rates
instead, and so on n times.

![Label accuracy against the share of genes removed, and reliability against what is seen](../images/missing_genes.png)

Accuracy of the labels of these cells, by a linear discriminant (shrinkage 0.1) trained on the training cells with all
genes; with all genes: {full}; always saying the largest type: {guess:.2f}. The linear model wins by
far; filling the gaps through the network itself helps a little while few genes are absent, and drifts away where many
are. One model of each architecture, one data set."""

MORE = {
    "nmi": "NMI of k-means (9 clusters, mean of five runs) with the labels. With all genes: {}.",
    "gain": "Poisson loss of the counts of *all* genes, at each cell's size factor from all genes: gain over the gene "
    "means times the size factor, in % of the gain with all genes. Below 0: worse than the gene means.",
    "r": "Mean correlation of the units with themselves as read from all genes, over the units that vary.",
}

RELIABILITY = (
    'How well `reliability` (`missing="model"`) says beforehand how a unit will correlate with itself as read from all '
    "genes, beside `coverage`, the share of its absolute saliency that is at hand: rank correlation over the units, "
    "and mean absolute error; means of the draws. The last row of each architecture pools all cases. `expected` and "
    "`seen` are means over the units."
)


@dataclass(frozen=True)
class Task:
    """A trained model, its held-out cells, and what they look like with all genes."""

    adata: AnnData
    fitted: Fitted
    held: AnnData
    labels: NDArray[np.str_]
    cells: Cells  # held out, all genes
    units: NDArray[np.float32]
    classifier: Any

    @property
    def live(self) -> NDArray[np.bool_]:
        """Units that vary over the held-out cells."""
        return self.units.std(axis=0) > 1e-3

    @property
    def guess(self) -> float:
        """Accuracy of always saying the most frequent label."""
        return float(np.unique(self.labels, return_counts=True)[1].max() / len(self.labels))

    def loss(self, rates: NDArray[np.float32]) -> float:
        """Mean Poisson loss of all genes, of rates at size factor 1."""
        scaled = np.maximum(self.cells.scale() * rates, 1e-8)
        return float(np.mean(scaled - self.cells.dense() * np.log(scaled), dtype=np.float64))

    def scores(self, units: NDArray[np.float32]) -> dict[str, float]:
        """Everything that is said of one reading."""
        from sklearn.cluster import KMeans
        from sklearn.metrics import normalized_mutual_info_score

        k = len(set(self.labels))
        clusters = [KMeans(k, n_init=5, random_state=seed).fit_predict(units) for seed in range(5)]
        nothing = self.loss(self.fitted.training.rates[None])
        best = self.loss(self.fitted.network.decode(self.units))
        loss = self.loss(self.fitted.network.decode(units))
        return {
            "accuracy": float((self.classifier.predict(units) == self.labels).mean()),
            "nmi": float(np.mean([normalized_mutual_info_score(self.labels, found) for found in clusters])),
            "gain": 100 * (nothing - loss) / (nothing - best),
            "r": float(self.correlations(units).mean()),
        }

    def correlations(self, units: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of each live unit with itself; 0 for one that no longer varies."""
        a, b = units[:, self.live].astype(np.float64), self.units[:, self.live].astype(np.float64)
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        return np.divide((a * b).sum(axis=0), size, out=np.zeros(len(size)), where=size > 0)


def task(architecture: str, *, short: bool) -> Task:
    """Train with the defaults."""
    import anndata as ad
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    quick: dict[str, Any] = {}
    if short or "MODULAE_DATA" not in os.environ:
        adata, sets, labels = mo.datasets.pbmc68k(), mo.datasets.immune_signatures(), "bulk_labels"
        quick = {"max_epochs": 3} if short else {}
    else:
        folder = Path(os.environ["MODULAE_DATA"])
        adata, labels = ad.read_h5ad(folder / "pbmc3k.h5ad"), "seurat_celltype"
        sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
        sets |= mo.read_gene_sets(folder / "xcell_novershtern_DMAP.gmt")
    mo.pp.gene_set_mask(adata, sets)
    given = {"mask_var": "in_gene_sets", "architecture": architecture, "n_splits": 0, "progress": False}
    mo.tl.autoencoder(adata, **given, **quick)
    fitted, names = read_model(adata, "ae"), adata.obs[labels].astype(str).to_numpy()
    test = fitted.test_cells
    classifier = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.1).fit(adata.obsm["X_ae"][~test], names[~test])
    held = adata[test].copy()
    cells = read_cells(held, fitted, layer=None)
    return Task(adata, fitted, held, names[test], cells, encode(fitted.network, cells), classifier)


def removed(task: Task, how: str, share: float) -> Iterator[NDArray[np.bool_]]:
    """Which genes are left."""
    n = len(task.fitted.genes)
    for seed in range(DRAWS if how == "at random" else 1):
        order = (
            np.random.default_rng(seed).permutation(n)
            if how == "at random"
            else np.argsort(-task.fitted.training.rates)
        )
        kept = np.ones(n, dtype=bool)
        kept[order[: round(share * n)]] = False
        yield kept


def readings(task: Task, kept: NDArray[np.bool_]) -> tuple[dict[str, NDArray[np.float32]], Restricted]:
    """Units of the held-out cells, for everything that may be assumed of the absent genes."""
    no_others = np.zeros(len(task.fitted.training.other_genes), dtype=bool)
    panel = task.held[:, task.fitted.genes[kept]].copy()
    found = {}
    for missing in ("zero", "mean", "model"):
        reader = restrict(task.fitted, kept, no_others, missing=missing)
        cells = read_cells(panel, reader.fitted, layer=None)
        found[missing] = encode(reader.fitted.network, cells)
    network = task.fitted.network
    inputs = np.tile(task.fitted.training.input_mean, (len(cells), 1))
    inputs[:, kept] = cells.inputs()
    for n in range(1, max(ROUNDS) + 1):
        inputs[:, ~kept] = np.log1p(network.decode(network.encode(inputs))[:, ~kept])
        if n in ROUNDS:
            found[f"network ×{n}"] = np.asarray(network.encode(inputs))
    return found, reader


def agreement(
    expected: NDArray[np.float64], coverage: NDArray[np.float64], seen: NDArray[np.float64]
) -> dict[str, float]:
    """How well each says what is seen."""
    from scipy.stats import spearmanr

    return {
        "expected": float(expected.mean()),
        "seen": float(seen.mean()),
        "rank, reliability": float(spearmanr(expected, seen)[0]),
        "rank, coverage": float(spearmanr(coverage, seen)[0]),
        "error, reliability": float(np.abs(expected - seen).mean()),
        "error, coverage": float(np.abs(coverage - seen).mean()),
    }


Scores = dict[tuple[str, str, float], dict[str, dict[str, list[float]]]]
"""By architecture, way of removal and share: fill → measure → draws."""


def curve(task: Task, name: str, scores: Scores, points: list[NDArray[np.float64]]) -> list[dict[str, object]]:
    """Fill in the scores and points (expected, coverage, seen) of one model; rows on its reliability."""
    rows: list[dict[str, object]] = []
    for how in ("at random", "most expressed first"):
        for share in SHARES:
            here: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
            said: dict[str, list[float]] = defaultdict(list)
            for kept in removed(task, how, share):
                found, reader = readings(task, kept)
                for fill, units in found.items():
                    for measure, value in task.scores(units).items():
                        here[fill][measure].append(value)
                points.append(
                    np.stack(
                        [
                            reader.reliability[task.live],
                            reader.coverage[task.live],
                            task.correlations(found["model"]),
                        ]
                    )
                )
                for column, value in agreement(*points[-1]).items():
                    said[column].append(value)
            scores[name, how, share] = here
            means = {column: f"{np.mean(values):.2f}" for column, values in said.items()}
            rows.append({"architecture": f"`{name}`", "removed": how, "share": f"{share:.0%}", **means})
            print(name, how, share, {fill: f"{np.mean(here[fill]['accuracy']):.2f}" for fill in FILLS}, flush=True)
    pooled = {column: f"{value:.2f}" for column, value in agreement(*np.concatenate(points, axis=1)).items()}
    return [*rows, {"architecture": f"`{name}`", "removed": "all of these", "share": "", **pooled}]


def rows_of(scores: Scores, measure: str, digits: int) -> list[dict[str, object]]:
    """One measure; the best of each row is bold."""
    rows = []
    for (name, how, share), by_fill in scores.items():
        means = {fill: float(np.mean(by_fill[fill][measure])) for fill in FILLS}
        shown = {}
        for fill in FILLS:
            values = by_fill[fill][measure]
            text = f"{means[fill]:.{digits}f}"
            text = f"**{text}**" if text == f"{max(means.values()):.{digits}f}" else text
            shown[fill] = text + (f" ± {np.std(values):.{digits}f}" if len(values) > 1 else "")
        rows.append({"architecture": f"`{name}`", "removed": how, "share": f"{share:.0%}", **shown})
    return rows


def draw(
    scores: Scores, full: Mapping[str, float], guess: float, points: Mapping[str, list[NDArray[np.float64]]]
) -> None:
    """Accuracy against the share removed, and reliability against what is seen."""
    import matplotlib.pyplot as plt
    from PIL import Image

    lines = {
        "model": ("#0072b2", "o", '"model" (default)'),
        "network ×10": ("#e69f00", "s", "through the network, 10 times"),
        "mean": ("#009e73", "^", '"mean"'),
        "zero": ("#999999", "v", '"zero"'),
    }
    fig, axes = plt.subplots(len(full), 3, figsize=(10, 3.3 * len(full)), layout="constrained", squeeze=False)
    for row, name in zip(axes, full, strict=True):
        for ax, how in zip(row, ("at random", "most expressed first"), strict=False):
            for fill, (colour, marker, label) in lines.items():
                values = [np.mean(scores[name, how, share][fill]["accuracy"]) for share in SHARES]
                ax.plot([100 * share for share in SHARES], values, color=colour, marker=marker, label=label)
            ax.axhline(full[name], color="black", linestyle="--", linewidth=1, label="all genes")
            ax.axhline(guess, color="black", linestyle=":", linewidth=1, label="always the largest type")
            ax.set(ylim=(0, 1), xlabel="% of genes removed", xticks=[100 * share for share in SHARES])
            ax.set_title(f"{name}, {how}", fontsize="medium")
            ax.set_ylabel("accuracy of cell types")
        expected, _, seen = np.concatenate(points[name], axis=1)
        row[2].scatter(expected, seen, s=4, alpha=0.25, color="#0072b2", linewidths=0)
        row[2].plot([0, 1], [0, 1], color="black", linewidth=1)
        row[2].set(xlim=(0, 1), ylim=(0, 1), xlabel="reliability, said before", ylabel="correlation, seen after")
        row[2].set_title(f"{name}, every unit and case", fontsize="medium")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    PICTURE.parent.mkdir(exist_ok=True)
    fig.savefig(PICTURE, dpi=90)
    plt.close(fig)
    Image.open(PICTURE).convert("RGB").quantize(64).save(PICTURE, optimize=True)  # a third of the size


def run(*, short: bool) -> str:
    """Both architectures."""
    warnings.simplefilter("ignore")  # size factors of few genes can be 0
    scores: Scores = {}
    said: list[dict[str, object]] = []
    points: dict[str, list[NDArray[np.float64]]] = {}
    whole: dict[str, dict[str, float]] = {}
    for name in ("orthogonal", "parts"):
        one = task(name, short=short)
        whole[name], points[name] = one.scores(one.units), []
        said += curve(one, name, scores, points[name])
    if not short:
        draw(scores, {name: values["accuracy"] for name, values in whole.items()}, one.guess, points)

    def full(measure: str) -> str:
        return ", ".join(f"`{name}` {values[measure]:.2f}" for name, values in whole.items())

    more = [(MORE["nmi"].format(full("nmi")), rows_of(scores, "nmi", 2))]
    more += [(MORE[measure], rows_of(scores, measure, digits)) for measure, digits in (("gain", 0), ("r", 2))]
    return table.write(
        "missing_genes",
        "Genes that were not measured",
        WORDS.format(n=len(one.labels), full=full("accuracy"), guess=one.guess),
        rows_of(scores, "accuracy", 2),
        short=short,
        more=[*more, (RELIABILITY, said)],
    )
