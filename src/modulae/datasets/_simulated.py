"""Counts with planted programmes, where the right answer is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._docs import shared

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

SHARED_PART = 4
"""One programme in this many runs in cells of every group, as the cell cycle does."""


@shared
def simulated(
    *,
    n_cells: int = 1000,
    n_genes: int = 600,
    n_programmes: int = 8,
    genes_per_programme: int = 30,
    n_groups: int = 4,
    mean_counts: float = 2000.0,
    seed: int = 0,
) -> AnnData:
    """Draw Poisson counts from log-additive programmes that are known.

    The rate of gene g in cell c is depth_c · exp(baseline_g + Σ_p activity_cp · loading_gp). Every programme has genes
    of its own, scattered over the gene list, each with a loading between 0.5 and 1.5. Most programmes belong to one
    group and run in all of its cells; every fourth runs in half of the cells of every group. Activities are gamma
    distributed around 1 where a programme runs, and 0 elsewhere; depths are log-normal.

    Parameters
    ----------
    n_cells
        Cells, dealt evenly to the groups.
    n_genes
        Genes, of which `n_programmes * genes_per_programme` are in a programme.
    n_programmes
        Planted programmes.
    genes_per_programme
        Genes of each.
    n_groups
        Groups of cells.
    mean_counts
        Mean total count of a cell.
    {seed}

    Returns
    -------
    Cells × genes, and the truth about them. All of it survives `write_h5ad` and `write_zarr`:

    `.X` : :class:`scipy.sparse.csr_matrix` (`float32`)
        Raw counts.
    `.obs['group']` : `category`
        Group of the cell.
    `.obs['truth_depth']`, `.var['truth_baseline']` : `float64`
        Depth of the cell, and log rate of the gene where nothing runs.
    `.obsm['truth_activity']` : :class:`numpy.ndarray` (`float32`, cells × programmes)
        How active each programme is in each cell, ≥ 0.
    `.varm['truth_loadings']` : :class:`numpy.ndarray` (`float32`, genes × programmes)
        How strongly each gene follows each programme, 0 outside its genes.
    `.uns['gene_sets']` : `dict`
        Programme → names of its genes, ready for :func:`modulae.read_gene_sets`.
    `.uns['truth']` : `dict`
        `"programmes"` and `"groups"`: names; `"running"` (groups × programmes, `float64`): the share of the group's
        cells in which the programme runs.

    Raises
    ------
    ValueError
        Sizes that are not positive, or programmes with more genes than there are.
    """
    sizes = {"n_cells": n_cells, "n_genes": n_genes, "n_programmes": n_programmes, "n_groups": n_groups}
    _check({**sizes, "genes_per_programme": genes_per_programme, "mean_counts": mean_counts})
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(n_cells) % n_groups)
    running = _running(n_groups, n_programmes)
    runs = rng.random((n_cells, n_programmes)) < running[group]  # cells × programmes
    activity = np.where(runs, rng.gamma(4.0, 0.25, size=runs.shape), 0.0)
    loadings = _loadings(n_genes, n_programmes, genes_per_programme, rng)
    baseline = rng.normal(0.0, 1.0, size=n_genes)
    rates = np.exp(baseline + activity @ loadings.T)  # cells × genes
    depth = rng.lognormal(0.0, 0.3, size=n_cells)
    depth *= mean_counts / (depth @ rates.sum(axis=1) / n_cells)

    cells, genes, programmes, groups = (_names(word, n) for word, n in zip(_WORDS, sizes.values(), strict=True))
    return AnnData(
        sparse.csr_matrix(rng.poisson(depth[:, None] * rates).astype(np.float32)),
        obs=pd.DataFrame(
            {"group": pd.Categorical(groups[group], categories=groups), "truth_depth": depth}, index=cells
        ),
        var=pd.DataFrame({"truth_baseline": baseline}, index=genes),
        obsm={"truth_activity": activity.astype(np.float32)},
        varm={"truth_loadings": loadings.astype(np.float32)},
        uns={
            "gene_sets": {name: genes[loadings[:, p] > 0] for p, name in enumerate(programmes)},
            "truth": {"programmes": programmes, "groups": groups, "running": running},
        },
    )


_WORDS = ("cell", "gene", "programme", "group")


def _check(sizes: dict[str, float]) -> None:
    for name, size in sizes.items():
        if not size > 0:
            msg = f"{name} is {size}; give a number above 0."
            raise ValueError(msg)
    needed = int(sizes["n_programmes"] * sizes["genes_per_programme"])
    if needed > sizes["n_genes"]:
        msg = (
            f"{sizes['n_programmes']} programmes of {sizes['genes_per_programme']} genes need {needed} genes, and "
            f"n_genes is {sizes['n_genes']}. Raise n_genes, or take fewer programmes or smaller ones."
        )
        raise ValueError(msg)


def _running(n_groups: int, n_programmes: int) -> NDArray[np.float64]:
    """Share of each group's cells in which each programme runs, as groups × programmes."""
    n_own = n_programmes - n_programmes // SHARED_PART
    running = np.zeros((n_groups, n_programmes))
    running[np.arange(n_own) % n_groups, np.arange(n_own)] = 1.0
    running[:, n_own:] = 0.5
    return running


def _loadings(
    n_genes: int, n_programmes: int, genes_per_programme: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the loadings, genes × programmes; no gene is in two programmes."""
    loadings = np.zeros((n_genes, n_programmes))
    members = rng.permutation(n_genes)[: n_programmes * genes_per_programme].reshape(n_programmes, -1)
    for p, genes in enumerate(members):
        loadings[genes, p] = rng.uniform(0.5, 1.5, size=genes_per_programme)
    return loadings


def _names(word: str, n: int) -> NDArray[np.object_]:
    """Return word_0, word_1, … with as many digits as all of them to be in order need."""
    return np.array([f"{word}_{i:0{len(str(n - 1))}d}" for i in range(n)], dtype=object)
