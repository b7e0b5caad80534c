"""Differences between groups as triangles over a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from .labels import shorten
from .style import font

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MORE, LESS = "#d55e00", "#0072b2"  # vermillion and blue of Okabe & Ito
MIN_DRAWN = 0.2
MAX_MARKER = 9.0  # points


def draw_differences(ax: Axes, table: pd.DataFrame, *, group: str, size: tuple[float, float]) -> None:
    """Draw sets × units in [−1, 1]: direction and colour give the sign, the area of a triangle the size."""
    values = table.to_numpy(dtype=np.float64)
    n_sets, n_units = values.shape
    marker = min(0.95 * 72 * min(size[0] / n_units, size[1] / n_sets), MAX_MARKER)
    for shape, colour, sign, word in (("^", MORE, 1, "more"), ("v", LESS, -1, "less")):
        rows, columns = np.nonzero(sign * values >= MIN_DRAWN)
        area = marker**2 * np.abs(values[rows, columns])
        ax.scatter(columns, rows, s=area, marker=shape, color=colour, edgecolor="white", linewidth=0.4, gid=word)
    steps = [1.0, 0.5, 0.25, -0.25, -0.5, -1.0]
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="^" if step > 0 else "v",
            color=MORE if step > 0 else LESS,
            markeredgecolor="white",
            markeredgewidth=0.4,
            markersize=marker * abs(step) ** 0.5,
        )
        for step in steps
    ]
    name = shorten(group, 20)
    words = {1.0: f"1, more in {name}", -1.0: f"−1, less in {name}"}
    ax.legend(
        handles,
        [words.get(step, f"{step:g}".replace("-", "−")) for step in steps],
        title="difference (scaled)",
        loc="upper left",
        bbox_to_anchor=(1 + 0.02 / size[0], 1.0),
        borderaxespad=0,
        frameon=False,
        fontsize=font(),
        title_fontsize=font(0.5),
        alignment="left",
        handletextpad=0.3,
    )
