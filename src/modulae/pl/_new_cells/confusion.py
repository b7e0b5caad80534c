"""Labels that were carried over, against those that were known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from modulae import get
from modulae._adata.columns.reference_labels import UNKNOWN
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae.pl._draw.grid import draw_grid, ink
from modulae.pl._draw.heatmap import SEQUENTIAL, text_width
from modulae.pl._draw.labels import shorten, shortened
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged, font

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Colormap

LABEL_CELL = (0.42, 0.3)
"""Width and height of a cell, inches."""
MAX_LABEL_LENGTH = 26
"""Characters of a label that are drawn."""
BAR_LABEL = "% of the\nknown label"


@public
@literal
def confusion(
    adata: AnnData,
    *,
    truth: str,
    key: str = DEFAULT_KEY,
    label: str | None = None,
    normalise: Literal["truth"] | None = "truth",
    cmap: str | Colormap = SEQUENTIAL,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many cells of each known label got which label from :func:`modulae.tl.classify`.

    Known labels are the rows, with their numbers of cells. A row is at the place of the label that most of its cells
    got, or of the label of the same name where there is one: cells that agree lie along the diagonal. Cells of the same
    name in row and column are framed.

    Parameters
    ----------
    {labelled}
    {truth}
    {key}
    {label}
    normalise
        What is written: `"truth"`, the percentage of the cells of each known label; `None`, numbers of cells. The
        colours are the percentage in both. Nothing is written where there is no cell.
    cmap
        Colour map.
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such column.
    ValueError
        A column of numbers, no cell with a known label, or no such normalisation.

    See Also
    --------
    modulae.get.confusion : The numbers.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.classify(cells, blood, labels="louvain")
    >>> ax = mo.pl.confusion(cells, truth="louvain")
    """
    shares = get.confusion(adata, truth=truth, key=key, label=label, normalise="truth")
    written = get.confusion(adata, truth=truth, key=key, label=label, normalise=normalise)
    counts = get.confusion(adata, truth=truth, key=key, label=label)
    order = _order(shares)
    shares, written, counts = (table.loc[order] for table in (shares, written, counts))
    rows = [f"{name} ({n:,})" for name, n in zip(shortened(order, MAX_LABEL_LENGTH), counts.sum(axis=1), strict=True)]
    columns = shortened(list(shares.columns), MAX_LABEL_LENGTH)
    ylabel = f"known\n({shorten(str(shares.index.name), MAX_LABEL_LENGTH)})"
    if ax is None:
        width = enlarged() * (LABEL_CELL[0] * len(columns) + 1.7)
        names = text_width(rows, font(1)), 0.75 * text_width(columns, font(1))
        # labels beside the cells may be longer than few rows are high
        beside = max(text_width(ylabel.split("\n"), font(3)), text_width(BAR_LABEL.split("\n"), font(1)))
        height = max(enlarged() * LABEL_CELL[1] * len(rows), beside) + 0.9 * enlarged()
        ax = plt.subplots(figsize=(width + names[0], height + names[1]), layout="constrained")[1]
    cells = draw_grid(ax, 100 * shares.to_numpy(), cmap=cmap, limits=(0, 100), lines="0.9")
    _write(ax, cells, shares, written)
    _frame(ax, shares)
    ax.set_xticks(np.arange(len(columns)), columns, fontsize=font(1), rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(np.arange(len(rows)), rows, fontsize=font(1))
    ax.tick_params(length=0)
    ax.set(xlabel=f"label ({shares.columns.name})", ylabel=ylabel)
    bar = ax.figure.colorbar(cells, ax=ax, shrink=0.6, aspect=14, pad=0.02)
    bar.set_label(BAR_LABEL, fontsize=font(1))
    bar.set_ticks([0, 50, 100])
    bar.ax.tick_params(labelsize=font(1))
    bar.ax.grid(visible=False)
    return ax


def _order(shares: pd.DataFrame) -> list[str]:
    """Known labels in the order of their own columns, or else of those where most of their cells are."""
    names = list(shares.columns)
    most = shares.to_numpy().argmax(axis=1)
    place = [names.index(row) if row in names else index for row, index in zip(shares.index, most, strict=True)]
    return [str(shares.index[index]) for index in np.argsort(place, kind="stable")]


def _write(ax: Axes, cells: QuadMesh, shares: pd.DataFrame, written: pd.DataFrame) -> None:
    """Write the numbers, black or white, whichever is further from the colour of the cell."""
    whole = written.dtypes.iloc[0].kind == "i"
    for row, column in zip(*np.nonzero(shares.to_numpy()), strict=True):
        value, share = written.iloc[row, column], shares.iloc[row, column]
        ax.text(
            column,
            row,
            f"{value:,}" if whole else _percent(value),
            ha="center",
            va="center",
            fontsize=font(),
            color=ink(tuple(cells.to_rgba(100 * share)[:3])),
        )


def _percent(share: float) -> str:
    """Whole percents; 0 and 100 only where that is exact."""
    if share < 0.005:
        return "<1"
    return ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _frame(ax: Axes, shares: pd.DataFrame) -> None:
    """Frame agreement, and set the cells of no label apart."""
    names = list(shares.columns)
    for row, name in enumerate(shares.index):
        if name in names:
            index = (names.index(name) - 0.5, row - 0.5)
            ax.add_patch(Rectangle(index, 1, 1, fill=False, edgecolor="black", linewidth=1.2, clip_on=False, zorder=3))
    if UNKNOWN in names and len(names) > 1:
        ax.axvline(names.index(UNKNOWN) - 0.5, color="0.3", linewidth=1.0)
