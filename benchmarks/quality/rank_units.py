"""Whether `tl.rank_units` calls what is not there, what it finds, and how long it takes."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import stats

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

UNITS = 20
METHODS = ("donors", "exact", "t-test of donor means", "mixed model", "cells")
RIBOSOMES = (
    "Kang, the ribosomal genes: does their unit fall because they do? Log2 of their share of the counts of all "
    "stimulated cells over that of the control cells, in each type; once of all counts, and once of the counts without "
    "the first genes of the interferon units, which take up a share themselves (± standard error, cells drawn again). "
    "Beside it the difference of the unit; and the same where it is read without these genes."
)
HEADS = {
    "donors": "`rank_units`, donors",
    "exact": "its `p_exact`",
    "t-test of donor means": "t-test of donor means",
    "mixed model": "mixed model",
    "cells": "cells (Mann–Whitney)",
}


def as_model(units: NDArray[np.float32], obs: pd.DataFrame) -> ad.AnnData:
    """Cells with these activities, and nothing else."""
    adata = ad.AnnData(np.zeros((len(units), 1), np.float32), obs=obs)
    adata.obsm["X_ae"] = units
    adata.uns["ae"] = {"params": {}, "history": {}, "model": {}}
    return adata


def simulated(
    rng: np.random.Generator, *, n: int, paired: bool, shift: float, cells: tuple[int, int], spread: float, noise: float
) -> ad.AnnData:
    """Skewed activities of cells of donors that differ; `noise`: how much more half of the donors' cells vary."""
    donors = n if paired else 2 * n
    between = spread * np.exp(rng.normal(0, 0.7, UNITS))  # variance over donors, of each unit its own
    own = rng.normal(0, np.sqrt(between), (donors, UNITS))
    rows, labels = [], []
    for donor in range(donors):
        scale = np.sqrt(noise) if rng.random() < 0.5 else 1.0
        for side in (0, 1) if paired else (int(donor < n),):
            many = int(np.exp(rng.uniform(*np.log(cells))))
            reaction = rng.normal(0, np.sqrt(between / 2)) if paired else 0.0
            values = scale * (rng.gamma(0.4, 1, (many, UNITS)) - 0.4) / np.sqrt(0.4)
            rows.append(values + own[donor] + reaction + shift * side)
            labels += [(f"d{donor}", ("control", "treated")[side])] * many
    obs = pd.DataFrame(labels, columns=["donor", "condition"], index=[str(at) for at in range(len(labels))])
    return as_model(np.concatenate(rows).astype(np.float32), obs)


def rank(adata: ad.AnnData, **settings: Any) -> pd.DataFrame:  # noqa: ANN401
    """The table, the units in their order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.tl.rank_units(adata, "condition", groups=["treated"], reference="control", **settings)
    return mo.get.rank_units(adata).sort_values("unit", key=lambda unit: unit.astype(int))


def donor_means(adata: ad.AnnData) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Donors × units of the treated and of the control."""
    means = pd.DataFrame(adata.obsm["X_ae"], index=adata.obs_names).groupby(
        [adata.obs["condition"].astype(str), adata.obs["donor"].astype(str)], observed=True
    )
    both = means.mean()
    return both.loc["treated"], both.loc["control"]


def t_test(adata: ad.AnnData) -> NDArray[np.float64]:
    """Of donor means, in pairs where all donors have both."""
    treated, control = donor_means(adata)
    paired = set(treated.index) == set(control.index)
    test = stats.ttest_rel if paired else stats.ttest_ind
    return np.asarray(test(treated, control.loc[treated.index] if paired else control).pvalue)


