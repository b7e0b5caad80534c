"""Whether a unit is on in a cell: how often that is wrong, and how often it is missed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import modulae as mo
from benchmarks import table

from .mixtures import LINES, mark_variable, shares_of

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

DIFFICULTIES = ("easy", "hard", "together", "rare")
SEEDS = (200, 201, 202)
RATES = (0.01, 0.05, 0.1)
DEPTHS = (1.0, 0.3, 0.1)
NEW = (None, 1.0, 0.1)
MATCHED = 0.8
WORDS = (
    "`tl.call_units` says in which cells a unit is on, at a stated false discovery rate. Cells of `datasets.simulated`"
    ", in which it is known where each planted programme runs; {seeds} seeds each, none of which was used to choose "
    "how the calls are made. A unit stands for the programme with which its activity correlates most; those with r "
    "below {matched} stand for none and are not judged: {left} of {all}, mostly one in each model that is active in "
    "all cells.\n\n"
    "- *FDR*: of the cells called on, the share in which the programme does not run; mean over units, and in brackets "
    "the unit with the highest.\n"
    "- *Power*: of the cells in which it runs, the share called on; mean, and the unit with the lowest.\n\n"
    "Units with more than one and a half times the rate that was asked for: {over}."
)
DEPTH = (
    "**Fewer counts.** The same models read the same cells with a part of their counts (`tl.transfer`), at a rate of "
    "0.05. *Undecided*: pairs of cell and unit that get no call. *Power where decided*: of the cells in which the "
    "programme runs and a call is possible."
)
NOWHERE = (
    "**A programme that runs nowhere.** For each unit, only the cells in which its programme does not run are kept, so "
    "every call is false. The share of cells that are called all the same. A unit that is in no cells at least half as "
    "active as it was in training where it was on is not called. The rule was made after a look at the cells of the "
    "first seed; all seeds are shown, and once more where the model reads the cells as those of others "
    "(`tl.transfer`), at a tenth of their counts too."
)
REAL = (
    "**RNA mixtures and cell lines.** Units of the 2000 most variable genes (see {doc}`/benchmarks/mixtures`), at a "
    "rate of 0.05; each line's unit is the one that sets it apart from the others best. *In the line* and *in other "
    "lines*: share of the pure wells, or cells, in which the unit is on. *At 16 %*: share of the wells of which about "
    "a sixth of the RNA is of the line."
)
KANG, CELL_LINES = "kang_ifnb_sub2000", "celseq2_5lines_plate1"
NEW_CELLS = {
    ("blood model", KANG): "blood",
    ("blood model", "pbmc68k"): "blood",
    ("stimulated blood", "pbmc3k"): "blood",
    ("stimulated blood", "pbmc68k"): "blood",
    ("five lines", "rnamix_sortseq"): "three of the lines",
    ("blood model", CELL_LINES): "no blood",
    ("blood model", "rnamix_sortseq"): "no blood",
    ("stimulated blood", CELL_LINES): "no blood",
    ("stimulated blood", "rnamix_sortseq"): "no blood",
    ("five lines", "pbmc3k"): "no cell line",
    ("five lines", KANG): "no cell line",
}
LIKENESS = (
    "**Models of other cells.** Units that are called on in 5 % of the cells or more after `tl.transfer`; the "
    "*likeness* of what these cells have more of, and what the model expects (`get.unit_calls`; nan: nearly all cells "
    "have the unit on, so that there are no others to compare with), and the share of the cells. A warning names those "
    "below 0.25 or at nan: {foreign} units that are called on in cells of another kind, and {same} of those in cells "
    "of the same kind, mostly ribosomal and mitochondrial ones that are on in most cells. The level was chosen on the "
    "blood model, not on the other two."
)
CELL_TYPES = (
    "**Cell types of pbmc3k**, the same. For each unit the cell type in which it is on most often, the next, and the "
    "mean over all others. That neighbours share units is biology (cytotoxic genes of NK and CD8 T cells, HLA class II "
    "of B and dendritic cells, both kinds of monocytes), and some units are on nearly everywhere. How close to 0 the "
    "last column is for a unit that belongs to one kind of cell is what counts."
)


def matched(adata: AnnData) -> dict[int, NDArray[np.bool_]]:
    """For each unit that stands for a programme, where that runs."""
    units, truth = adata.obsm["X_ae"].astype(np.float64), adata.obsm["truth_activity"]
    r = np.nan_to_num(np.corrcoef(units.T, truth.T)[: units.shape[1], units.shape[1] :])
    return {unit: truth[:, row.argmax()] > 0 for unit, row in enumerate(r) if row.max() >= MATCHED}


def rates(called: NDArray[np.bool_], runs: NDArray[np.bool_]) -> tuple[float, float]:
    """False discovery rate and power of a unit."""
    return float((called & ~runs).sum() / max(called.sum(), 1)), float((called & runs).sum() / max(runs.sum(), 1))


def call(adata: AnnData, fdr: float = 0.05) -> AnnData:
    """Call the units of the model."""
    mo.tl.call_units(adata, fdr=fdr, device="cpu")
    return adata


def train(adata: AnnData, *, short: bool, **given: Any) -> AnnData:  # noqa: ANN401
    """A model of the defaults."""
    few = {"n_latent": 6, "n_splits": 0, "max_epochs": 20} if short else {}
    mo.tl.autoencoder(adata, device="cpu", progress=False, **few, **given)
    return adata


def planted(*, short: bool) -> dict[str, list[AnnData]]:
    """Cells with planted programmes, and a model of each."""
    sizes: dict[str, Any] = {"n_cells": 300, "n_genes": 300} if short else {}
    return {
        name: [
            train(mo.datasets.simulated(difficulty=name, seed=seed, **sizes), short=short)
            for seed in (SEEDS[:1] if short else SEEDS)
        ]
        for name in (DIFFICULTIES[:1] if short else DIFFICULTIES)
    }


def of_planted(name: str, every: list[AnnData]) -> tuple[dict[str, object], list[tuple[float, float]]]:
    """A row of the first table, and each unit's rate beside what was asked for."""
    row: dict[str, object] = {"cells": f"`{name}`", "units": sum(len(matched(adata)) for adata in every)}
    asked = []
    for fdr in RATES:
        found = [
            rates(adata.obsm["ae_on"][:, unit], runs)
            for adata in (call(one, fdr) for one in every)
            for unit, runs in matched(adata).items()
        ]
        false, power = np.array(found or [(0, 0)]).T
        row[f"FDR at {fdr}"] = f"{false.mean():.3f} ({false.max():.3f})"
        row[f"power at {fdr}"] = f"{power.mean():.3f} ({power.min():.3f})"
        asked += [(fdr, float(one)) for one in false]
    return row, asked


