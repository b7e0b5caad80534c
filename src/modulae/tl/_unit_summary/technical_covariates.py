"""What varies between cells besides their kind: depth, mitochondria, ribosomes, cell cycle, dissociation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.counts import open_counts, read_counts
from modulae._adata.features import gene_features
from modulae._adata.gene_names import gene_names
from modulae._counts.layers import matrix_of
from modulae._counts.stored_counts import is_stored
from modulae._genes.marker_genes import DISSOCIATION, G2M_PHASE, MITOCHONDRIAL, RIBOSOMAL, S_PHASE
from modulae.core.data.cells import Cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts

MIN_GENES_OF_LIST = 5
"""Genes of a list that must be there for a share or a score."""

MAX_CELLS = 20_000
"""Cells that stand for all where there are more: enough for a correlation to two digits."""

MIN_GENES_IN_ALL = 250
"""Genes that must be there for a score: it is held against genes of like expression, ten to a bin."""


def technical_covariates(
    adata: AnnData, *, layer: str | None, seed: int
) -> tuple[NDArray[np.intp] | slice, pd.DataFrame]:
    """Which cells, and their :func:`cell_states`: random ones where there are more than :data:`MAX_CELLS`."""
    genes = gene_features(adata)
    names = None if genes.all() else gene_names(adata)[genes]
    if adata.n_obs <= MAX_CELLS:
        return slice(None), cell_states(adata[:, genes], read_counts(adata, genes=names, layer=layer), seed=seed)
    seen = np.sort(np.random.default_rng([seed, 7]).permutation(adata.n_obs)[:MAX_CELLS])
    if is_stored(matrix_of(adata, layer)):
        counts = open_counts(adata, genes=names, layer=layer).some(seen)
    else:
        counts = read_counts(adata[seen], genes=names, layer=layer)
    return seen, cell_states(adata[seen, genes], counts, seed=seed)


def cell_states(adata: AnnData, counts: Counts, *, seed: int) -> pd.DataFrame:
    """Cells × `library_size`, `mitochondrial`, `ribosomal`, `s_phase`, `g2m_phase`, `dissociation`.

    Parameters
    ----------
    adata
        Names of the genes and cells.
    counts
        Counts of all its genes.
    seed
        Seed of the genes that scores are held against.

    Returns
    -------
    Total count, shares of it, and scores as :func:`scanpy.tl.score_genes` gives them; NaN where too few genes are
    there.
    """
    genes = np.char.upper(gene_names(adata))
    totals = counts.totals
    table = pd.DataFrame({"library_size": totals}, index=adata.obs_names)
    for name, start in (("mitochondrial", MITOCHONDRIAL), ("ribosomal", RIBOSOMAL)):
        chosen = np.array([start.match(gene) is not None for gene in genes])
        counted = np.asarray(counts.matrix @ chosen.astype(np.float64))
        share = np.divide(counted, totals, out=np.zeros_like(totals), where=totals > 0)
        table[name] = share if chosen.sum() >= MIN_GENES_OF_LIST else np.nan
    lists = {"s_phase": S_PHASE, "g2m_phase": G2M_PHASE, "dissociation": DISSOCIATION}
    score = _scorer(counts, seed)
    for name, wanted in lists.items():
        present = np.isin(genes, wanted)
        enough = present.sum() >= MIN_GENES_OF_LIST and len(genes) >= MIN_GENES_IN_ALL
        table[name] = score(present) if enough else np.nan
    return table


def _scorer(counts: Counts, seed: int) -> Callable[[NDArray[np.bool_]], NDArray[np.float64]]:
    """Scores by scanpy on log-normalised counts that nothing else holds on to."""
    from anndata import AnnData

    middle = np.median(counts.totals[counts.totals > 0]) if counts.totals.any() else 1.0
    logged = Cells(counts.matrix, (counts.totals / middle).astype(np.float32)).sparse_inputs()
    lean = AnnData(logged, var=pd.DataFrame(index=[str(gene) for gene in range(logged.shape[1])]))
    lean.obs_names = lean.obs_names.astype(str)

    def score(present: NDArray[np.bool_]) -> NDArray[np.float64]:
        import scanpy as sc

        before = np.random.get_state()  # noqa: NPY002 (score_genes seeds the generator that everybody shares)
        try:
            sc.tl.score_genes(lean, list(lean.var_names[present]), score_name="score", random_state=seed)
        finally:
            np.random.set_state(before)  # noqa: NPY002
        return np.asarray(lean.obs["score"], dtype=np.float64)

    return score
