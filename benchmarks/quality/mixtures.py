"""Units held against physical truth: RNA mixed in known shares, and cells of known lines."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

import modulae as mo
from benchmarks import table

from .modules import live
from .modules_methods import EPOCHS, SOME_UNITS, VARIABLE_GENES, Task, peer
from .simulator import normalised

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

    Units = Callable[[AnnData, int], NDArray[Any]]

LINES = ("H2228", "H1975", "HCC827")
SEEDS = (0, 1, 2)
N_UNITS, N_GENES = 32, 2000
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "mixtures.png"
DRAWN = "`tl.autoencoder`, default"
PAPER = "`tl.autoencoder`, paper's preset"
CNMF, DRVI = "cNMF, its own number", "DRVI"

WORDS = (
    "**RNA in known shares.** 296 wells hold RNA of three lung cancer cell lines (H2228, H1975, HCC827), mixed in "
    "seven known proportions and sequenced like single cells (SORT-seq; Tian et al. 2019, LuyiTian/sc_mixology). "
    "Methods see the {n_genes} genes whose log1p of counts over the size factor varies most. So three programmes "
    "are known to be there, and how active each is in each well: the share of the line's RNA.\n\n"
    "- *Units*: those that vary, with a standard deviation of at least a hundredth of the largest. The truth is 3.\n"
    "- *r*: each line is given a unit of its own, so that the sum of the correlations (Pearson, over wells) between "
    "activity and known share is largest; the mean over the three lines, then each line's own. 1 is best.\n"
    "- *Gap*: r of the line's unit less the largest r that any other unit has with the same share, mean over the "
    "lines. Where one line has a large share the others have a small one, so three perfect units have a gap of "
    "{best:.2f}. It is near 0 where a second unit says the same, and negative where another unit says it better but is "
    "given to another line.\n\n"
    "Units of the orthogonal architecture, of the paper's preset, PCA and ICA may mean more of something when they "
    "fall: each is turned so that its strongest correlation with a share is positive. Parts are taken as they are. "
    "Mean of {n} seeds (no more, as it takes long), and in brackets the lowest and the highest.\n\n"
    "![Activity of each cell line's unit against the known share of its RNA](../images/mixtures.png)\n\n"
    "*Units of `tl.autoencoder`, first seed. Each point is a well; the line is the straight line that fits best. "
    "Points are spread a little to the left and the right of the known share, so that they can be told apart. The "
    "point far below in the first panel (at 0.68) and far above in the third (at 0.16) is one well, L19: its label "
    "says 68 % H2228, its counts say HCC827. It is kept, here and in the tables.*\n\n"
    "`tl.autoencoder` has its defaults; the paper's preset is `presets.KINALIS_2019`. PCA, ICA "
    "and NMF (scikit-learn) see log1p of the counts over the size factor, and are told how many units to find: 32, or "
    "the true number, which nobody knows of other data. {peers}"
)
EVERY_GENE = (
    "**The same with all {n_genes} genes,** without the paper's preset, which takes long. NMF starts from `nndsvda` "
    "throughout; from another start it may end elsewhere."
)
CELLS = (
    "**Five cell lines.** {n} single cells of five lung cancer lines, one plate of CEL-seq2, lines known by genotype "
    "(Tian et al. 2019), the most variable genes again. LMS: each line is given a unit of its own, mean scaled mutual "
    "information with the line; MSGS: distance from the line's best unit to the second best "
    "({{func}}`modulae.metrics.disentanglement`, column SMI). 1 is best; MSGS is high where no second unit knows about "
    "the line."
)
WITHOUT = (
    "cNMF and DRVI are not in these tables: they run in the environment of `benchmarks/peers/requirements.txt`, and "
    "have rows where `MODULAE_PEERS` names its Python."
)
WITH = (
    "cNMF and DRVI take long, and are in the first table only. They ran in the environment of "
    "`benchmarks/peers/requirements.txt`, with all cells but the last: DRVI "
    f"for {EPOCHS} epochs, with 32 units; cNMF chose its number of programmes from {', '.join(SOME_UNITS)} (the "
    "largest at which its stability, over 20 factorisations, has a peak, or else the most stable)."
)


def score(units: NDArray[Any], shares: pd.DataFrame, *, turn: bool = False) -> pd.DataFrame:
    """Each line's own unit, its correlation `r` with the known share, and the `gap` to the next best unit.

    `units` are cells × units, `shares` cells × lines. With `turn`, a unit may point the other way. A unit that does not
    vary is none; a line that is left without a unit has r and gap 0, and no second unit counts as r = 0.
    """
    from scipy.optimize import linear_sum_assignment

    numbers = np.flatnonzero(live(units))
    both = np.c_[units[:, numbers], shares.to_numpy()].astype(np.float64)
    r = np.corrcoef(both.T)[: len(numbers), len(numbers) :]  # units × lines
    if turn:
        r *= np.sign(r[np.arange(len(r)), np.abs(r).argmax(axis=1)])[:, None]
    found = pd.DataFrame({"unit": -1, "r": 0.0, "gap": 0.0}, index=shares.columns)
    for at, line in zip(*linear_sum_assignment(-r), strict=True):
        others = np.delete(r[:, line], at)
        gap = r[at, line] - (others.max() if len(others) else 0)
        found.iloc[line] = [numbers[at], r[at, line], gap]
    return found.astype({"unit": int})


def shares_of(adata: AnnData) -> pd.DataFrame:
    """Known share of each line's RNA in each well."""
    return adata.obs[[f"{line}_prop" for line in LINES]].set_axis(list(LINES), axis=1).astype(np.float64)


