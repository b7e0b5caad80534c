"""Models on cells they never saw: labels, interferon, unknown cells, speed."""

from __future__ import annotations

import os
import time
import warnings
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from scipy import sparse

import modulae as mo
from benchmarks import table

from . import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from anndata import AnnData

SEEDS = (0, 1, 2)
ARCHITECTURES = ("orthogonal", "parts")
LABELLINGS: dict[str, dict[str, Any]] = {
    "`tl.classify`": {},
    "`tl.classify`, method='knn'": {"method": "knn"},
    "`tl.classify`, method='logistic'": {"method": "logistic"},
    "`tl.classify`, align=False": {"align": False},
}
WORDS = (
    "Labels of one data set carried to the other (pbmc3k, 2638 cells; Kang, 1000 control and 1000 interferon-β cells; "
    "different laboratories, donors and chemistry). The model is trained on the data set named first, on the genes of "
    "Hallmark and DMAP, and reads the other without training (`modulae.tl.transfer`); in the rows *of the new cells* "
    "it is trained on the second, without labels, and reads the first. Macro-F1 is over B, CD14 Mono, CD16 Mono, CD4 "
    "T, CD8 T, DC and NK, once taking the best label of every cell (`unknown_rate=0`) and once with unknown cells "
    "counted as wrong; mean ± SD over three seeds. `unknown, others` is the share of cells called unknown among types "
    "that the reference does not have (T activated, Mk, pDC, Eryth; Platelet). Confidence is to be compared with "
    "accuracy. PCA + kNN: 50 components of log-normalised shared genes, 15 neighbours. ingest: scanpy's, at its "
    "defaults."
)
INTERFERON = (
    "**Does interferon light up under a model that never saw it?** Kang's cells, read by the model named. Rank and q "
    "of the two interferon sets among the Hallmark sets, stimulated against control (`modulae.tl.pathway_impact`, "
    "rank by signed effect); area under the ROC curve, stimulated against control, of three scores per cell: the unit "
    "with the largest impact of the interferon-α set (chosen without looking at the stimulation; the better of both "
    "directions), the set's `modulae.tl.pathway_activity`, and `modulae.tl.novelty`. First seed."
)
UNKNOWN = (
    "**A cell type that the reference lacks.** pbmc3k in two random halves, one as the reference from which the labels "
    "of one type are removed; the model has seen all. Share called unknown among cells of that type (found) and among "
    "the others (false alarms; asked for: 0.05). Mean over three seeds."
)
SPEED = "**Time** of 100 000 cells (pbmc3k repeated, all its genes in memory), seconds on two cores, the best of three."


