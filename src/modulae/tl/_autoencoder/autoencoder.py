"""Train a Poisson autoencoder and encode every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import batch_names
from modulae._adata.counts import open_counts
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.write_model import new_model_name, store_model
from modulae._counts.memory_limit import read_bytes
from modulae._model_io.checkpoint import check_every, open_checkpoint
from modulae.core.inference.training_summary import summarise
from modulae.core.model.config import Architecture, EngineName, LossScale, OutputBias, Schedule, config_for
from modulae.core.model.fitted import Fitted
from modulae.core.processes.ranks import current_ranks
from modulae.core.training.distributed import resolve_settings

from .asked import asked_replication
from .data import model_genes, training_cells, warn_of_data
from .given import given_loadings
from .learnt import cells_to_learn, settings_for
from .replicate import find_units, in_order
from .run import encode_all, run_training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData


@public
def autoencoder(
    adata: AnnData,
    *,
    layer: str | None = None,
    mask_var: str | None = None,
    n_latent: int | Literal["auto"] = "auto",
    n_splits: int | None = None,
    replicate_over: str | None = None,
    max_cells: int = 10_000,
    loadings: pd.DataFrame | str | Path | None = None,
    refine_loadings: bool = True,
    orthogonality: float | None = None,
    architecture: Architecture = "parts",
    size_factors: str | None = "total",
    batch_key: str | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    schedule: Schedule = "cosine",
    max_epochs: int | None = None,
    patience: int | None = None,
    test_fraction: float = 0.1,
    test_every: int = 1,
    snapshot_epochs: Sequence[int] = (),
    n_hidden: int | None = None,
    momentum: float | None = None,
    activation_beta: float | Literal["width"] | None = None,
    loss_scale: LossScale | None = None,
    output_bias: OutputBias | None = None,
    orthogonality_gradient: bool | None = None,
    seed: int = 0,
    engine: EngineName = "auto",
    device: str = "auto",
    progress: bool | None = None,
    memory_limit: str | int = "4GB",
    checkpoint: str | Path | None = None,
    checkpoint_every: int | str = 1,
    key_added: str = DEFAULT_KEY,
    copy: bool = False,
) -> AnnData | None:
    """Find the programmes of the cells, train a Poisson autoencoder of them on raw counts, and encode every cell.

    The cells are split at random into two halves, `n_splits` times. Each half looks for programmes on its own; those
    that both halves find in most of the splits become the units of one model (:doc:`/guide/modules`). It has one layer
    in each direction, and a unit can raise genes but not lower them. `architecture="orthogonal"` is the network of
    Kinalis et al. 2019 [1]_: genes → 128 → 64 units → 128 → genes, with SoftPlus after every layer and a penalty on
    weights that are not orthogonal. `**mo.presets.KINALIS_2019` gives the paper's settings as well.

    Training stops when the loss of the held-out cells has not improved for `patience` epochs, or at Ctrl-C; the best
    weights are kept. Under `torch.distributed` all processes train one model (:doc:`/guide/scale`).
    :doc:`/method/method` has the formulas, :doc:`/guide/settings` the effect of each setting.

    Parameters
    ----------
    {adata}
    {layer}
    {mask_var}
    {replication}
    {given_loadings}
    orthogonality
        λ, the weight of the orthogonality penalty; 0 if `None`, orthogonal: 0.05.
    architecture
        `"parts"`, or `"orthogonal"`, that of the paper. With parts, settings that are for orthogonal only are refused.
    size_factors
        `"total"`: a cell's total count over all genes of the layer, divided by the median over the training cells. The
        name of a numeric `obs` column: that column, divided by its median. `None`: no size factors, as in the paper;
        orthogonal only.
    {batch_key}
    batch_size
        Cells per step, in all processes together. `None`: 128, or fewer where there are few cells; orthogonal: 16. The
        paper takes 1.
    learning_rate
        Step size in the first epoch; 0.03 (Adam), relative to the size of the weights, if `None`; orthogonal: 0.2
        (Nesterov's accelerated gradient).
    schedule
        `"cosine"`: the step size falls to 0 over `max_epochs` on a half cosine; `"constant"`.
    max_epochs
        Passes over the training cells at most. `None`: as many as make 300 steps, at least 2; in the first two fifths
        of them only the decoder learns. Orthogonal: 80, with the constant schedule 200.
    patience
        Epochs without a better held-out loss before training stops; 10 if `None`, orthogonal: 20.
    {test_fraction}
    test_every
        Epochs between two looks at the held-out loss (the authors' scripts: 10).
    snapshot_epochs
        Epochs after which the representation is kept as well (0: before training), to be drawn beside the final one.
    {orthogonal_only}
    {seed}
    engine
        What computes the training steps: `"numba"`, compiled loops on a CPU (compiled once, in about five seconds), or
        `"torch"`. Both take the same steps up to rounding. `"auto"`: numba on a CPU, torch on other devices and where
        there are several processes.
    {device}
    {progress}
    {memory_limit}
    checkpoint
        Folder where the training is kept while it goes on, made if it is not there. A call with the same cells and
        settings goes on from there, also in the search for units, to the same result (on one CPU, to the last bit).
    checkpoint_every
        Epochs between two writes, or a time, such as `"10min"`.
    key_added
        Name of the model; the names of its results begin with it.
    {copy}

    Returns
    -------
    {returns}

    `adata.obsm[f'X_{key_added}']` : :class:`numpy.ndarray` (`float32`, cells × units)
        The representation, ≥ 0.
    `adata.obsm[f'X_{key_added}_epoch{n}']` : :class:`numpy.ndarray` (`float32`, cells × units)
        The same after `n` epochs, for every entry of `snapshot_epochs` that was reached.
    `adata.uns[key_added]["params"]` : `dict`
        The settings.
    `adata.uns[key_added]["history"]` : `dict`
        The losses of every epoch, `best_epoch` and `stopped`; see :func:`modulae.get.history`.
    `adata.uns[key_added]["model"]` : `dict`
        Weights and gene names.
    {replication_entry}
    `adata.uns[key_added]["layer"]` : `str`, where a layer was named
        The layer the model was trained on.
    `adata.uns[key_added]["rows"]`, `["counts"]`, `["whole"]`
        Checksums, which show later whether the fields and the counts still belong together.
    `adata.var[f'{key_added}_gene']` : `bool`
        Whether the model was trained on the gene.
    `adata.varm[f'{key_added}_loadings']` : :class:`numpy.ndarray` (`float32`, genes × units), parts only
        What a unit adds to log1p of the gene's rate; see :func:`modulae.get.loadings`.

    The results of an earlier model of the same name are removed.

    Raises
    ------
    ValueError
        No unit replicates; counts, genes, settings or names that can't be used; a checkpoint of another training.
    KeyError
        An unknown layer, mask or column of size factors or batches.
    OSError
        A checkpoint could not be written, for example because the disk is full; an earlier one is still there.
    FloatingPointError
        The loss stopped being finite; the message names the learning rate to try.

    See Also
    --------
    modulae.get.representation : The activities as a table.
    modulae.get.history : The losses of every epoch.
    modulae.tl.search : Compare settings.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> adata.obsm["X_ae"].shape
    (700, 32)
    >>> mo.get.history(adata).columns.tolist()
    ['train_loss', 'test_loss', 'orthogonality', 'best']
    """
    config = config_for(
        architecture,
        schedule=schedule,
        size_factors=size_factors,
        batch_key=batch_key,
        n_latent=n_latent,
        n_hidden=n_hidden,
        orthogonality=orthogonality,
        orthogonality_gradient=orthogonality_gradient,
        batch_size=batch_size,
        learning_rate=learning_rate,
        momentum=momentum,
        max_epochs=max_epochs,
        patience=patience,
        test_fraction=test_fraction,
        test_every=test_every,
        activation_beta=activation_beta,
        loss_scale=loss_scale,
        output_bias=output_bias,
        snapshot_epochs=snapshot_epochs,
        seed=seed,
        engine=engine,
    )
    new_model_name(adata, key_added)
    every, limit, ranks = check_every(checkpoint_every), read_bytes(memory_limit), current_ranks()
    of_halves: dict[str, Any] = {"n_splits": n_splits, "max_cells": max_cells, "replicate_over": replicate_over}
    genes = model_genes(adata, mask_var)
    given = given_loadings(adata, loadings, genes, config, refine=refine_loadings, n_latent=n_latent, **of_halves)
    asked = asked_replication(adata, architecture, n_latent, **given.without_halves(of_halves))
    most = None if asked is None and given.weights is None else max_cells
    config, device = resolve_settings(settings_for(adata.n_obs, most, given.settings(config)), device, ranks)
    ranks.check_same("cells, genes or settings", [adata.n_obs, *genes, config.as_dict(), limit, n_latent, of_halves])
    counts = open_counts(adata, genes=genes, layer=layer, limit=limit, ranks=ranks)
    cells, test, unit = training_cells(adata, counts, config)
    warn_of_data(adata, counts, genes, asked, layer=layer, but=(batch_key, replicate_over), ranks=ranks)
    shown: dict[str, Any] = {"progress": progress, "ranks": ranks}
    learnt, asked = cells_to_learn(cells, test, config, asked, most, **shown)
    found, start, config = find_units(*learnt, config, asked, genes, device=device, checkpoint=checkpoint, **shown)
    start = start if given.weights is None else given.loadings(*learnt, seed, ranks)
    keeper = open_checkpoint(checkpoint, every, *learnt, genes=genes, config=config, device=device, ranks=ranks)
    run = run_training(*learnt, config, device=device, loadings=start, keeper=keeper, **shown)
    representation = encode_all(run.network, cells, **shown)
    run, representation, also = in_order(run, cells, representation, found, asked, seed=config.seed, device=device)
    summary = summarise(run.network, cells, representation, test, counts.others(genes), ranks=ranks)
    names = batch_names(adata, batch_key), given.names
    fitted = Fitted(run.network, genes, config, run.history, unit, test, summary, *names)
    snapshots = {epoch: encode_all(network, cells, **shown) for epoch, network in run.snapshots.items()}
    adata = changeable(adata, copy=copy)
    store_model(adata, fitted, representation, counts, key=key_added, layer=layer, snapshots=snapshots, also=also)
    return adata if copy else None