def mixed(adata: ad.AnnData) -> NDArray[np.float64]:
    """The model activity ~ condition + (1 | donor), over cells."""
    import statsmodels.formula.api as smf

    result = []
    frame = pd.DataFrame({"treated": (adata.obs["condition"] == "treated").to_numpy(float)})
    for unit in np.asarray(adata.obsm["X_ae"], dtype=np.float64).T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit = smf.mixedlm("y ~ treated", frame.assign(y=unit), groups=adata.obs["donor"].to_numpy()).fit()
                result.append(float(fit.pvalues["treated"]))
            except np.linalg.LinAlgError:
                result.append(np.nan)
    return np.array(result)


def p_of(adata: ad.AnnData, *, with_mixed: bool) -> dict[str, NDArray[np.float64]]:
    """P of every method and unit."""
    found = rank(adata, donor_key="donor")
    result = {"donors": found["p"], "exact": found["p_exact"], "cells": found["p_cells"]}
    result["t-test of donor means"] = t_test(adata)
    if with_mixed:
        result["mixed model"] = mixed(adata)
    return {name: np.asarray(p, dtype=np.float64) for name, p in result.items()}


def shares(name: str, many: Iterator[ad.AnnData], *, n_mixed: int) -> dict[str, object]:
    """How often each method has p < 0.05, and `rank_units` p < 0.001."""
    collected: dict[str, list[NDArray[np.float64]]] = {}
    for at, adata in enumerate(many):
        for method, p in p_of(adata, with_mixed=at < n_mixed).items():
            collected.setdefault(method, []).append(p[np.isfinite(p)])
    rates = {method: (np.concatenate(p) < 0.05).mean() for method, p in collected.items()}
    print(name, rates, flush=True)
    ours = np.concatenate(collected["donors"])
    each = {HEADS[m]: f"{rates[m]:.3f}" if m in rates else "" for m in METHODS}
    return {"": name, **each, "donors, p < 0.001": f"{(ours < 0.001).mean():.4f}", "tests": len(ours)}


DESIGNS = {
    "3 against 3 donors": {"n": 3, "paired": False},
    "5 against 5 donors": {"n": 5, "paired": False},
    "5 pairs": {"n": 5, "paired": True},
    "8 pairs": {"n": 8, "paired": True},
}
EVEN: dict[str, Any] = {"cells": (60, 61), "spread": 0.1, "noise": 1.0}
CASES: dict[str, dict[str, Any]] = {
    "donor effects, 60 cells each": {},
    "no donor effects": {"spread": 1e-6},
    "strong donor effects": {"spread": 0.5},
    "15 to 150 cells": {"cells": (15, 150)},
    "15 to 150 cells, half of the donors twice as noisy": {"cells": (15, 150), "noise": 4.0},
}


def simulations(*, shift: float, n: int, n_mixed: int) -> list[dict[str, object]]:
    """Rows of every case and design."""
    rows = []
    for case, change in CASES.items():
        for design, given in DESIGNS.items():
            rng = np.random.default_rng(len(rows))
            how = {**EVEN, **change, **given, "shift": shift}
            rows.append(shares(f"{design}, {case}", (simulated(rng, **how) for _ in range(n)), n_mixed=n_mixed))
    return rows


def patients(*, short: bool) -> ad.AnnData | None:
    """Five patients with glioblastoma, each with vehicle and panobinostat."""
    if "MODULAE_DATA" not in os.environ:
        return None
    adata = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "glioblastoma_patients_300genes.h5ad")
    adata.var_names = adata.var["symbol"].astype(str)
    adata.var_names_make_unique()
    adata.obs["donor"] = adata.obs["patient_id"].astype(str)
    adata.obs["condition"] = np.where(adata.obs["condition"].astype(str) == "panobinostat", "treated", "control")
    mo.tl.autoencoder(adata, progress=False, **({"n_splits": 0, "max_epochs": 2} if short else {}))
    return adata


