"""Sets × units as a picture: cells, names, colour bar, and a figure of the right size."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from .grid import draw_grid, negative_cells, negative_half
from .labels import programmes_label, set_labels
from .style import enlarged, font, wide_margins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Colormap

    from .selection import Shown

SEQUENTIAL = "BuPu"
DIVERGING = "RdBu_r"
PALE = LinearSegmentedColormap.from_list("pale_greys", ["1.0", "0.45"])
"""For a heat map that something else is drawn over."""

CELL = (0.155, 0.165)
"""Width and height of a cell, inches."""
SMALLEST = (1.6, 1.6)
"""A heat map of few cells is at least this large, inches."""
TALLEST = 40.0
"""Inches; beyond, cells get lower and sets lose their names."""
BAR = (0.12, 1.6)
"""Width and length of the colour bar, inches."""


@dataclass(frozen=True, slots=True)
class ColourScale:
    """What the colours mean."""

    lowest: float
    highest: float
    label: str
    cmap: str | Colormap

    @property
    def diverging(self) -> bool:
        """Whether 0 is in the middle."""
        return self.lowest < 0


def make_scale(
    tables: Sequence[pd.DataFrame], *, label: str, difference: bool, scaled: bool, cmap: str | Colormap | None
) -> ColourScale:
    """One scale for all tables: [0, 1], [−1, 1] for a difference, and what the values need where they are unscaled."""
    limit = 1.0 if scaled else max(float(np.abs(table.to_numpy()).max()) for table in tables) or 1.0
    diverging = difference or (not scaled and any((table.to_numpy() < 0).any() for table in tables))
    return ColourScale(
        -limit if diverging else 0.0, limit, label, (DIVERGING if diverging else SEQUENTIAL) if cmap is None else cmap
    )


def text_width(texts: Sequence[str], size: float | None = None, *, weight: str = "normal") -> float:
    """Width of the widest text, inches; of small labels if no `size` is given."""
    look = FontProperties(weight=weight)
    points = font() if size is None else size
    literally = (text.replace("$", r"\$") for text in texts if text)  # no mathematics, as in :mod:`._literal`
    widths = (TextPath((0, 0), text, size=points, prop=look).get_extents().width for text in literally)
    return max((float(width) for width in widths), default=0.0) / 72


def grid_size(shown: Shown, *, lowest: float = SMALLEST[1]) -> tuple[float, float]:
    """Width and height of the cells together, inches."""
    width = max(len(shown.units) * CELL[0], SMALLEST[0])
    return enlarged() * width, enlarged() * float(np.clip(len(shown.sets) * CELL[1], lowest, TALLEST))


def new_axes(shown: Shown, *, size: tuple[float, float], right: float) -> Axes:
    """Make a figure with room for cells, names and `right` inches for what explains the colours."""
    width, height = size
    names = text_width(set_labels(shown.sets)[1])
    around = enlarged() * (right + 0.75), enlarged() * 0.9 + below(shown)
    return plt.subplots(figsize=(names + width + around[0], height + around[1]), layout=wide_margins())[1]


def below(shown: Shown) -> float:
    """Inches that the names of the units take below the cells, more than numbers do."""
    return text_width(shown.unit_labels) if shown.names else 0.0


def title(ax: Axes, text: str, *, room: float, size: str | None = None) -> None:
    """Write what is shown above the axes, in as many lines as `room`, in inches, asks for."""
    size = plt.rcParams["axes.titlesize"] if size is None else size
    points = FontProperties(size=size).get_size_in_points()
    lines = []
    for line in text.splitlines():
        characters = int(len(line) * room / max(text_width([line], points), 1e-6))
        lines.append(fill(line, max(characters, 12), break_long_words=False, break_on_hyphens=False))
    ax.set_title("\n".join(lines), fontsize=size)


def draw_cells(ax: Axes, table: pd.DataFrame, scale: ColourScale, *, size: tuple[float, float]) -> QuadMesh:
    """Draw a table that is already in its order; clearly negative cells carry a dash, as grey shows no sign."""
    values = table.to_numpy()
    n_sets, n_units = values.shape
    across = min(size[0] / n_units, size[1] / n_sets)
    lines = "white" if across > 0.05 else None  # between cells, to follow a row with the eye
    cells = draw_grid(ax, values, cmap=scale.cmap, limits=(scale.lowest, scale.highest), lines=lines)
    ax.spines[:].set_linewidth(0.5)
    if scale.diverging:
        negative_cells(ax, values, cells, highest=scale.highest, across=0.4 * 72 * across)
    return cells


def name_sets(ax: Axes, shown: Shown, *, height: float) -> str:
    """Name the rows. The label of the axis: the collection they all belong to, and how many sets are left out."""
    collection, labels = set_labels(shown.sets)
    axis_label = f"gene sets {collection}_…" if collection else "gene sets"
    if len(labels) < shown.of_sets:
        axis_label += f"\n({len(labels)} of {shown.of_sets})"
    per_row = height * 72 / len(labels)
    if per_row < 4:  # nobody could read them
        ax.set_yticks([])
        return f"{axis_label}\ntoo many to name"
    ax.set_yticks(np.arange(len(labels)), labels, fontsize=min(font(), 0.75 * per_row))
    ax.tick_params(axis="y", length=0, pad=2)
    return axis_label


def name_units(ax: Axes, shown: Shown, *, width: float) -> str:
    """Name the columns. The label of the axis: how many units are left out."""
    n_units = len(shown.units)
    per_column = width * 72 / n_units
    labels = shown.unit_labels
    upright = 0.65 * max(map(len, labels)) * font() > 0.95 * per_column
    size = min(font(), 0.8 * per_column) if upright else font()
    ax.set_xticks(np.arange(n_units), labels, fontsize=size, rotation=90 if upright else 0)
    ax.tick_params(axis="x", length=0, pad=2)
    return programmes_label(n_units, shown.of_units, shown.left_out)


def colour_bar(
    ax: Axes, image: ScalarMappable, scale: ColourScale, *, size: tuple[float, float], share: float = 1.0
) -> Axes:
    """Add a colour bar of a fixed size, or a share of the height, at the lower right of the cells."""
    width, height = (inches / enlarged() for inches in size)
    bar_ax = ax.inset_axes((1 + 0.12 / width, 0.0, BAR[0] / width, min(BAR[1] / height, share)))
    bar = ax.figure.colorbar(image, cax=bar_ax)
    bar.set_ticks([scale.lowest, 0, scale.highest] if scale.diverging else [0, scale.highest / 2, scale.highest])
    if scale.highest != 1:
        bar.ax.set_yticklabels([f"{tick:.2g}".replace("-", "−") for tick in bar.get_ticks()])
    bar.ax.tick_params(labelsize=font())
    bar.ax.grid(visible=False)
    bar.set_label(scale.label, fontsize=font(0.5))
    if scale.diverging:
        negative_half(bar_ax, image, lowest=scale.lowest)
    return bar_ax


def measured(ax: Axes) -> tuple[float, float]:
    """Width and height of given axes, inches."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi
