"""A table as dots: colour and size, a ring around what is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .grid import mark_negative
from .heatmap import ColourScale, colour_bar
from .style import enlarged, font

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

DOT_ROOM = 0.19
"""Width and height of the room for a dot, inches."""

SURE = (2.0, 10.0)
"""The largest dot stands for the largest −log10 q that is drawn, but for no less and no more than these."""

LEGEND_Q = (0.5, 0.05, 0.01, 1e-3, 1e-5, 1e-10)
"""Values of q that the legend shows."""


def draw_dots(
    ax: Axes,
    rates: NDArray[np.float64],
    scores: NDArray[np.float64],
    scale: ColourScale,
    *,
    q: str,
    max_q: float,
    less: str,
    size: tuple[float, float],
) -> None:
    """Draw sets × units, and what size, ring and dash mean; `less` says it of a dot with a dash."""
    n_sets, n_units = rates.shape
    sure = -np.log10(np.maximum(rates, 1e-300))
    largest = float(np.clip(sure.max(), *SURE))
    marker = 0.85 * 72 * min(size[0] / n_units, size[1] / n_sets, DOT_ROOM * enlarged())  # points across
    rows, columns = np.indices(rates.shape).reshape(2, -1)
    ring = np.where(rates.ravel() <= max_q, 0.9, 0.0).tolist()
    dots = ax.scatter(
        columns,
        rows,
        s=marker**2 * np.minimum(sure.ravel() / largest, 1),
        c=np.nan_to_num(scores.ravel()),  # without a random set of its sign a score is NaN: neither red nor blue
        cmap=scale.cmap,
        vmin=scale.lowest,
        vmax=scale.highest,
        edgecolors="0.1",
        linewidths=ring,
        gid="dots",
    )
    low = (rates.ravel() <= max_q) & (np.nan_to_num(scores.ravel()) < 0)
    dash = 0.55 * np.sqrt(dots.get_sizes()[low])
    mark_negative(ax, (columns[low], rows[low]), np.atleast_2d(dots.to_rgba(scores.ravel()[low])), across=dash)
    ax.set(xlim=(-0.5, n_units - 0.5), ylim=(n_sets - 0.5, -0.5))
    ax.set_axisbelow(True)
    ax.grid(visible=True, color="0.92", linewidth=0.5)
    ax.spines[:].set_linewidth(0.5)
    colour_bar(ax, dots, scale, size=size, share=0.5)
    steps = [step for step in LEGEND_Q if -np.log10(step) <= largest]
    handles: list[Line2D | tuple[Line2D, ...]] = [
        dot(marker * np.sqrt(-np.log10(step) / largest), ringed=step <= max_q) for step in steps
    ]
    words = [f"{step:g}" for step in steps]
    if low.any():
        dash_mark = Line2D([], [], linestyle="none", marker="_", color="black", markersize=0.55 * marker)
        handles.append((dot(marker, ringed=True), dash_mark))
        words.append(less)
    ax.legend(
        handles,
        words,
        title=f"{q} (ringed: ≤ {max_q:g})",
        loc="upper left",
        bbox_to_anchor=(1 + 0.02 / size[0], 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=font(),
        title_fontsize=font(0.5),
        alignment="left",
        handletextpad=0.3,
        labelspacing=0.7,
    )


def dot(across: float, *, ringed: bool) -> Line2D:
    return Line2D(
        [],
        [],
        linestyle="none",
        marker="o",
        color="0.7",
        markersize=across,
        markeredgecolor="0.1",
        markeredgewidth=0.9 if ringed else 0.0,
    )
