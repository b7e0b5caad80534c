"""Train the orthogonal Poisson autoencoder and encode every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import batch_names
from modulae._adata.counts import open_counts
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.write_model import new_model_name, store_model
from modulae._counts.stored_counts import read_bytes
from modulae._model_io.checkpoint import check_every, open_checkpoint
from modulae.core.inference.training_summary import summarise
from modulae.core.model.config import Architecture, EngineName, LossScale, OutputBias, Schedule, config_for
from modulae.core.model.fitted import Fitted
from modulae.core.processes.ranks import current_ranks
from modulae.core.training.distributed import encode_on_all_ranks, resolve_settings

from .data import model_genes, training_cells
from .run import run_training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anndata import AnnData


@public
def autoencoder(
    adata: AnnData,
    *,
    layer: str | None = None,
    mask_var: str | None = None,
    n_latent: int | None = None,
    n_hidden: int | None = None,
    orthogonality: float | None = None,
    size_factors: str | None = "total",
    batch_key: str | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    momentum: float | None = None,
    schedule: Schedule = "cosine",
    max_epochs: int | None = None,
    patience: int | None = None,
    test_fraction: float = 0.1,
    test_every: int = 1,
    activation_beta: float | Literal["width"] | None = None,
    loss_scale: LossScale | None = None,
    output_bias: OutputBias | None = None,
    orthogonality_gradient: bool | None = None,
    architecture: Architecture = "orthogonal",
    snapshot_epochs: Sequence[int] = (),
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
    """Train an orthogonal Poisson autoencoder on raw counts and encode every cell.

    Genes → 128 → 64 units (the *representation*) → 128 → genes, SoftPlus after every layer. Loss, after eq. 1 of
    Kinalis et al. (2019) [1]_ with its letters the right way round (x counts, y rates, W the last encoding weight)::

        mean(y − x·log(y + ε)) + λ·‖I − W Wᵀ‖

    Unlike the paper, the model carries the sequencing depth by default: the encoder reads log1p(x / s) and the decoded
    rate is multiplied by s, the cell's size factor. `**modulae.presets.KINALIS_2019` gives the paper's setting.
    Training stops when the loss of the held-out cells has not improved for `patience` epochs; the best weights are
    kept. Ctrl-C stops early and keeps the best weights so far.

    Where `torch.distributed` has been initialised (as in a script that `torchrun` starts), all processes of the group
    train one model and end with the same `adata`: call this in each of them with the same cells (:doc:`/guide/scale`).

    `architecture="parts"` is another model for the same fields: units that are parts of a cell, and that other seeds
    find again. Genes → 32 units → genes, one layer each way, the decoder's weights V ≥ 0 (see :doc:`/guide/modules`)::

        E = log1p(x / s)    z = softplus(E·A + c)    y = s·(expm1(z·V) + 1e-4)    loss = mean(y − x·log(y + ε))

    SoftPlus has β = 10; 1e-4 is added to z. It starts from a non-negative matrix factorisation of E [2]_ and trains
    with Adam [3]_. What follows in this table differs between the two:

    ==================  ======================  ===========================
    parameter           `"orthogonal"`          `"parts"`
    ==================  ======================  ===========================
    `n_latent`          64                      32
    `batch_size`        16                      128
    `learning_rate`     0.2                     0.001
    `max_epochs`        80; 200 if constant     15
    `patience`          20                      5
    `n_hidden`          128                     not for it: refused
    `orthogonality`     0.05                    not for it: refused
    `momentum`          0.9                     not for it: refused
    `activation_beta`   1                       not for it: refused
    `loss_scale`        `"mean"`                not for it: refused
    `output_bias`       `"halfway"`             not for it: refused
    `size_factors`      any                     not `None`
    `engine`            any                     not `"numba"`
    ==================  ======================  ===========================

    Parameters
    ----------
    {adata}
    {layer}
    mask_var
        Boolean column of `adata.var` that names the genes to train on, such as `"in_gene_sets"` from
        :func:`modulae.pp.gene_set_mask`; all genes if `None`.
    n_latent
        Units of the representation. The paper takes slightly more than there are gene sets. Parts: at most as many as
        there are training cells, and genes.
    n_hidden
        Width of the layers before and after the representation.
    orthogonality
        λ, the weight of the orthogonality penalty.
    size_factors
        `"total"`: a cell's total count over all genes of the layer, divided by the median over the training cells.
        The name of a numeric `obs` column: that column, divided by its median. `None`: none (the paper).
    batch_key
        `obs` column with the batch of each cell (sample, chemistry), for merged data. Rates are multiplied by a factor
        for each batch and gene, so that units need not tell batches apart; the encoder sees no batch. What differs
        between batches is taken away whatever its cause: never name what you want to compare (:doc:`/guide/merging`).
    batch_size
        Cells per step, over all processes together where there are several. The paper takes 1.
    learning_rate
        Step size of Nesterov's accelerated gradient, or of Adam for parts, in the first epoch.
    momentum
        Momentum of Nesterov's method.
    schedule
        `"cosine"`: the step size falls to 0 over `max_epochs` on a half cosine; `"constant"`.
    max_epochs
        Passes over the training cells at most.
    patience
        Epochs without a better held-out loss before training stops.
    test_fraction
        Share of the cells that is held out, at least one cell.
    test_every
        Epochs between two looks at the held-out loss (the authors' scripts: 10).
    activation_beta
        β of SoftPlus; `"width"` takes each layer's width, in effect a ReLU, as the authors' scripts do.
    loss_scale
        `"mean"` divides the Poisson loss by the mean count (above 1, by its square root), which makes one learning rate
        serve thin and deep data; `"counts"` leaves it as published.
    output_bias
        Start of the last bias: `"gene_means"`, where the decoder predicts every gene's mean; `"halfway"` to there from
        0, so that the rest has to be learnt; or a small `"constant"`, as published.
    orthogonality_gradient
        Whether the penalty moves the weights (the default). In the authors' scripts it does not: they detach the
        weights first. Not for parts.
    architecture
        `"orthogonal"`, the paper's, or `"parts"`.
    snapshot_epochs
        Epochs after which the representation is kept as well (0: before training), to be drawn beside the final one.
    {seed}
    engine
        What takes the steps: `"numba"`, compiled loops on a CPU (compiled once, in some ten seconds), or `"torch"`; the
        same steps up to rounding. `"auto"`: numba on a CPU, torch elsewhere, and where there are several processes.
    {device}
    {progress}
    {memory_limit}
    checkpoint
        Folder where the training is kept while it goes on, made if it is not there. A call with the same cells and
        settings goes on from what it finds there, to the same result as without an interruption (to the last bit on one
        CPU), and is done at once where the training had ended.
    checkpoint_every
        Epochs between two writes, or a time, such as `"10min"`.
    key_added
        Name of the model, and the start of the names of all that is made with it.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the following fields, and removes the results of an earlier model
    of the same name:

    `adata.obsm[f'X_{key_added}']` : :class:`numpy.ndarray` (`float32`, cells × units)
        The representation, ≥ 0.
    `adata.obsm[f'X_{key_added}_epoch{n}']` : :class:`numpy.ndarray` (`float32`, cells × units)
        The same after `n` epochs, for every entry of `snapshot_epochs` that was reached.
    `adata.uns[key_added]` : `dict`
        `"params"`: the settings; `"history"`: `epoch`, `train_loss`, `test_loss` (mean Poisson loss over cells and
        genes, in counts), `orthogonality` (‖I − W Wᵀ‖; for parts W is A, its rows scaled to length 1), `best_epoch`,
        `stopped`; `"model"`: weights and gene names; `"layer"`, where one was named; `"rows"`, `"whole"`: checksums.
    `adata.var[f'{key_added}_gene']` : `bool`
        Whether the model was trained on the gene.
    `adata.varm[f'{key_added}_loadings']` : :class:`numpy.ndarray` (`float32`, genes × units), parts only
        V: what a unit adds to log1p of the gene's rate; see :func:`modulae.get.loadings`.

    Raises
    ------
    ValueError
        Counts, genes, settings or names that are of no use, or a checkpoint of another training; nothing is written.
    KeyError
        An unknown layer, mask or column of size factors or batches.
    OSError
        A checkpoint could not be written, for example because the disk is full; an earlier one is still there.
    FloatingPointError
        The loss stopped being finite; the message names the learning rate to try.

    References
    ----------
    .. [1] Kinalis, Nielsen, Winther & Bagger (2019), *BMC Bioinformatics* 20:379, Methods.
    .. [2] Lee & Seung (1999), *Nature* 401:788–791.
    .. [3] Kingma & Ba (2015), *ICLR*, arXiv:1412.6980.
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
    config, device = resolve_settings(config, device, ranks)
    genes = model_genes(adata, mask_var)
    ranks.check_same("cells, genes or settings", (adata.n_obs, list(genes), config.as_dict(), limit))
    counts = open_counts(adata, genes=genes, layer=layer, limit=limit, ranks=ranks)
    cells, test, unit = training_cells(adata, counts, config)
    keeper = open_checkpoint(checkpoint, every, cells, test, genes=genes, config=config, device=device, ranks=ranks)
    run = run_training(cells, test, config, device=device, progress=progress, keeper=keeper, ranks=ranks)
    representation = encode_on_all_ranks(run.network, cells, ranks)
    summary = summarise(run.network, cells, representation, test, counts.others(genes), ranks=ranks)
    fitted = Fitted(run.network, genes, config, run.history, unit, test, summary, batch_names(adata, batch_key))
    snapshots = {epoch: encode_on_all_ranks(network, cells, ranks) for epoch, network in run.snapshots.items()}

    adata = changeable(adata, copy=copy)
    store_model(adata, fitted, representation, key=key_added, layer=layer, snapshots=snapshots)
    return adata if copy else None