def thinned(adata: AnnData, share: float) -> AnnData:
    """The same cells with a share of their counts, read by the model."""
    from scipy import sparse

    less = adata.copy()
    counts = sparse.csr_matrix(adata.X, copy=True)
    counts.data = np.random.default_rng(0).binomial(counts.data.astype(np.int64), share).astype(np.float32)
    counts.eliminate_zeros()
    less.X = counts
    mo.tl.transfer(less, adata, device="cpu")
    return less


def of_depth(share: float, models: dict[str, list[AnnData]]) -> dict[str, object]:
    """A row of the second table."""
    found = []
    for adata in (one for every in models.values() for one in every):
        less = call(adata if share == 1 else thinned(adata, share))
        for unit, runs in matched(adata).items():
            on, known = less.obsm["ae_on"][:, unit], less.obsm["ae_on_callable"][:, unit]
            found.append((*rates(on, runs), 1 - known.mean(), rates(on & known, runs & known)[1]))
    false, power, undecided, decided = np.array(found or [(0.0,) * 4]).T
    median = np.median([np.median(np.asarray(one.X.sum(axis=1))) for every in models.values() for one in every])
    return {
        "counts of a cell": f"{share * median:.0f}",
        "FDR at 0.05": f"{false.mean():.3f} ({false.max():.3f})",
        "power": f"{power.mean():.3f} ({power.min():.3f})",
        "undecided": f"{undecided.mean():.3f}",
        "power where decided": f"{decided.mean():.3f}",
    }


def of_nowhere(name: str, every: list[AnnData], share: float | None) -> dict[str, object]:
    """A row of the third table; `share` of the counts that new cells have, `None` for cells of the training."""
    shares = []
    for adata in every:
        cells = adata if share is None else thinned(adata, share)
        for unit, runs in matched(adata).items():
            shares.append(call(cells[~runs].copy()).obsm["ae_on"][:, unit].mean())
    values = np.array(shares or [0.0])
    return {
        "cells": f"`{name}`" + ("" if share is None else f", as new cells at {share:.0%} of the counts"),
        "units": len(shares),
        "without any call": f"{(values == 0).mean():.2f}",
        "mean share called": f"{values.mean():.4f}",
        "highest": f"{values.max():.4f}",
    }


def of_lines(on: NDArray[np.bool_], labels: NDArray[Any], sixth: pd.DataFrame | None) -> list[dict[str, object]]:
    """Rows of the fourth table: `labels` are the lines, empty for wells of several."""
    rows: list[dict[str, object]] = []
    for line in sorted(set(labels) - {""}):
        own, other = labels == line, (labels != line) & (labels != "")
        unit = int((on[own].mean(axis=0) - on[other].mean(axis=0)).argmax())
        rows.append(
            {
                "line": line,
                "in the line": f"{on[own, unit].mean():.2f}",
                "in other lines": f"{on[other, unit].mean():.2f}",
                "at 16 %": "" if sixth is None else f"{on[sixth[line].to_numpy(), unit].mean():.2f}",
            }
        )
    return rows


