"""Train the orthogonal Poisson autoencoder and encode every cell."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._anndata import changeable, forget_results, read_counts
from modulae._docs import shared
from modulae._fields import DEFAULT_KEY, Fields
from modulae._progress import progress_bar
from modulae._training_data import model_genes, training_cells
from modulae.core.backend import pick_device
from modulae.core.config import EPOCHS, Architecture, Config, EngineName, LossScale, OutputBias, Schedule
from modulae.core.encode import encode
from modulae.core.fitted import Fitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.batches import Cells
    from modulae.core.train import Training


@shared
def autoencoder(
    adata: AnnData,
    *,
    layer: str | None = None,
    mask_var: str | None = None,
    n_latent: int = 64,
    n_hidden: int = 128,
    orthogonality: float = 0.05,
    size_factors: str | None = "total",
    batch_size: int = 16,
    learning_rate: float = 0.2,
    momentum: float = 0.9,
    schedule: Schedule = "cosine",
    max_epochs: int | None = None,
    patience: int = 20,
    test_fraction: float = 0.1,
    test_every: int = 1,
    activation_beta: float | Literal["width"] = 1.0,
    loss_scale: LossScale = "mean",
    output_bias: OutputBias = "halfway",
    orthogonality_gradient: bool = True,
    architecture: Architecture = "orthogonal",
    snapshot_epochs: Sequence[int] = (),
    seed: int = 0,
    engine: EngineName = "auto",
    device: str = "auto",
    progress: bool | None = None,
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

    Parameters
    ----------
    {adata}
    {layer}
    mask_var
        Boolean column of `adata.var` that names the genes to train on, such as `"in_gene_sets"` from
        :func:`modulae.pp.gene_set_mask`; all genes if `None`.
    n_latent
        Units of the representation. The paper takes slightly more than there are gene sets.
    n_hidden
        Width of the layers before and after the representation.
    orthogonality
        λ, the weight of the orthogonality penalty.
    size_factors
        `"total"`: a cell's total count over all genes of the layer, divided by the median over the training cells.
        The name of a numeric `obs` column: that column, divided by its median. `None`: none (the paper).
    batch_size
        Cells per step. The paper takes 1.
    learning_rate
        Step size of Nesterov's accelerated gradient, in the first epoch.
    momentum
        Its momentum.
    schedule
        `"cosine"`: the step size falls to 0 over `max_epochs` on a half cosine; `"constant"`.
    max_epochs
        Passes over the training cells at most; 80 with `schedule="cosine"` and 200 with `"constant"` if `None`.
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
        Whether the penalty moves the weights. In the authors' scripts it does not: they detach the weights first.
    architecture
        `"orthogonal"` is the one there is.
    snapshot_epochs
        Epochs after which the representation is kept as well (0: before training), to be drawn beside the final one.
    {seed}
    engine
        What takes the steps: `"numba"`, compiled loops on a CPU (the first call compiles them, some ten seconds, and
        keeps them on disk), or `"torch"`. Both take the same steps up to rounding. `"auto"`: numba on a CPU, torch
        elsewhere.
    {device}
    {progress}
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
        genes, in counts), `orthogonality` (‖I − W Wᵀ‖), `best_epoch`, `stopped`; `"model"`: weights and gene names.
    `adata.var[f'{key_added}_gene']` : `bool`
        Whether the model was trained on the gene.

    Raises
    ------
    ValueError
        Counts, genes or settings the training can't use; nothing has been written then.
    KeyError
        An unknown layer, mask or column of size factors.
    FloatingPointError
        The loss stopped being finite; the message names the learning rate to try.

    References
    ----------
    .. [1] Kinalis, Nielsen, Winther & Bagger (2019), *BMC Bioinformatics* 20:379, Methods.
    """
    config = Config(
        n_latent=n_latent,
        n_hidden=n_hidden,
        orthogonality=orthogonality,
        orthogonality_gradient=orthogonality_gradient,
        size_factors=size_factors,
        batch_size=batch_size,
        learning_rate=learning_rate,
        momentum=momentum,
        schedule=schedule,
        max_epochs=EPOCHS.get(schedule, 1) if max_epochs is None else max_epochs,
        patience=patience,
        test_fraction=test_fraction,
        test_every=test_every,
        activation_beta=activation_beta,
        loss_scale=loss_scale,
        output_bias=output_bias,
        architecture=architecture,
        snapshot_epochs=tuple(snapshot_epochs),
        seed=seed,
        engine=engine,
    )
    genes = model_genes(adata, mask_var)
    counts = read_counts(adata, genes=genes, layer=layer)
    cells, test, unit = training_cells(adata, counts, config)
    run = _train(cells, test, config, device=pick_device(device), progress=progress)
    fitted = Fitted(run.network, genes, config, run.history, unit, test)
    representation = encode(run.network, cells)
    snapshots = {epoch: encode(network, cells) for epoch, network in run.snapshots.items()}

    adata = changeable(adata, copy=copy)
    _write(adata, fitted, representation, snapshots, key=key_added)
    return adata if copy else None


def _train(cells: Cells, test: NDArray[np.bool_], config: Config, *, device: str, progress: bool | None) -> Training:
    from modulae.core.train import train

    with progress_bar(config.max_epochs, "training", "epoch", progress=progress) as bar:

        def show(_epoch: int, loss: float) -> None:
            bar.set_postfix_str(f"held-out loss {loss:.5f}", refresh=False)
            bar.update()

        run = train(cells, test, config, device=device, on_epoch=show)
    if run.history.stopped == "interrupted":
        warnings.warn(
            f"training was interrupted; the weights of epoch {run.history.best_epoch}, the best so far, are kept.",
            UserWarning,
            stacklevel=3,
        )
    elif run.history.best_epoch == 0:
        warnings.warn(
            "the held-out loss never fell below that of the untrained model, which is what is kept. "
            f"Try a lower learning rate: learning_rate={config.learning_rate / 5:g}.",
            UserWarning,
            stacklevel=3,
        )
    elif run.history.gain <= 0:
        warnings.warn(
            "the model predicts the held-out cells no better than the mean of each gene does: it has learnt nothing "
            "yet. Train longer (max_epochs=, patience=), or look whether layer= holds raw counts.",
            UserWarning,
            stacklevel=3,
        )
    return run


def _write(
    adata: AnnData,
    fitted: Fitted,
    representation: NDArray[np.float32],
    snapshots: dict[int, NDArray[np.float32]],
    *,
    key: str,
) -> None:
    fields = Fields(key)
    forget_results(adata, key)
    adata.obsm[fields.representation] = representation
    for epoch, units in snapshots.items():
        adata.obsm[fields.snapshot(epoch)] = units
    adata.var[fields.genes] = np.isin(adata.var_names, fitted.genes)
    adata.uns[fields.model] = {
        "params": fitted.config.as_dict(),
        "history": fitted.history.as_dict(),
        "model": fitted.as_dict(),
    }
