"""Counts with planted programmes, where the right answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae.core.checks import check_choice, check_seed

from ._planted import MIN_HARD, MIN_TOGETHER, Planted, in_types, of_groups

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

Difficulty = Literal["easy", "hard", "together", "rare"]
Rates = Literal["log-additive", "additive"]

PLAIN_SIZES: dict[str, Any] = {
    "n_cells": 1000,
    "n_genes": 600,
    "n_programmes": 8,
    "genes_per_programme": 30,
    "n_groups": 4,
    "mean_counts": 2000.0,
}
SERIOUS: dict[str, Any] = {
    "n_cells": 2000,
    "n_genes": 2000,
    "n_programmes": 10,
    "genes_per_programme": (20, 60),
    "n_groups": 5,
    "mean_counts": 1700.0,
}
TOGETHER: dict[str, Any] = SERIOUS | {"n_programmes": 14, "n_groups": 6}


@by_name
@fill_docs
def simulated(
    *,
    difficulty: Difficulty | None = None,
    rates: Rates | None = None,
    n_cells: int | None = None,
    n_genes: int | None = None,
    n_programmes: int | None = None,
    genes_per_programme: int | tuple[int, int] | None = None,
    n_groups: int | None = None,
    mean_counts: float | None = None,
    seed: int = 0,
) -> AnnData:
    """Draw Poisson counts from programmes that are known.

    Without a difficulty, programmes share no gene; most belong to one group and run in all of its cells, and every
    fourth runs in half of the cells of every group. The difficulties are tests for methods that look for programmes:
    groups are cell types with an identity programme each, and programmes overlap a little. `"easy"`: each programme
    runs in a quarter of the cells, by itself. `"hard"`: it depends on the cell type, and some programmes run together.
    `"together"`: as easy, but pairs of programmes run together in 60 % of their cells, and rates add up. `"rare"`: as
    easy, but half of the programmes run in 0.5 % to 2 % of the cells. :doc:`/method/method` has the formulas.

    Parameters
    ----------
    difficulty
        `None`, `"easy"`, `"hard"`, `"together"` or `"rare"`.
    rates
        `"log-additive"`: programmes multiply in a gene. `"additive"`: they add up. `None`: additive for `"together"`,
        log-additive for all others.
    n_cells
        Cells; 1000 if `None`, and 2000 with a difficulty.
    n_genes
        Genes; 600, and 2000 with a difficulty.
    n_programmes
        Planted programmes, not counting identities; 8, and 10 with a difficulty. `"hard"` needs 6.
    genes_per_programme
        Genes of each, or the fewest and the most: 30, and (20, 60) with a difficulty.
    n_groups
        Groups of cells; 4, and 5 with a difficulty.
    mean_counts
        Mean total count of a cell; 2000, and 1700 with a difficulty, which gives a median of about 1500.
    {seed}

    Returns
    -------
    Cells × genes, and the truth about them. All of it survives `write_h5ad` and `write_zarr`.

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Raw counts.
    `.obs['group']` : `category`
        Group, or cell type, of the cell.
    `.obs['truth_depth']` : `float64`
        Depth of the cell.
    `.var['truth_baseline']` : `float64`
        Log rate of the gene where nothing runs.
    `.var['truth_housekeeping']` : `bool`
        With a difficulty: highly expressed, and in no programme.
    `.obsm['truth_activity']` : :class:`numpy.ndarray` (`float32`, cells × programmes)
        How active each programme is in each cell, ≥ 0; with a difficulty, the last `n_groups` are the identities.
    `.varm['truth_loadings']` : :class:`numpy.ndarray` (`float32`, genes × programmes)
        How strongly each gene follows each programme, 0 outside its genes.
    `.uns['gene_sets']` : `dict`
        Programme → names of its genes, ready for :func:`modulae.read_gene_sets`.
    `.uns['truth']` : `dict`
        - `"programmes"`, `"groups"` (`object`): names.
        - `"running"` (`float64`, groups × programmes): the expected share of the group's cells in which the programme
          runs.
        - `"rates"`, and with a difficulty `"difficulty"`: the settings.
        - `"identity"` (`bool`, programmes), with a difficulty: whether it is that of a cell type.
        - `"rare"` (`bool`, programmes), with a difficulty: whether few cells have it.
        - `"co_active"`, with a difficulty: names of the pairs, one in each row.
        - `"and"`, with a difficulty: one row with the names of two programmes and of the one that runs where both do.

    Raises
    ------
    ValueError
        An unknown difficulty or kind of rates, sizes that are not positive, programmes with more genes than there are,
        or too few programmes for `"hard"` or `"together"`.

    See Also
    --------
    modulae.metrics.programme_recovery : Compare the genes of units with the truth.
    modulae.metrics.disentanglement : Compare the activities with the truth.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_programmes=8)
    >>> adata.shape
    (200, 600)
    >>> adata.obsm["truth_activity"].shape
    (200, 8)
    """
    given = {
        "n_cells": n_cells,
        "n_genes": n_genes,
        "n_programmes": n_programmes,
        "genes_per_programme": genes_per_programme,
        "n_groups": n_groups,
        "mean_counts": mean_counts,
    }
    usual = PLAIN_SIZES if difficulty is None else TOGETHER if difficulty == "together" else SERIOUS
    sizes = usual | {k: v for k, v in given.items() if v is not None}
    if rates is None:
        rates = "additive" if difficulty == "together" else "log-additive"
    _check(sizes, difficulty, rates)
    members = sizes.pop("genes_per_programme")
    sizes["n_members"] = tuple(members) if isinstance(members, tuple | list) else (members, members)
    mean = sizes.pop("mean_counts")
    check_seed(seed)
    rng = np.random.default_rng(seed)
    planted = of_groups(**sizes, rng=rng) if difficulty is None else in_types(difficulty=difficulty, **sizes, rng=rng)
    if rates == "additive":
        expected = np.exp(planted.baseline) * (1 + planted.activity @ np.expm1(planted.loadings).T)
    else:
        expected = np.exp(planted.baseline + planted.activity @ planted.loadings.T)  # cells × genes
    depth = planted.depth * (mean / (planted.depth @ expected.sum(axis=1) / sizes["n_cells"]))
    counts = rng.poisson(depth[:, None] * expected)
    return _as_anndata(counts, planted, depth, {"rates": rates, **({"difficulty": difficulty} if difficulty else {})})


def _as_anndata(
    counts: NDArray[np.int64], planted: Planted, depth: NDArray[np.float64], how: dict[str, str]
) -> AnnData:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    n_groups, n_programmes = planted.running.shape
    n_identities = n_groups if "difficulty" in how else 0
    cells, genes, groups = (
        _names(*word) for word in (("cell", len(depth)), ("gene", counts.shape[1]), ("group", n_groups))
    )
    programmes = np.concatenate([_names("programme", n_programmes - n_identities), groups[:n_identities]])
    truth = {"programmes": programmes, "groups": groups, "running": planted.running, **how}
    var = pd.DataFrame({"truth_baseline": planted.baseline}, index=genes)
    if planted.housekeeping is not None:
        var["truth_housekeeping"] = planted.housekeeping
        truth["identity"] = np.arange(n_programmes) >= n_programmes - n_identities
        truth["rare"] = np.isin(np.arange(n_programmes), planted.rare)
        truth["co_active"] = programmes[np.array(planted.pairs, dtype=np.intp).reshape(-1, 2)]
        truth["and"] = programmes[np.array(planted.both, dtype=np.intp).reshape(-1, 3)]
    group = pd.Categorical(groups[planted.group], categories=groups)
    return AnnData(
        sparse.csr_matrix(counts.astype(np.float32)),
        obs=pd.DataFrame({"group": group, "truth_depth": depth}, index=cells),
        var=var,
        obsm={"truth_activity": planted.activity.astype(np.float32)},
        varm={"truth_loadings": planted.loadings.astype(np.float32)},
        uns={
            "gene_sets": {name: genes[planted.loadings[:, p] > 0] for p, name in enumerate(programmes)},
            "truth": truth,
        },
    )


def _check(sizes: dict[str, Any], difficulty: str | None, rates: str) -> None:
    """Refuse what can't be drawn."""
    check_choice("difficulty", difficulty, Difficulty, none="for the plain data")
    check_choice("rates", rates, Rates)
    for name, size in sizes.items():
        if not all(part > 0 for part in (size if isinstance(size, tuple | list) else (size,))):
            msg = f"{name} is {size}; give a number above 0."
            raise ValueError(msg)
    fewest, most = np.broadcast_to(sizes["genes_per_programme"], 2)
    if difficulty is None and fewest != most:
        msg = (
            "genes_per_programme is a range, which only data with a difficulty have. Give one number, or a difficulty."
        )
        raise ValueError(msg)
    if fewest > most:
        msg = f"genes_per_programme is {sizes['genes_per_programme']}; give the fewest first, then the most."
        raise ValueError(msg)
    n_programmes, n_genes = sizes["n_programmes"], sizes["n_genes"]
    needed = int(n_programmes * most)
    if difficulty is None and needed > n_genes:
        msg = (
            f"{n_programmes} programmes of {most} genes need {needed} genes, and n_genes is {n_genes}. "
            "Raise n_genes, or take fewer programmes or smaller ones."
        )
        raise ValueError(msg)
    if difficulty is not None and 2 * most > n_genes:
        msg = (
            f"a programme of {most} genes needs twice as many to choose from, and n_genes is {n_genes}. Raise n_genes."
        )
        raise ValueError(msg)
    fewest_by = {
        "hard": (MIN_HARD, "three for an AND and two for a pair"),
        "together": (MIN_TOGETHER, "two for a pair and two on their own"),
    }
    least, why = fewest_by.get(difficulty or "", (1, ""))
    if n_programmes < least:
        msg = f"n_programmes is {n_programmes}; the {difficulty} data need {least}, {why}. Raise n_programmes."
        raise ValueError(msg)


def _names(word: str, n: int) -> NDArray[np.object_]:
    """Return word_0, word_1, … with as many digits as all of them to be in order need."""
    return np.array([f"{word}_{i:0{len(str(n - 1))}d}" for i in range(n)], dtype=object)