def mark_variable(adata: AnnData, n_genes: int | None = N_GENES) -> AnnData:
    """Note the genes to learn in `var["learn"]`: those that vary most, or all of them."""
    spread = normalised(adata).var(axis=0)
    adata.var["learn"] = True if n_genes is None else spread >= np.sort(spread)[::-1][min(n_genes, len(spread)) - 1]
    return adata


def data(*, real: bool) -> tuple[AnnData, AnnData]:
    """The mixtures, and single cells of known lines; simulated ones instead where there are none."""
    import anndata as ad

    if real:
        folder = Path(os.environ["MODULAE_DATA"])
        return ad.read_h5ad(folder / "rnamix_sortseq.h5ad"), ad.read_h5ad(folder / "celseq2_5lines_plate1.h5ad")
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([0.5] * len(LINES), size=80)
    counts = rng.poisson(shares @ rng.lognormal(0, 1.5, size=(len(LINES), 60)))
    obs = pd.DataFrame(shares, columns=[f"{line}_prop" for line in LINES], index=[f"well_{i}" for i in range(80)])
    obs["cell_line"] = np.array(LINES)[shares.argmax(axis=1)]
    wells = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs)
    return wells, wells


def ours(**settings: Any) -> Units:  # noqa: ANN401
    """Units of one of our models."""

    def units(adata: AnnData, seed: int) -> NDArray[Any]:
        adata = adata.copy()
        given = {"mask_var": "learn", "seed": 1000 * seed, "progress": False, "device": "cpu", "key_added": "m"}
        mo.tl.autoencoder(adata, **given, **settings)
        return np.asarray(adata.obsm["X_m"])

    return units


def classical(kind: str, n_units: int) -> Units:
    """Units of scikit-learn's."""
    from sklearn import decomposition

    settings: dict[str, Any] = {
        "NMF": {"init": "nndsvda", "max_iter": 200},
        "PCA": {},
        "FastICA": {"max_iter": 500},
    }[kind]
    return lambda adata, seed: getattr(decomposition, kind)(n_units, random_state=seed, **settings).fit_transform(
        normalised(adata)[:, adata.var["learn"]]
    )


def of_peer(name: str, *options: str) -> Units:
    """Units of a method in the peers' environment, which has to be left a cell that it does not learn from."""
    return lambda adata, seed: peer(Task(adata, np.arange(adata.n_obs - 1), seed), name, *options).units


def methods(n_lines: int, *, short: bool) -> dict[str, tuple[Units, bool]]:
    """Units by name, and whether they may point the other way."""
    n_units = 8 if short else N_UNITS
    few = {"n_latent": n_units} if short else {}
    quick = {"max_epochs": 2} if short else {}
    found: dict[str, tuple[Units, bool]] = {
        DRAWN: (ours(**few), False),
        "`tl.autoencoder(n_splits=0)`, one run": (ours(n_splits=0, **few), False),
        '`tl.autoencoder(architecture="orthogonal")`': (ours(architecture="orthogonal", **quick), True),
        PAPER: (ours(**{**mo.presets.KINALIS_2019, **quick}), True),
    }
    for k in (n_lines, n_units):
        found |= {
            f"NMF({k})": (classical("NMF", k), False),
            f"PCA({k})": (classical("PCA", k), True),
            f"ICA({k})": (classical("FastICA", k), True),
        }
    if "MODULAE_PEERS" in os.environ:
        runs = ("--runs", "3" if short else "20", "--units", *(("3", "4") if short else SOME_UNITS))
        found[CNMF] = (of_peer("cNMF", *runs), False)
        epochs = ("--epochs", "2" if short else str(EPOCHS))
        found[DRVI] = (of_peer("DRVI", *epochs, "--genes", str(VARIABLE_GENES)), True)
    return found


