"""How the training went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import figure_size

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

TRAIN, TEST, PENALTY = "#56b4e9", "#0072b2", "0.55"
DWARFS = 3.0
"""The loss before training stays outside when it stretches the axis more than this many times."""


@public
@literal
def history(adata: AnnData, *, key: str = DEFAULT_KEY, ax: Axes | None = None) -> Axes:
    """Draw the loss of the training cells and of the held-out cells by epoch, and how orthogonal the units are.

    A dashed line marks the epoch whose weights were kept. Epoch 0 is before training: where its loss would press the
    rest flat (three times the range of all later epochs), the axis covers the later epochs and the loss before
    training is written into the corner.

    Parameters
    ----------
    {adata}
    {key}
    {ax}

    Returns
    -------
    The axes of the losses. ‖I − WWᵀ‖ has an axis of its own on the right, on a log scale: `ax.figure.axes[-1]`.

    Raises
    ------
    KeyError
        No such model.

    See Also
    --------
    modulae.get.history : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> ax = mo.pl.history(adata)
    """
    table = get.history(adata, key=key)
    ax = plt.subplots(figsize=figure_size(6.0, 3.6), layout="constrained")[1] if ax is None else ax
    marker = "o" if len(table) <= 40 else None
    penalty_ax = ax.twinx()
    penalty_ax.plot(table.index, table["orthogonality"], color=PENALTY, linestyle=":", label="orthogonality")
    ax.plot(table.index, table["train_loss"], color=TRAIN, marker=marker, markersize=3, label="training cells")
    ax.plot(
        table.index, table["test_loss"], color=TEST, linewidth=2, marker=marker, markersize=4, label="held-out cells"
    )
    _limit(ax, table)
    _mark_kept(ax, table)

    ax.set(xlabel="epoch", ylabel="Poisson loss (per gene and cell)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    penalty_ax.set_ylabel("‖I − WWᵀ‖  (0: orthogonal units)", color="0.35")
    penalty_ax.tick_params(axis="y", colors="0.35")
    if (table["orthogonality"] > 0).all():
        penalty_ax.set_yscale("log")
        if table["orthogonality"].max() < 10 * table["orthogonality"].min():  # no power of ten to write it with
            penalty_ax.yaxis.set_major_locator(MaxNLocator(5))
            penalty_ax.yaxis.set_major_formatter(ScalarFormatter())
            penalty_ax.yaxis.set_minor_locator(NullLocator())
    for own in (ax, penalty_ax):
        own.grid(visible=False)
        own.spines["top"].set_visible(False)
    handles = [*ax.get_lines()[:2], *penalty_ax.get_lines()]
    names = [str(handle.get_label()) for handle in handles]
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.06), "ncols": 3, "frameon": False}
    penalty_ax.legend(handles, names, fontsize="small", handlelength=2, **above)  # clear of the curves
    return ax


def _limit(ax: Axes, table: pd.DataFrame) -> None:
    """Keep the curve readable where the loss before training dwarfs it."""
    losses = table[["train_loss", "test_loss"]]
    later = losses.loc[losses.index > 0].to_numpy()
    later = later[np.isfinite(later)]
    if len(later) == 0 or 0 not in losses.index:
        return
    lowest, highest = later.min(), later.max()
    spread = highest - lowest
    before = losses.loc[0]
    if spread <= 0 or max(before.max(), highest) - min(before.min(), lowest) <= DWARFS * spread:
        return
    ax.set_ylim(lowest - 0.05 * spread, highest + 0.25 * spread)
    ax.text(
        0.02,
        0.97,
        f"before training (not drawn):\n{before['train_loss']:.3g}, held-out cells {before['test_loss']:.3g}",
        transform=ax.transAxes,
        va="top",
        fontsize="small",
        color="0.35",
    )


def _mark_kept(ax: Axes, table: pd.DataFrame) -> None:
    kept = table.index[table["best"]]
    if len(kept) == 0:
        return
    ax.axvline(kept[0], color="0.2", linestyle="--", linewidth=1, zorder=0)
    right = kept[0] > (table.index[0] + table.index[-1]) / 2
    ax.annotate(
        f"weights kept: epoch {kept[0]}",
        (kept[0], 1),
        xycoords=ax.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize="small",
    )