def run(*, short: bool) -> str:
    """Measure all four."""
    real = not short and "MODULAE_DATA" in os.environ
    cells, sets = foreign.blood() if real else foreign.simulated()
    seeds = SEEDS if real else SEEDS[:1]
    trained = {
        (name, architecture, seed): _trained(adata, architecture, seed, short=not real)
        for name, adata in cells.items()
        for architecture in ARCHITECTURES
        for seed in seeds
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of units that too few genes are left for
        more = [
            (INTERFERON, list(_interferon(cells["Kang"], trained, sets))),
            (UNKNOWN, list(_unknown(trained, seeds))),
            (SPEED, list(_speed(trained, 100_000 if real else 500))),
        ]
        labels = list(_labels(cells, trained, seeds))
    return table.write("transfer", "Models on cells they never saw", WORDS, labels, short=short, more=more)


def _trained(adata: AnnData, architecture: str, seed: int, *, short: bool) -> AnnData:
    adata = adata.copy()
    foreign.train(adata, architecture, seed, short=short)
    return adata


def _labels(cells: Mapping[str, AnnData], trained: Mapping[Any, AnnData], seeds: Any) -> Iterator[dict[str, object]]:  # noqa: ANN401
    for source, target in (("pbmc3k", "Kang"), ("Kang", "pbmc3k")):
        where = f"{source} → {target}"
        new = cells[target]
        for architecture in ARCHITECTURES:
            for name, options in LABELLINGS.items():
                found = [_carried(trained[source, architecture, seed], new.copy(), options) for seed in seeds]
                yield {"from → to": where, "method": f"{name}, {architecture} model", **_summary(found)}
            found = [_carried_by_own(cells[source].copy(), trained[target, architecture, seed]) for seed in seeds]
            yield {
                "from → to": where,
                "method": f"`tl.classify`, {architecture} model of the new cells",
                **_summary(found),
            }
        for name, labels in (
            ("PCA + kNN, all shared genes", foreign.pca_neighbours(cells[source], new, variable=False)),
            ("PCA + kNN, 2000 variable genes", foreign.pca_neighbours(cells[source], new, variable=True)),
            ("scanpy's ingest", foreign.ingest(cells[source], new)),
        ):
            score = foreign.macro_f1(new.obs["main"], labels, new.obs["main"].cat.categories)
            known = new.obs["main"].notna()
            right = (labels.astype(str) == new.obs["main"].astype(str))[known].mean()
            yield {"from → to": where, "method": name, **_row([score], [score], [0.0], None, None, [right])}


def _carried(reference: AnnData, new: AnnData, options: Mapping[str, Any]) -> dict[str, float]:
    mo.tl.transfer(new, reference, device="cpu")
    return _scores(new, reference, options)


def _carried_by_own(reference: AnnData, new: AnnData) -> dict[str, float]:
    mo.tl.transfer(reference, new, device="cpu")
    return _scores(new, reference, {})


def _scores(new: AnnData, reference: AnnData, options: Mapping[str, Any]) -> dict[str, float]:
    truth, known = new.obs["main"], new.obs["main"].notna()
    mo.tl.classify(new, reference, labels="main", device="cpu", unknown_rate=0, key_added="best", **options)
    mo.tl.classify(new, reference, labels="main", device="cpu", key_added="label", **options)
    unknown = new.obs["label"] == "unknown"
    return {
        "best": foreign.macro_f1(truth, new.obs["best"], truth.cat.categories),
        "with unknown": foreign.macro_f1(truth, new.obs["label"], truth.cat.categories),
        "unknown": float(unknown[known].mean()),
        "unknown others": float(unknown[~known].mean()) if (~known).any() else np.nan,
        "confidence": float(new.obs["best_confidence"][known].mean()),
        "accuracy": float((new.obs["best"].astype(str) == truth.astype(str))[known].mean()),
    }


def _summary(found: list[dict[str, float]]) -> dict[str, object]:
    columns = ("best", "with unknown", "unknown", "unknown others", "confidence", "accuracy")
    return _row(*([score[column] for score in found] for column in columns))


def _row(best: Any, unknowns: Any, share: Any, others: Any, confidence: Any, accuracy: Any) -> dict[str, object]:  # noqa: ANN401, PLR0917
    def mean(values: Any) -> str:  # noqa: ANN401
        return "–" if values is None or not np.isfinite(values).all() else f"{np.mean(values):.2f}"

    def spread(values: Any) -> str:  # noqa: ANN401
        return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")

    return {
        "macro-F1": spread(best),
        "macro-F1, unknown is wrong": spread(unknowns),
        "unknown, these types": mean(share),
        "unknown, others": mean(others),
        "confidence": mean(confidence),
        "accuracy": mean(accuracy),
    }


def _interferon(
    kang: AnnData, trained: Mapping[Any, AnnData], sets: Mapping[str, list[str]]
) -> Iterator[dict[str, object]]:
    from sklearn.metrics import roc_auc_score

    hallmark = {name: genes for name, genes in sets.items() if name.startswith("HALLMARK")} or dict(sets)
    alpha = next((name for name in hallmark if "INTERFERON_ALPHA" in name), next(iter(hallmark)))
    gamma = next((name for name in hallmark if "INTERFERON_GAMMA" in name), alpha)
    stimulated = (kang.obs["stim"] == "STIM").to_numpy()
    for architecture in ARCHITECTURES:
        for source in ("pbmc3k", "Kang"):
            cells = kang.copy()
            mo.tl.transfer(cells, trained[source, architecture, 0], device="cpu")
            mo.tl.pathway_impact(cells, hallmark, device="cpu")
            unit = mo.get.impact(cells).loc[alpha].abs().idxmax()
            mo.tl.pathway_impact(cells, hallmark, groupby="stim", groups=["STIM"], reference="CTRL", device="cpu")
            impact = mo.get.impact_table(cells, result="ae_impact_stim").set_index("set")
            rank = impact["effect"].rank(ascending=False).astype(int)
            mo.tl.pathway_activity(cells, {alpha: hallmark[alpha]}, device="cpu")
            mo.tl.novelty(cells)
            auc = roc_auc_score(stimulated, mo.get.representation(cells)[unit])
            yield {
                "architecture": architecture,
                "model of": source,
                "interferon-α: rank, q": f"{rank[alpha]}, {impact['q'][alpha]:.2g}",
                "interferon-γ: rank, q": f"{rank[gamma]}, {impact['q'][gamma]:.2g}",
                "AUC of the interferon unit": f"{max(auc, 1 - auc):.3f} (unit {unit})",
                "AUC of the set's activity": f"{roc_auc_score(stimulated, mo.get.pathway_activity(cells)[alpha]):.3f}",
                "AUC of novelty": f"{roc_auc_score(stimulated, cells.obs['ae_novelty']):.3f}",
            }


def _unknown(trained: Mapping[Any, AnnData], seeds: Any) -> Iterator[dict[str, object]]:  # noqa: ANN401
    types = trained["pbmc3k", ARCHITECTURES[0], 0].obs["main"].cat.categories
    for architecture in ARCHITECTURES:
        row: dict[str, object] = {"architecture": architecture}
        alarms = []
        for absent in types:
            found = []
            for seed in seeds:
                adata = trained["pbmc3k", architecture, seed]
                half = np.random.default_rng(seed).random(adata.n_obs) < 0.5
                reference, new = adata[half].copy(), adata[~half & adata.obs["main"].notna().to_numpy()].copy()
                reference.obs["main"] = reference.obs["main"].cat.remove_categories([absent])
                mo.tl.classify(new, reference, labels="main", device="cpu")
                unknown, of_type = new.obs["ae_label"] == "unknown", new.obs["main"] == absent
                found.append(unknown[of_type].mean())
                alarms.append(unknown[~of_type].mean())
            row[f"{absent} found"] = f"{np.mean(found):.2f}"
        yield row | {"false alarms": f"{np.mean(alarms):.3f}"}


def _speed(trained: Mapping[Any, AnnData], n_cells: int) -> Iterator[dict[str, object]]:
    for architecture in ARCHITECTURES:
        source = trained["pbmc3k", architecture, 0]
        rows = np.arange(n_cells) % source.n_obs
        many = ad.AnnData(sparse.csr_matrix(source.X)[rows], var=source.var[[]].copy())
        taken: dict[str, list[float]] = {"transfer": [], "classify": []}
        for _ in range(3):
            start = time.perf_counter()
            mo.tl.transfer(many, source, device="cpu")
            taken["transfer"].append(time.perf_counter() - start)
            start = time.perf_counter()
            mo.tl.classify(many, source, labels="main", device="cpu")
            taken["classify"].append(time.perf_counter() - start)
        yield {
            "architecture": architecture,
            **{f"`tl.{name}`": f"{min(seconds):.1f}" for name, seconds in taken.items()},
        }
