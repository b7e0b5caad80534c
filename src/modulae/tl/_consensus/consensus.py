"""A model of the units that come back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import batch_names
from modulae._adata.counts import open_counts
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_CONSENSUS
from modulae._adata.stored.write_model import new_model_name, store_model
from modulae._counts.stored_counts import read_bytes
from modulae.core.array_backend import pick_device
from modulae.core.checks import check_integer, check_number
from modulae.core.inference.encode import encode
from modulae.core.inference.training_summary import summarise
from modulae.core.model.config import config_for
from modulae.core.model.fitted import Fitted
from modulae.tl._autoencoder.data import model_genes, training_cells
from modulae.tl._autoencoder.run import run_training

from .runs import run_all

if TYPE_CHECKING:
    from anndata import AnnData

    from modulae.core.data.source import Source
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.training.consensus import Agreed, ConsensusRun


@public
def consensus(
    adata: AnnData,
    *,
    n_runs: int = 10,
    share_of_cells: float = 0.8,
    min_similarity: float = 0.55,
    min_share: float = 0.8,
    layer: str | None = None,
    mask_var: str | None = None,
    n_latent: int | None = None,
    size_factors: str = "total",
    batch_key: str | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_epochs: int | None = None,
    patience: int | None = None,
    test_fraction: float = 0.1,
    seed: int = 0,
    n_jobs: int | None = None,
    device: str = "auto",
    progress: bool | None = None,
    memory_limit: str | int = "4GB",
    key_added: str = DEFAULT_CONSENSUS,
    copy: bool = False,
) -> AnnData | None:
    """Train many times on parts of the cells, and make one model of the units that come back.

    Every run trains `architecture="parts"` from another seed on another random share of the cells. Units of all runs
    are grouped by similarity: the cosine of their loadings or the correlation of their activities over all cells,
    whichever is smaller (average linkage, as consensus NMF [1]_ does with loadings alone). A group with units of enough
    runs becomes a unit of the consensus, its loadings their median; from these a last model is trained on all cells.

    The result is a model like any other: give its name as `key` to what follows. The orthogonal architecture has no
    consensus, as its units do not come back. See :doc:`/guide/modules`.

    Parameters
    ----------
    {adata}
    n_runs
        How often to train; 2 or more.
    share_of_cells
        Share of the cells of each run.
    min_similarity
        Mean similarity within a group, 0 to 1. Too high, and one unit is split into several groups, none of which has
        units of enough runs; too low, and different units become one.
    min_share
        In which share of the runs a unit has to be found. Higher: fewer units, which come back more often.
    {layer}
    {mask_var}
    n_latent, batch_size, learning_rate, max_epochs, patience
        Of each run, and (except for `n_latent`) of the last one, see :func:`modulae.tl.autoencoder`.
    size_factors
        `"total"`, or an `obs` column.
    {batch_key}
    {test_fraction}
    {seed}
    {n_jobs}
    {device}
    {progress}
    {memory_limit}
    key_added
        Name of the model.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the fields of :func:`modulae.tl.autoencoder` under `key_added`, the
    units in the order of their effect, and in `adata.uns[key_added]["consensus"]`:

    `"share"` : `float32`, units
        In which share of the runs the unit was found.
    `"returns"` : `float32`, units × runs
        Absolute correlation of its activity with that of its match in each run, over all cells.
    `"effect"` : `float64`, units
        Rise of the Poisson loss without it, in counts per cell and gene, on 4000 random cells where there are more.

    and the settings.

    Raises
    ------
    ValueError
        Counts, genes or settings the training can't use, or no unit that comes back; nothing has been written then.
    KeyError
        An unknown layer, mask or column of size factors.

    See Also
    --------
    modulae.get.consensus : How often each unit came back.
    modulae.pl.consensus : The same as a picture.
    modulae.metrics.unit_stability : Compare the units of two models.

    References
    ----------
    .. [1] Kotliar D et al. (2019). Identifying gene expression programs of cell-type identity and cellular activity
       with single-cell RNA-Seq. *eLife* 8:e43803.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.consensus(adata, n_runs=2, n_latent=8, max_epochs=2)
    >>> mo.get.consensus(adata).columns.tolist()
    ['effect', 'share', 'stability', 'lowest', 'back']
    """
    from modulae.core.training.consensus import agree

    new_model_name(adata, key_added)
    _check(n_runs, share_of_cells, min_similarity, min_share)
    config = config_for(
        "parts",
        schedule="cosine",
        size_factors=size_factors,
        batch_key=batch_key,
        n_latent=n_latent,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_epochs=max_epochs,
        patience=patience,
        test_fraction=test_fraction,
        seed=seed,
    ).for_cells(adata.n_obs)
    limit = read_bytes(memory_limit)
    genes = model_genes(adata, mask_var)
    counts = open_counts(adata, genes=genes, layer=layer, limit=limit)
    cells, test, unit = training_cells(adata, counts, config)
    device = pick_device(device)
    runs = run_all(
        cells, config, n_runs=n_runs, share_of_cells=share_of_cells, n_jobs=n_jobs, device=device, progress=progress
    )
    agreed = agree(runs, min_similarity=min_similarity, min_share=min_share)
    if len(agreed.share) == 0:
        msg = (
            f"no unit was found in {min_share:.0%} of the {n_runs} runs. Lower min_share or min_similarity, or "
            "train on more cells."
        )
        raise ValueError(msg)
    last = replace(config, n_latent=len(agreed.share))
    run = run_training(cells, test, last, device=device, loadings=agreed.loadings, progress=progress)
    network, order, result = _in_order(run.network, cells, agreed, runs, device=device, seed=seed)
    units = result.pop("units")[:, order]
    summary = summarise(network, cells, units, test, counts.others(genes))
    fitted = Fitted(network, genes, last, run.history, unit, test, summary, batch_names(adata, batch_key))

    adata = changeable(adata, copy=copy)
    asked = {"n_runs": n_runs, "share_of_cells": share_of_cells, "n_latent": config.n_latent}
    asked |= {"min_similarity": min_similarity, "min_share": min_share}
    store_model(adata, fitted, units, key=key_added, layer=layer, also={"consensus": {**result, **asked}})
    return adata if copy else None


def _in_order(
    network: Any,  # noqa: ANN401
    cells: Source,
    agreed: Agreed,
    runs: list[ConsensusRun],
    *,
    device: str,
    seed: int,
) -> Any:  # noqa: ANN401
    """The network with its units in the order of their effect, that order, and what is known of each unit."""
    from modulae.core.inference.unit_importance import EFFECT_CELLS, unit_effects
    from modulae.core.training.consensus import run_correlation

    parts: PartsNetwork = network
    units = encode(parts, cells, device=device)
    effects = unit_effects(parts, cells, units, n_cells=EFFECT_CELLS, seed=seed, device=device)
    order = np.argsort(-effects, kind="stable")
    ordered = replace(
        parts,
        encoder=parts.encoder[order],
        bias=parts.bias[order],
        loadings=np.ascontiguousarray(parts.loadings[order]),
    )
    result = {
        "units": units,
        "share": agreed.share[order].astype(np.float32),
        "returns": run_correlation(units[:, order], runs).astype(np.float32),
        "effect": effects[order],
    }
    return ordered, order, result


def _check(n_runs: Any, share_of_cells: Any, min_similarity: Any, min_share: Any) -> None:  # noqa: ANN401
    check_integer("n_runs", n_runs, minimum=2)
    for name, value in (
        ("share_of_cells", share_of_cells),
        ("min_similarity", min_similarity),
        ("min_share", min_share),
    ):
        check_number(name, value, above=0, maximum=1, give="a number above 0, up to 1")