def of_types(on: NDArray[np.bool_], labels: pd.Series) -> list[dict[str, object]]:
    """Rows of the last table."""
    shares = pd.DataFrame(on).groupby(labels.to_numpy()).mean()  # cell types × units
    rows: list[dict[str, object]] = []
    for unit in shares:
        ordered = shares[unit].sort_values(ascending=False)
        first, second = (f"{name} {share:.2f}" for name, share in ordered.iloc[:2].items())
        rows.append({"unit": unit, "most": first, "next": second, "others": f"{ordered.iloc[2:].mean():.3f}"})
    return rows


def real() -> list[tuple[str, list[dict[str, object]]]]:
    """What is measured on data that do not come with the package."""
    import anndata as ad

    folder = Path(os.environ["MODULAE_DATA"])
    files = ("rnamix_sortseq", "celseq2_5lines_plate1", "pbmc3k")
    wells, cells, blood = (
        call(train(mark_variable(ad.read_h5ad(folder / f"{name}.h5ad")), short=False, mask_var="learn"))
        for name in files
    )
    shares = shares_of(wells)
    pure = np.where(shares.max(axis=1) == 1, np.array(LINES)[shares.to_numpy().argmax(axis=1)], "")
    rows = [
        {"data": name, **row}
        for name, found in (
            ("RNA mixtures", of_lines(wells.obsm["ae_on"], pure, shares.gt(0.1) & shares.lt(0.2))),
            ("five lines", of_lines(cells.obsm["ae_on"], cells.obs["cell_line"].astype(str).to_numpy(), None)),
        )
        for row in found
    ]
    return [(REAL, rows), (CELL_TYPES, of_types(blood.obsm["ae_on"], blood.obs["seurat_celltype"]))]


def new_cells(name: str) -> AnnData:
    """Cells of a file, with symbols where the model that ships has the Ensembl id; or those of scanpy."""
    import anndata as ad

    if name == "pbmc68k":
        return mo.datasets.pbmc68k()
    adata = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / f"{name}.h5ad")
    shipped = mo.datasets.blood_model()
    symbols = dict(zip(shipped.var["gene_ids"].astype(str), shipped.var_names.astype(str), strict=True))
    adata.var_names = [symbols.get(gene, gene) for gene in adata.var_names.astype(str)]
    adata.var_names_make_unique()
    return adata


def likenesses() -> list[dict[str, object]]:
    """Rows of the table of models that read other cells."""
    kang, lines = (train(new_cells(name), short=False) for name in (KANG, CELL_LINES))
    models = {"blood model": mo.datasets.blood_model(), "stimulated blood": kang, "five lines": lines}
    rows: list[dict[str, object]] = []
    for (model, name), kind in NEW_CELLS.items():
        adata = new_cells(name)
        mo.tl.transfer(adata, models[model], device="cpu")
        found = mo.get.unit_calls(call(adata))
        found = found[found["share_called"] >= 0.05]
        each = [
            f"{', '.join(mo.get.top_genes(models[model], unit=unit, n=2)['gene'])}: {row['likeness']:.2f} in "
            f"{row['share_called']:.0%}"
            for unit, row in found.iterrows()
        ]
        doubtful = ~(found["likeness"] >= 0.25)
        rows.append(
            {
                "model": model,
                "cells": name,
                "are": kind,
                "called": len(found),
                "named": int(doubtful.sum()),
                "likeness and share of the cells": "; ".join(each) or "none",
            }
        )
    return rows


def in_words(rows: list[dict[str, Any]]) -> str:
    """What the table of likenesses says."""
    sums = {}
    for kind in ("no", "same"):
        some = [row for row in rows if row["are"].startswith("no ") == (kind == "no")]
        sums[kind] = f"{sum(row['named'] for row in some)} of {sum(row['called'] for row in some)}"
    return LIKENESS.format(foreign=sums["no"], same=sums["same"])


def run(*, short: bool) -> str:
    """All of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of short trainings
        models = planted(short=short)
        rows, asked = [], []
        for name, every in models.items():
            row, found = of_planted(name, every)
            rows.append(row)
            asked += found
        n_units = sum(adata.obsm["X_ae"].shape[1] for every in models.values() for adata in every)
        n_judged = len(asked) // len(RATES)
        over = ", ".join(
            f"{fdr}: {sum(one > 1.5 * fdr for at, one in asked if at == fdr)} of {n_judged} above {1.5 * fdr:.3f}"
            for fdr in RATES
        )
        more = [
            (DEPTH, [of_depth(share, models) for share in DEPTHS]),
            (NOWHERE, [of_nowhere(name, every, share) for share in NEW for name, every in models.items()]),
        ]
        if not short and "MODULAE_DATA" in os.environ:
            alike = likenesses()
            more += [*real(), (in_words(alike), alike)]
    words = WORDS.format(seeds=len(SEEDS), matched=MATCHED, left=n_units - n_judged, all=n_units, over=over)
    return table.write("calls", "Is a unit on in a cell?", words, rows, short=short, more=more)