def thinned(adata: ad.AnnData, cells: NDArray[np.bool_], share: float, seed: int) -> NDArray[np.float32]:
    """The units as the model reads them where these cells have a share of their counts."""
    counts = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X)
    drawn = np.random.default_rng(seed).binomial(counts.astype(int), share)
    less = ad.AnnData(np.where(cells[:, None], drawn, counts).astype(np.float32), obs=adata.obs, var=adata.var[[]])
    keep = np.asarray(less.X).sum(axis=1) > 0
    less = less[keep].copy()
    mo.tl.transfer(less, adata, key_added="ae")
    result = np.full(adata.obsm["X_ae"].shape, np.nan, np.float32)
    result[keep] = less.obsm["X_ae"]
    return np.nan_to_num(result)


def nulls_of_patients(adata: ad.AnnData, *, short: bool) -> list[dict[str, object]]:
    """Real units without a real difference: cells of the vehicle only."""
    control = adata[adata.obs["condition"] == "control"]
    units, donors = np.asarray(control.obsm["X_ae"]), control.obs["donor"].to_numpy(dtype=str)
    names, n = np.unique(donors), 2 if short else 40

    def dealt(share: float) -> Iterator[ad.AnnData]:
        for seed in range(n):
            treated = np.random.default_rng(seed).random(len(units)) < share
            yield labelled(units, donors, treated)

    def split(values: Callable[[int], NDArray[np.float32]]) -> Iterator[ad.AnnData]:
        for at, first in enumerate(names):
            for second in names[at + 1 :][: 1 if short else None]:
                yield labelled(values(at), donors, np.isin(donors, [first, second]))

    def deep(seed: int) -> NDArray[np.float32]:
        which = np.random.default_rng(seed).choice(names, len(names) // 2, replace=False)
        return thinned(control, np.isin(donors, which), 0.3, seed)

    once = 0 if short else 2
    return [
        shares("patients: cells dealt out to two sides at random", dealt(0.5), n_mixed=once),
        shares("patients: the same, 10 to 1", dealt(1 / 11), n_mixed=once),
        shares("patients: 2 against 3, no treatment", split(lambda _: units), n_mixed=once),
        shares("patients: the same, two of them at 30 % of the counts", split(deep), n_mixed=once),
    ]


def labelled(units: NDArray[np.float32], donors: NDArray[np.str_], treated: NDArray[np.bool_]) -> ad.AnnData:
    """These units with other sides."""
    sides = np.where(treated, "treated", "control")
    index = [str(at) for at in range(len(units))]
    return as_model(units, pd.DataFrame({"donor": donors, "condition": sides}, index=index))


def first_genes(adata: ad.AnnData) -> dict[str, list[str]]:
    """The ten first genes of each unit, of those below the level of reproducibility too."""
    return {unit: list(mo.get.top_genes(adata, unit=unit, n=10)["gene"]) for unit in mo.get.loadings(adata).columns}


def found_in_patients(adata: ad.AnnData) -> tuple[list[dict[str, object]], str]:
    """What five of five patients share, beside the pseudobulk of the first genes."""
    counts = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X, dtype=np.float64)
    logs = pd.DataFrame(np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4), columns=adata.var_names)
    means = logs.groupby([adata.obs["condition"].to_numpy(), adata.obs["donor"].to_numpy()]).mean()
    change, first = means.loc["treated"] - means.loc["control"], first_genes(adata)  # patients × genes
    called = rank(adata, donor_key="donor").sort_values("p")
    rows: list[dict[str, object]] = []
    for _, row in called[(called["q"] <= 0.05) & (called["n_donors_agreeing"] == called["n_donors"])].iterrows():
        genes = first[row["unit"]]
        own = change[genes].mean(axis=1)
        rows.append(
            {
                "unit": f"{row['unit']}: {', '.join(genes[:4])}",
                "effect, SD (95 %)": f"{row['effect']:+.2f} ({row['ci_low']:+.2f} to {row['ci_high']:+.2f})",
                "patients": f"{row['n_donors_agreeing']:.0f} of {row['n_donors']}",
                "one left out": f"{row['effect_lowest']:+.2f} to {row['effect_highest']:+.2f}",
                "p_exact": f"{row['p_exact']:.3f}",
                "q": f"{row['q']:.2g}",
                "ten genes, pseudobulk: log difference (p)": f"{own.mean():+.2f} "
                f"({stats.ttest_1samp(own, 0).pvalue:.2g})",
            }
        )
    t = stats.false_discovery_control(t_test(adata))
    pseudobulk = [change[first[unit]].to_numpy().mean() for unit in called["unit"]]
    r = stats.spearmanr(called["effect"], pseudobulk).statistic
    words = (
        f"{len(rows)} of {len(called)} units; a paired t-test of donor means has q ≤ 0.05 for {(t <= 0.05).sum()}. "
        f"Over all units, the effect and the pseudobulk difference of the ten first genes correlate by {r:.2f} (ranks)."
    )
    return rows or [{"unit": "none"}], words


