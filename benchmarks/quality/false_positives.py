"""How often a comparison calls what is not there, and whether it still calls what is: interferon in Kang's cells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from anndata import AnnData

P = ("p", "p_cells", "p_matched")
INTERFERON = ["HALLMARK_INTERFERON_ALPHA_RESPONSE", "HALLMARK_INTERFERON_GAMMA_RESPONSE"]
ENOUGH_CELLS = 30
GENES_A_SET = 40


def data(*, short: bool) -> tuple[AnnData, dict[str, list[str]], list[tuple[str, str]]]:
    """Cells with a model and the labels `both`, gene sets, and which two labels of a cell type are compared."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata = mo.datasets.pbmc68k()
        sets = mo.datasets.immune_signatures()
        rng = np.random.default_rng(0)
        kinds, sides = adata.obs["bulk_labels"].astype(str), rng.choice(["one", "two"], adata.n_obs)
    else:
        folder = Path(os.environ["MODULAE_DATA"])
        adata = ad.read_h5ad(folder / "kang_ifnb_sub2000.h5ad")
        sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
        kinds, sides = adata.obs["seurat_annotations"].astype(str), adata.obs["stim"].astype(str)
    mo.pp.gene_set_mask(adata, sets)
    given: dict[str, Any] = {"architecture": "orthogonal", **({"max_epochs": 5} if short else {})}
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", progress=False, **given)
    adata.obs["both"] = [f"{kind} {side}" for kind, side in zip(kinds, sides, strict=True)]
    counts = adata.obs["both"].value_counts()
    first, second = sorted(set(sides), reverse=True)
    pairs = [(f"{kind} {first}", f"{kind} {second}") for kind in sorted(set(kinds))]
    return adata, sets, [pair for pair in pairs if min(counts.get(name, 0) for name in pair) >= ENOUGH_CELLS]


def compare(adata: AnnData, sets: dict[str, Any], pair: tuple[str, str], **settings: Any) -> Any:  # noqa: ANN401
    """Table of one comparison."""
    group, reference = pair
    mo.tl.pathway_impact(
        adata, sets, groupby="compared", groups=[group], reference=reference, key_added="comparison", **settings
    )
    return mo.get.impact_table(adata, result="comparison")


def permuted(adata: AnnData, sets: dict[str, Any], pair: tuple[str, str], n: int, **settings: Any) -> Any:  # noqa: ANN401
    """P of all sets with the labels of the two groups permuted, `n` times."""
    rng = np.random.default_rng(0)
    labels = adata.obs["both"].to_numpy(dtype=object, copy=True)
    these = np.flatnonzero(np.isin(labels, pair))
    found = []
    for _ in range(n):
        labels[these] = rng.permutation(labels[these])
        adata.obs["compared"] = labels
        found.append(compare(adata, sets, pair, **settings)[list(P)].to_numpy())
    return np.concatenate(found)