def words_of(values: list[float], digits: int = 3) -> str:
    """Mean, and the range where there is one."""
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), np.mean(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def of_mixtures(name: str, every: list[NDArray[Any]], shares: pd.DataFrame, *, turn: bool) -> dict[str, object]:
    """A row of the first table, from the units of every seed."""
    found = [score(units, shares, turn=turn) for units in every]
    return {
        "method": name,
        "units": words_of([float(live(units).sum()) for units in every], 0),
        "r": words_of([each["r"].mean() for each in found]),
        "gap": words_of([each["gap"].mean() for each in found], 2),
        **{f"r, {line}": f"{np.mean([each['r'][line] for each in found]):.3f}" for line in shares},
    }


def of_cells(name: str, every: list[NDArray[Any]], lines: pd.Series) -> dict[str, object]:
    """A row of the second."""
    found = [mo.metrics.disentanglement(units, lines.to_numpy())["SMI"] for units in every]
    return {
        "method": name,
        "units": words_of([float(live(units).sum()) for units in every], 0),
        **{key: words_of([each[key] for each in found], 2) for key in ("LMS", "MSGS")},
    }


def draw(units: NDArray[Any], shares: pd.DataFrame) -> None:
    """Activity of each line's unit against the known share of its RNA."""
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, shares.shape[1], figsize=(10, 3.6), layout="constrained")
    spread = np.random.default_rng(0).uniform(-0.015, 0.015, size=len(units))
    for ax, (line, own) in zip(axes, score(units, shares).iterrows(), strict=True):
        share, activity = shares[line].to_numpy(), units[:, int(own["unit"])]
        slope, start = np.polyfit(share, activity, 1)
        ax.plot([0, 1], [start, start + slope], color="black", linewidth=1)
        ax.scatter(share + spread, activity, s=14, alpha=0.6, color="#0072b2", linewidths=0)
        ax.set(xlabel=f"known share of {line} RNA", ylabel=f"activity of unit {int(own['unit'])}", xlim=(-0.05, 1.05))
        ax.set_title(f"{line}: r = {own['r']:.3f}")
    PICTURE.parent.mkdir(exist_ok=True)
    fig.savefig(PICTURE, dpi=90)
    plt.close(fig)


def run(*, short: bool) -> str:
    """All methods on both."""
    real = not short and "MODULAE_DATA" in os.environ  # nothing is written of simulated cells
    wells, cells = data(real=real)
    seeds = SEEDS if real else SEEDS[:1]
    shares, lines = shares_of(wells), cells.obs["cell_line"].astype(str)
    rows, every_gene, below = [], [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of methods that stop before they converge
        mark_variable(wells)
        for name, (units, turn) in methods(len(LINES), short=not real).items():
            every = [units(wells, seed) for seed in seeds]
            rows.append(of_mixtures(name, every, shares, turn=turn))
            if real and name == DRAWN:
                draw(every[0], shares)
            print(rows[-1], flush=True)
        mark_variable(wells, None)
        for name, (units, turn) in methods(len(LINES), short=not real).items():
            if name not in {PAPER, CNMF, DRVI}:
                every_gene.append(of_mixtures(name, [units(wells, seed) for seed in seeds], shares, turn=turn))
                print(every_gene[-1], flush=True)
        mark_variable(cells)
        for name, (units, _) in methods(lines.nunique(), short=not real).items():
            if name not in {CNMF, DRVI}:
                below.append(of_cells(name, [units(cells, seed) for seed in seeds], lines))
                print(below[-1], flush=True)
    return page(wells, cells, rows, every_gene, below, n_seeds=len(seeds), short=not real)


def page(
    wells: AnnData,
    cells: AnnData,
    rows: list[dict[str, object]],
    every_gene: list[dict[str, object]],
    below: list[dict[str, object]],
    *,
    n_seeds: int,
    short: bool,
) -> str:
    """The tables with their words."""
    shares = shares_of(wells)
    best = score(shares.to_numpy(), shares)["gap"].mean()
    peers = WITH if "MODULAE_PEERS" in os.environ else WITHOUT
    words = WORDS.format(n=n_seeds, n_genes=N_GENES, best=best, peers=peers)
    more = [(EVERY_GENE.format(n_genes=wells.n_vars), every_gene), (CELLS.format(n=cells.n_obs), below)]
    return table.write("mixtures", "Physical truth: RNA in known mixtures", words, rows, short=short, more=more)