def gene_support(
    adata: ad.AnnData, called: pd.DataFrame, within: str, first: dict[str, list[str]], lead: list[str]
) -> NDArray[np.bool_]:
    """Rows of the table: whether a unit's ten first genes moved its way in these cells, as log counts, p < 0.01.

    Counts are those of cells brought to the same depth, without the genes `lead`, which would make all others seem to
    fall. Genes are tested together: the mean of their z-scores.
    """
    counts = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X, dtype=np.float64)
    logs = np.log1p(counts / counts[:, ~adata.var_names.isin(lead)].sum(axis=1, keepdims=True) * 1e4)
    logs = (logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 1e-9)
    treated, result = (adata.obs["condition"] == "treated").to_numpy(), []
    for _, row in called.iterrows():
        genes = adata.var_names.get_indexer(first[row["unit"]])
        score, kind = logs[:, genes].mean(axis=1), (adata.obs[within] == row["within"]).to_numpy()
        test = stats.ttest_ind(score[kind & treated], score[kind & ~treated], equal_var=False)
        result.append(test.pvalue < 0.01 and np.sign(test.statistic) == np.sign(row["effect"]))
    return np.array(result, dtype=bool)


def reach_in_kang(
    adata: ad.AnnData, called: pd.DataFrame, within: str
) -> tuple[list[dict[str, object]], str, list[dict[str, object]]]:
    """Leading units of each cell type, what other units differ in several types, and what ribosomal genes do."""
    sets = mo.read_gene_sets(Path(os.environ["MODULAE_DATA"]) / "hallmark_human_v2025.gmt")
    first, interferon = first_genes(adata), set(sets["HALLMARK_INTERFERON_ALPHA_RESPONSE"])
    response = {unit: len(interferon & set(genes)) for unit, genes in first.items()}
    genes = {unit: ", ".join(names[:4]) for unit, names in first.items()}
    rows: list[dict[str, object]] = []
    for kind, units in called.groupby("within"):
        lead = units.sort_values("auc", key=lambda auc: -(auc - 0.5).abs()).iloc[0]
        largest = units.loc[units["effect"].abs().idxmax()]
        rows.append(
            {
                "cell type": kind,
                "cells": f"{lead['n_cells']}, {lead['n_cells_reference']}",
                "leading unit, by AUC": f"{lead['unit']}: {genes[lead['unit']]}",
                "interferon genes in its first ten": response[lead["unit"]],
                "effect, SD": f"{lead['effect']:+.2f}",
                "AUC": f"{lead['auc']:.3f}",
                "q": f"{lead['q']:.1g}",
                "largest effect": f"{largest['unit']} ({largest['effect']:+.2f}, {response[largest['unit']]} of ten)",
            }
        )
    lead = leading_genes(adata, response)
    large = called[(called["effect"].abs() > 0.5) & (called["unit"].map(response) < 2)].copy()
    large = large[large.groupby("unit")["within"].transform("size") > 2]
    large["supported"] = gene_support(adata, large, within, first, lead)
    without = rank(adata, within=within, min_cells=30, target_genes={"treated": lead})
    still = without[(without["effect"].abs() > 0.5) & (without["unit"].map(response) < 2)]["unit"].value_counts()
    several = [
        f"{unit} ({genes[unit]}): {part['effect'].min():+.1f} to {part['effect'].max():+.1f} SD in {len(part)} types, "
        f"with its genes in {int(part['supported'].sum())}"
        for unit, part in large.groupby("unit")
    ]
    words = (
        "Kang: stimulated against control cells within each type with 30 cells on each side. Other units (fewer than "
        "two interferon genes in their first ten) that differ by more than 0.5 SD in more than two types, and in "
        "how many of these the unit's ten first genes themselves moved its way (p < 0.01): "
        f"{'; '.join(several) or 'none'}. Where units are read without the {len(lead)} first genes of the interferon "
        f"units (`target_genes=`), {int((still > 2).sum())} do."
    )
    return rows, words, ribosomes(adata, called=called, without=without, within=within, lead=lead, first=first)