def random_sets(adata: AnnData, pair: tuple[str, str], pool: Any, n: int, **settings: Any) -> Any:  # noqa: ANN401
    """P of random sets from `pool`."""
    rng = np.random.default_rng(0)
    adata.obs["compared"] = adata.obs["both"].to_numpy()
    sets = {str(at): rng.choice(pool, min(GENES_A_SET, len(pool) // 2), replace=False) for at in range(n)}
    return compare(adata, sets, pair, **settings)[list(P)].to_numpy()


DESIGNS = {
    "3 against 3 donors": (3, False),
    "5 against 5 donors": (5, False),
    "4 pairs": (4, True),
    "6 pairs": (6, True),
}


def among_donors(adata: AnnData, sides: Any, n_donors: int, *, paired: bool, seed: int) -> AnnData:  # noqa: ANN401
    """The cells dealt out to donors, of whom each has an expression of its own: other shares of the counts of a gene.

    `sides` says which cells are on the first side; `None`: sides are dealt out as well.
    """
    rng, cells = np.random.default_rng(seed), adata.copy()
    first = rng.random(cells.n_obs) < 0.5 if sides is None else sides
    donors = rng.integers(n_donors, size=cells.n_obs) + (0 if paired else n_donors * first)
    kept = rng.beta(4, 4, (2 * n_donors, cells.n_vars))
    if paired:  # a donor's two sides are alike, but not quite
        kept = np.tile(kept[:n_donors], (2, 1)) * rng.beta(12, 4, kept.shape)
    counts = cells.X.tocoo()
    of = donors + n_donors * first if paired else donors
    counts.data = rng.binomial(counts.data.astype(int), kept[of[counts.row], counts.col]).astype(np.float32)
    cells.X = counts.tocsr()
    cells.X.eliminate_zeros()
    cells.obs["compared"], cells.obs["donor"] = np.where(first, "first", "second"), [f"d{one}" for one in donors]
    read = cells[:, adata.var_names].copy()
    mo.tl.transfer(read, adata, key_added="ae")
    return read


def over_donors(adata: AnnData, sets: dict[str, Any], *, short: bool) -> list[dict[str, object]]:
    """Rates where donors differ and sides do not, in control cells; and interferon with as many donors."""
    rng, genes = np.random.default_rng(0), adata.var_names[adata.var["ae_gene"]]
    random = {str(at): rng.choice(genes, GENES_A_SET, replace=False) for at in range(10 if short else 100)}
    side = (adata.obs["stim"] == "STIM").to_numpy()
    control, n = adata[~side].copy(), 1 if short else 40
    settings: dict[str, Any] = {"donor_key": "donor", "n_permutations": 20 if short else 300}
    rows: list[dict[str, object]] = []
    for name, (n_donors, paired) in DESIGNS.items():
        p: dict[str, list[Any]] = {"p": [], "p_donors": [], "p_exact": [], "p_matched": []}
        for seed in range(n):
            cells = among_donors(control, None, n_donors, paired=paired, seed=seed)
            found = compare(cells, sets | random, ("first", "second"), **settings)
            for which, values in p.items():
                values.append((found[which] < 0.05).mean())
        cells = among_donors(adata, side, n_donors, paired=paired, seed=0)
        found = compare(cells, sets, ("first", "second"), donor_key="donor").set_index("set").loc[INTERFERON]
        rates = {
            which: f"{np.mean(values):.3f} ± {np.std(values) / np.sqrt(max(n - 1, 1)):.3f}"
            for which, values in p.items()
        }
        q = f"{found['q'].max():.2g}; {found['p_donors'].max():.1g}, {found['p_exact'].max():.2g}"
        rows.append({"donors": name, **rates, "sets of donors": n, "interferon: q; p_donors, p_exact": q})
        print(rows[-1], flush=True)
    return rows


def run(*, short: bool) -> str:
    """Both kinds of difference."""
    adata, sets, pairs = data(short=short)
    genes = adata.var_names[adata.var["ae_gene"]]
    means = np.asarray(adata[:, genes].X.mean(axis=0)).ravel()
    high = genes[np.argsort(-means)[: len(genes) // 5]]
    n_permuted, n_random, shown = (2, 20, pairs[:1]) if short else (40, 600, pairs)
    rows = []
    for difference in ("activity", "saliency"):
        settings = {"explanation": {"difference": difference}, "n_permutations": 50 if short else 300}
        situations: dict[str, list[Any]] = {}
        called = 0
        for pair in shown:
            situations.setdefault("labels permuted", []).append(permuted(adata, sets, pair, n_permuted, **settings))
            for name, pool in (("random sets", genes), ("random sets, highly expressed genes", high)):
                situations.setdefault(name, []).append(random_sets(adata, pair, pool, n_random, **settings))
            if set(INTERFERON) <= set(sets):
                adata.obs["compared"] = adata.obs["both"].to_numpy()
                found = (
                    compare(adata, sets, pair, explanation={"difference": difference}).set_index("set").loc[INTERFERON]
                )
                called += bool(((found["q"] < 0.05) & (found["effect"] > 0)).all())
            print(difference, pair, flush=True)
        for name, found in situations.items():
            rates = [(each < 0.05).mean(axis=0) for each in found]
            rows.append(
                {
                    "difference": difference,
                    "nothing to find": name,
                    **{which: f"{np.mean(rates, axis=0)[at]:.3f}" for at, which in enumerate(P)},
                    "p, cell types": f"{np.min(rates, axis=0)[0]:.3f}–{np.max(rates, axis=0)[0]:.3f}",
                }
            )
        if set(INTERFERON) <= set(sets):
            words = f"(interferon called in {called} of {len(shown)} cell types)"
            rows.append(dict.fromkeys(rows[0], "") | {"difference": difference, "nothing to find": words})
    words = (
        "Stimulated against control cells within each cell type of Kang's data that has 30 cells on each side, 50 "
        "Hallmark sets or random sets of 40 genes, one model: the share of p below 0.05 where there is nothing to "
        "find, a mean over the cell types and its range. `p` is what is reported, the larger of `p_cells` "
        "(permuted labels) and `p_matched` (genes of the same expression). The last row of each: in how many cell "
        "types both interferon sets have q below 0.05 and a positive sign."
    )
    more = []
    if set(INTERFERON) <= set(sets):
        of_donors = (
            "Over donors (`donor_key`): Kang's control cells are dealt out to donors who each keep other shares of the "
            "counts of every gene, and nothing differs between the sides; Hallmark and random sets. Rates are means "
            "over sets of donors, with their standard error: gene sets share their units, so that one set of donors "
            "has many false positives or none. Last, stimulated against control cells of such donors: the larger q of "
            "the two interferon sets among 50, and their p over donors, by the t-test and by permuted donors."
        )
        more.append((of_donors, over_donors(adata, sets, short=short)))
    title = "False positives of the comparison of groups"
    return table.write("false_positives", title, words, rows, short=short, more=more)
