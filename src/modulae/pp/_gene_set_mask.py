"""Which genes to train on: those of some gene set, counted often enough."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.counts_elsewhere import pointing_at_counts, say_no_counts
from modulae._adata.features import gene_features
from modulae._adata.gene_names import gene_names
from modulae._adata.lost_markers import warn_of_lost_markers
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_MASK
from modulae._adata.stored.write_model import model_name
from modulae._counts.blocks import checked_blocks
from modulae._genes.explain_names import explain_mismatch
from modulae._genes.gene_sets import found_sets, genes_in_data, read_gene_sets
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed, verb
from modulae.core.checks import check_number
from modulae.core.data.count_summary import are_integers

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

INSTEAD = "Train on all genes, and use gene sets to explain the programmes: leave out mask_var=."
"""What to do about groups that lose their markers."""

POOR = 0.25
"""Share of a set's genes below which the set stands for something else than its name says."""


@public
def gene_set_mask(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | os.PathLike[str],
    *,
    layer: str | None = None,
    min_max_count: float = 1,
    key_added: str = DEFAULT_MASK,
    copy: bool = False,
) -> AnnData | None:
    """Mark the genes that are in some gene set and counted often enough.

    Kinalis et al. (2019) [1]_ train on these genes alone: every gene of the model can then be read in a pathway. A
    warning names the sets that are lost and those that keep less than a quarter of their genes, and says why where the
    reason is a known one (mouse against human symbols, Ensembl ids against symbols). Another names groups of
    `adata.obs` that lose genes which mark them: Hallmark has no GNLY, NKG7, MS4A1 or LYZ. To find programmes, train on
    all genes.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {layer}
    min_max_count
        Least count that a gene must reach in some cell. 1 keeps every gene that was seen at all; 3 is what the paper's
        authors take in their scripts ("some count above 2"). Of 3605 genes of Hallmark and DMAP seen in 2638 PBMC, 3
        keeps 1817, half of them: rare transcription factors and receptors go first.
    key_added
        Name of the column.
    {copy}

    Returns
    -------
    {returns}

    `adata.var[key_added]` : `bool`
        Whether to train on the gene: `mo.tl.autoencoder(adata, mask_var="in_gene_sets")`.

    Raises
    ------
    KeyError
        No such layer.
    ValueError
        No gene of any set is in the data, or none is counted often enough; gene names that are not unique; values that
        no count can have.

    See Also
    --------
    modulae.tl.autoencoder : Train on these genes.
    modulae.pp.variable_genes : Genes that vary, whether they are in a set or not.
    modulae.read_gene_sets : Read gene sets.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.pp.gene_set_mask(adata, {"T cells": ["CD3D", "CD3E", "CD3G"], "B cells": ["CD79A", "CD79B"]})
    >>> sorted(adata.var_names[adata.var["in_gene_sets"]])
    ['CD3D', 'CD3E', 'CD3G', 'CD79A', 'CD79B']
    """
    model_name(key_added)
    give = "a number, such as 1 (every gene that was seen) or 3"
    check_number("min_max_count", min_max_count, give=give)
    sets = read_gene_sets(gene_sets)
    names = gene_names(adata).tolist()
    genes = gene_features(adata)
    found_sets(sets, np.array(names)[genes])
    mask = np.isin(names, [gene for every in sets.values() for gene in every]) & genes
    largest = _max_counts(adata, layer=layer)
    if not (mask & (largest >= min_max_count)).any():
        msg = (
            f"no gene of the gene sets reaches a count of {min_max_count} in any cell; the largest is "
            f"{largest[mask].max():g}. Lower min_max_count, or name the layer that holds the raw counts: layer=."
        )
        raise ValueError(msg)
    mask &= largest >= min_max_count

    poor = _describe_poor_sets(sets, names, mask)
    if poor:
        warnings.warn(poor, UserWarning, stacklevel=user_stacklevel())
    warn_of_lost_markers(adata, mask, layer=layer, advice=INSTEAD)
    adata = changeable(adata, copy=copy)
    adata.var[key_added] = mask
    return adata if copy else None


def _describe_poor_sets(sets: Mapping[str, Sequence[str]], names: Sequence[str], mask: NDArray[np.bool_]) -> str:
    """Say which sets have few genes left, or nothing where all are well."""
    left = {name: int(mask[genes].sum()) for name, genes in genes_in_data(sets, names).items()}
    lost = [name for name, n in left.items() if n == 0]
    poor = [f"{name} ({n} of {len(sets[name])})" for name, n in left.items() if 0 < n < POOR * len(sets[name])]
    reason = explain_mismatch(sets, names)
    if not lost and not poor:
        return reason
    n_genes = len({gene for genes in sets.values() for gene in genes})
    n_left, keep = int(mask.sum()), counted(len(poor), "set keeps", "sets keep")
    parts = [
        f"{n_left} of the {n_genes} genes of the gene sets {verb(n_left)} left.",
        f"{len(lost)} of {len(sets)} sets {verb(len(lost))} lost, without any gene: {listed(lost, 10)}."
        if lost
        else "",
        f"{keep} less than {POOR:.0%} of their genes: {listed(poor, 10)}." if poor else "",
        reason or "Leave these sets out, lower min_max_count, or start from data with all genes.",
    ]
    return " ".join(part for part in parts if part)


def _max_counts(adata: AnnData, *, layer: str | None) -> NDArray[np.float64]:
    """Largest count of each gene over all cells, with the same checks as :func:`modulae._adata.counts.read_counts`."""
    gene_names(adata)
    largest, all_integers = np.zeros(adata.n_vars), True
    with pointing_at_counts(adata, layer):
        for block in checked_blocks(adata, layer):
            all_integers = all_integers and are_integers(block.data)
            largest = np.maximum(largest, np.asarray(block.max(axis=0).toarray(), dtype=np.float64).ravel())
    if not all_integers:
        say_no_counts(adata, layer)
    return largest