def leading_genes(adata: ad.AnnData, response: dict[str, int]) -> list[str]:
    """The fifty first genes of each unit with four interferon genes or more in its first ten."""
    units = [unit for unit, n in response.items() if n >= 4]
    return sorted({gene for unit in units for gene in mo.get.top_genes(adata, unit=unit, n=50)["gene"]})


def ribosomes(
    adata: ad.AnnData,
    *,
    called: pd.DataFrame,
    without: pd.DataFrame,
    within: str,
    lead: list[str],
    first: dict[str, list[str]],
) -> list[dict[str, object]]:
    """What the ribosomal genes do in each type, and the unit of which most first genes are ribosomal."""
    counts = np.asarray(adata.X.toarray() if hasattr(adata.X, "toarray") else adata.X, dtype=np.float64)
    own = np.asarray(adata.var_names.str.match(r"RP[LS]\d"))
    unit = max(first, key=lambda one: sum(gene.startswith(("RPL", "RPS")) for gene in first[one]))
    treated, rng, rows = (adata.obs["condition"] == "treated").to_numpy(), np.random.default_rng(0), []
    effects = [table[table["unit"] == unit].set_index("within")["effect"] for table in (called, without)]
    for kind in sorted(effects[0].index):
        there = (adata.obs[within] == kind).to_numpy()
        sides = [counts[there & treated], counts[there & ~treated]]

        def change(genes: NDArray[np.bool_], drawn: list[NDArray[np.float64]]) -> float:
            shares = [side[:, own].sum() / side[:, genes].sum() for side in drawn]
            return float(np.log2(shares[0] / shares[1]))

        again = [
            change(~adata.var_names.isin(lead), [side[rng.integers(0, len(side), len(side))] for side in sides])
            for _ in range(200)
        ]
        rows.append(
            {
                "cell type": kind,
                "ribosomal genes, of all counts": f"{change(np.ones(len(own), dtype=bool), sides):+.2f}",
                "of counts without the interferon genes": f"{change(~adata.var_names.isin(lead), sides):+.2f} "
                f"± {np.std(again):.2f}",
                f"unit {unit}, SD": f"{effects[0][kind]:+.2f}",
                "read without the interferon genes": f"{effects[1][kind]:+.2f}",
            }
        )
    return rows


