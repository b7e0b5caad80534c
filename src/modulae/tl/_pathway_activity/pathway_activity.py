"""Cells × sets: how strongly every cell expresses every gene set."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, Bounds, match_sets
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.ownership import ROW_STAMPS, rows_stamp
from modulae._adata.stored.write_model import result_name
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.checks import check_choice, check_integer, check_number, check_seed
from modulae.core.scores.expression_bins import expression_bins, expression_of
from modulae.core.scores.set_scores import score_sets

from .cell_rates import Whose, cell_rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from modulae.core.model.fitted import Fitted


@public
def pathway_activity(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path,
    *,
    key: str = DEFAULT_KEY,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    source: Whose = "neighbors",
    n_neighbors: int = 30,
    model_cells: float = 3.0,
    n_random: int = 100,
    layer: str | None = None,
    batch_size: int = 512,
    device: str = "auto",
    seed: int = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Score every gene set in every cell, also where counts are thin.

    The counts of a single cell say little about a set whose genes are rarely seen. So each cell borrows from the cells
    that share its neighbours in the representation, and from the rates that the model decodes. The score is the mean
    Pearson residual of the set's genes minus that of all genes of the same expression, over the cells of `adata`.

    Scores of neighbouring cells are not independent, so there is no p-value: to compare groups use
    :func:`modulae.tl.pathway_impact`. :doc:`/method/method` has the formulas, :doc:`/benchmarks/activity` the
    measurements.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    {min_genes}
    {min_share}
    source
        `"neighbors"`: counts of similar cells, and the decoded rates. `"decoded"`: the decoded rates alone; then
        unrelated sets agree most. `"counts"`: the cell's own counts alone.
    n_neighbors
        Cells to borrow from, the cell itself included, each weighted by the squared share of neighbours in common; 1:
        no borrowing. Only for `"neighbors"`.
    model_cells
        How many cells the decoded rates count for; 0 leaves them out. Only for `"neighbors"`.
    n_random
        Random sets of genes of the same expression, against which the percentile of each score is taken.
    {model_layer}
    {batch_size_inference}
    {device}
    {seed}
    {key_added=pathways}
    {copy}

    Returns
    -------
    {returns}

    `adata.obsm[f'{key}_pathways']` : :class:`numpy.ndarray` (`float32`, cells × sets)
        The scores: above 0 where the set is expressed more than genes like its own.
    `adata.obsm[f'{key}_pathways_percentile']` : :class:`numpy.ndarray` (`float32`, cells × sets)
        Percentage of the random sets with a lower score in the same cell.
    `adata.uns[f'{key}_pathways']` : `dict`
        {set_entries}
        - `of_model`, `min_genes`, `min_share`, `source`, `n_neighbors`, `model_cells`, `n_random`, `seed`.

    Raises
    ------
    KeyError
        No such model or layer, or the model's genes are missing.
    ValueError
        Too little of every set is there, or a number is out of range.

    Warns
    -----
    {sets_left_out}
        The model predicts held-out cells no better than gene means do: then there is nothing to borrow, and the cells'
        own counts are scored.

    See Also
    --------
    modulae.get.pathway_activity : The result as a table.
    modulae.pl.pathway_activity : The result as a picture.
    modulae.tl.pathway_impact : Compare groups, with p-values.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_activity(adata, mo.datasets.immune_signatures())
    >>> adata.obsm["ae_pathways"].shape
    (700, 20)
    """
    name = result_name(adata, key_added, Fields(key).pathways, "pathway_activity")
    _check(source, n_neighbors, model_cells, n_random)
    check_seed(seed)
    fitted = read_model(adata, key)
    result = match_sets(adata, gene_sets, fitted.genes, Bounds(min_genes, min_share))
    layer = counts_layer(adata, key, layer)
    cells = read_cells(adata, fitted, layer=layer)
    rates = cell_rates(
        fitted,
        cells,
        source=_usable(source, fitted),
        model_cells=model_cells,
        n_neighbors=n_neighbors,
        batch_size=batch_size,
        device=device,
        seed=seed,
    )
    bins = expression_bins(*expression_of(cells))
    scores, percentiles = score_sets(
        rates, len(cells), result.positions, bins, n_random=n_random, rng=np.random.default_rng(seed)
    )

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        **result.stored(),
        "source": rates.source,
        "n_neighbors": n_neighbors,
        "model_cells": model_cells,
        "n_random": n_random,
        "seed": seed,
        ROW_STAMPS: rows_stamp(scores),
    }
    adata.obsm[name] = scores
    adata.obsm[Fields.percentile(name)] = percentiles
    return adata if copy else None


def _usable(source: Whose, fitted: Fitted) -> Whose:
    """What the model is good for."""
    if source == "counts" or fitted.history.gain > 0:
        return source
    warnings.warn(
        "the model predicts held-out cells no better than the mean of each gene does, so there is nothing to borrow: "
        "the cells' own counts are scored (source='counts'). Train longer, or on more cells.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )
    return "counts"


def _check(source: str, n_neighbors: Any, model_cells: Any, n_random: Any) -> None:  # noqa: ANN401
    check_choice("source", source, Whose)
    for name, value in (("n_neighbors", n_neighbors), ("n_random", n_random)):
        check_integer(name, value, minimum=1)
    give = "0 or more, or source='decoded' for the decoded rates alone"
    check_number("model_cells", model_cells, minimum=0, give=give)
