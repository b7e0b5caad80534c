"""What the runs of one setting are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.columns.labels import read_labels as read_column
from modulae.metrics import clustering_nmi, disentanglement, unit_stability
from modulae.metrics._cells import read_labels

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from .runs import SearchRun
    from .settings import Setting

K_MEANS_RUNS = 5
DISENTANGLED = ["LMS", "MSAS", "MSGS"]

FoundLabels = pd.Series | pd.DataFrame


def find_labels(adata: AnnData, labels: str | None) -> FoundLabels | None:
    """The labels that a name stands for, numbered like the cells, checked as the metrics do."""
    if labels is None:
        return None
    read_labels(adata, labels, pd.DataFrame(np.zeros((adata.n_obs, 1)), index=adata.obs_names))
    if labels in adata.obs:
        return pd.Series(read_column(adata, labels, "labels", most_numbers=None).as_categories())
    result = adata.obsm[labels]
    values = result.to_numpy() if isinstance(result, pd.DataFrame) else np.asarray(result)
    return pd.DataFrame(values).rename(columns=str)


def score_runs(setting: Setting, runs: list[SearchRun], labels: FoundLabels | None) -> pd.DataFrame:
    """One row per run of this setting, in the order of the seeds."""
    rows = []
    for run in runs:
        others = {str(other.seed): other.representation for other in runs if other is not run and not other.error}
        row: dict[str, Any] = {
            **setting,
            "seed": run.seed,
            "loss": run.loss,
            "gain": run.gene_means_loss - run.loss,
            "epochs": run.epochs,
            "seconds": run.seconds,
            "stability": np.nan,
            "back": np.nan,
        }
        if others and not run.error:
            match = unit_stability(run.representation, others)
            row |= {"stability": match["abs_r"].mean(), "back": match["back"].mean()}
        if labels is not None:
            row |= _against(run.representation, labels)
        rows.append({**row, "error": run.error})
    return pd.DataFrame(rows)


def sum_up(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row per setting: means over its runs, NaN where one of them failed."""
    rows = []
    for number, runs in table.groupby("setting", sort=True):
        measured = runs.drop(columns=[*names, "seed", "error"])
        means = measured.mean(skipna=False)
        errors = runs["error"][runs["error"] != ""]
        row = {
            "setting": number,
            **{name: runs[name].iloc[0] for name in names},
            "n_runs": len(runs),
            "loss": means.pop("loss"),
            "loss_sd": measured["loss"].std(skipna=False),
            **means,
            "error": errors.iloc[0] if len(errors) else "",
        }
        rows.append(row)
    return pd.DataFrame(rows).set_index("setting")


def _against(units: NDArray[np.float32], labels: FoundLabels) -> dict[str, float]:
    """How well units, and clusters of cells, stand for the labels."""
    from anndata import AnnData

    result = dict.fromkeys(DISENTANGLED if isinstance(labels, pd.DataFrame) else [*DISENTANGLED, "nmi"], np.nan)
    if len(units) == 0:
        return result
    if units.shape[1] > 1:
        scores = disentanglement(units, labels)["SMI"]
        result |= {name: float(scores[name]) for name in DISENTANGLED}
    if "nmi" in result:
        lean = AnnData(obs=pd.DataFrame({"label": labels}).rename(index=str), obsm={"units": units})
        result["nmi"] = float(clustering_nmi(lean, labels="label", use_rep="units", n_runs=K_MEANS_RUNS).mean())
    return result