def kang(*, short: bool) -> list[tuple[str, list[dict[str, object]]]]:
    """The leading units of each cell type, ribosomal genes, and false positives with labels permuted inside of them."""
    adata = ad.read_h5ad(Path(os.environ["MODULAE_DATA"]) / "kang_ifnb_sub2000.h5ad")
    adata.obs["condition"] = np.where(adata.obs["stim"] == "STIM", "treated", "control")
    mo.tl.autoencoder(adata, progress=False, **({"n_splits": 0, "max_epochs": 2} if short else {}))
    within = "seurat_annotations"
    rows, words, ribosomal = reach_in_kang(adata, rank(adata, within=within, min_cells=30), within)
    rng, labels, p, few = np.random.default_rng(0), adata.obs["condition"].to_numpy(copy=True), [], []
    for _ in range(2 if short else 40):
        for kind in adata.obs[within].unique():
            cells = np.flatnonzero(adata.obs[within] == kind)
            labels[cells] = rng.permutation(labels[cells])
        adata.obs["condition"] = labels
        now = rank(adata, within=within)
        p.append(now["p"])
        few.append(now.loc[now[["n_cells", "n_cells_reference"]].min(axis=1) < 30, "p"])
    lines = [
        {"labels of cells permuted within": name, "p < 0.05": f"{(found < 0.05).mean():.3f}", "tests": len(found)}
        for name, found in (
            ("all cell types with 10 cells on each side", np.concatenate(p)),
            ("those of them with 10 to 29", np.concatenate(few)),
        )
    ]
    return [(words, rows), (RIBOSOMES, ribosomal), ("Kang, labels permuted.", lines)]


def timed(name: str, adata: ad.AnnData, groupby: str, **settings: Any) -> dict[str, object]:  # noqa: ANN401
    """Seconds that pass, and of processors."""
    start = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mo.tl.rank_units(adata, groupby, **settings)
    passed, used = time.perf_counter() - start[0], time.process_time() - start[1]
    return {"what": name, "seconds": f"{passed:.1f}", "seconds of a processor": f"{used:.1f}"}


def speed(*, short: bool) -> list[dict[str, object]]:
    """Seconds, on random numbers."""
    rng, rows = np.random.default_rng(0), []
    n = 20_000 if short else 1_000_000
    units = rng.gamma(0.5, 1, (n, 50)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "condition": rng.choice(["treated", "control"], n),
            "kind": pd.Categorical(rng.integers(0, 20, n).astype(str)),
            "donor": rng.integers(0, 12, n).astype(str),
            "guide": pd.Categorical(rng.integers(0, 1000 * n // 1_000_000 + 2, n).astype(str)),
        },
        index=[str(at) for at in range(n)],
    )
    adata, part = as_model(units, obs), slice(0, n // 10)
    few = as_model(units[part], obs.iloc[part].copy())
    cases: tuple[tuple[str, ad.AnnData, dict[str, Any]], ...] = (
        (f"{n:,} cells, 50 units, 20 cell types, over cells", adata, {"within": "kind"}),
        ("the same, over 12 donors", adata, {"within": "kind", "donor_key": "donor"}),
    )
    for name, cells, settings in cases:
        rows.append(timed(name, cells, "condition", groups=["treated"], reference="control", **settings))
    name = f"{len(few):,} cells, 50 units, {few.obs['guide'].nunique()} guides"
    rows.append(timed(name, few, "guide", reference="0"))
    return rows


def run(*, short: bool) -> str:
    """All tables."""
    n, n_mixed = (2, 0) if short else (60, 4)
    rows = simulations(shift=0.0, n=n, n_mixed=n_mixed)
    power = simulations(shift=0.6, n=n // 2, n_mixed=n_mixed)
    more = [("Power: every unit is higher by 0.6 SD in the treated.", power)]
    adata = patients(short=short)
    if adata is not None:
        rows += nulls_of_patients(adata, short=short)
        found, words = found_in_patients(adata)
        more.append((f"Five patients, panobinostat against vehicle, in pairs: {words}", found))
        more += kang(short=short)
    more.append(("Time, on two cores that had other work to do as well.", speed(short=short)))
    words = (
        "The share of p below 0.05 where there is nothing to find; it should be 0.05. Donors are simulated (20 units, "
        "each with another variance over donors; activities of cells are skewed), or are patients of whom only "
        "untreated cells are used. Tests over cells, and mixed models with one intercept a donor where donors react "
        "each in their way, take what is special about a few people for the condition. The exact p of few donors "
        "cannot fall below 0.05: with five pairs the smallest is 2/32."
    )
    return table.write(
        "rank_units", "Units that differ, over donors and over cells", words, rows, short=short, more=more
    )
