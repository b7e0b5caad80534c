"""Sets × units as a picture: cells, names, colour bar, and a figure of the right size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.textpath import TextPath

from ._labels import set_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

    from ._selection import Shown

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
FONT = 7.0
BAR = (0.12, 1.6)
"""Width and length of the colour bar, inches."""


@dataclass(frozen=True, slots=True)
class Scale:
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
) -> Scale:
    """One scale for all tables: [0, 1], [−1, 1] for a difference, and what the values need where they are unscaled."""
    limit = 1.0 if scaled else max(float(np.abs(table.to_numpy()).max()) for table in tables) or 1.0
    diverging = difference or (not scaled and any((table.to_numpy() < 0).any() for table in tables))
    return Scale(
        -limit if diverging else 0.0, limit, label, (DIVERGING if diverging else SEQUENTIAL) if cmap is None else cmap
    )


def text_width(texts: Sequence[str], size: float = FONT) -> float:
    """Width of the widest text, inches."""
    return (
        max((float(TextPath((0, 0), text, size=size).get_extents().width) for text in texts if text), default=0.0) / 72
    )


def grid_size(shown: Shown, *, lowest: float = SMALLEST[1]) -> tuple[float, float]:
    """Width and height of the cells together, inches."""
    width = max(len(shown.units) * CELL[0], SMALLEST[0])
    return width, float(np.clip(len(shown.sets) * CELL[1], lowest, TALLEST))


def new_axes(shown: Shown, *, size: tuple[float, float], right: float) -> Axes:
    """Make a figure with room for cells, names and `right` inches for what explains the colours."""
    width, height = size
    names = text_width(set_labels(shown.sets)[1])
    return plt.subplots(figsize=(names + width + right + 0.75, height + 0.9), layout="constrained")[1]


def draw_cells(ax: Axes, table: pd.DataFrame, scale: Scale, *, size: tuple[float, float]) -> AxesImage:
    """Draw a table that is already in its order; clearly negative cells carry a dash, as grey shows no sign."""
    values = table.to_numpy()
    image = ax.imshow(
        values, cmap=scale.cmap, vmin=scale.lowest, vmax=scale.highest, aspect="auto", interpolation="nearest"
    )
    ax.grid(visible=False)
    ax.spines[:].set_linewidth(0.5)
    n_sets, n_units = values.shape
    if min(size[0] / n_units, size[1] / n_sets) > 0.05:  # lines between cells, to follow a row with the eye
        ax.set_xticks(np.arange(n_units - 1) + 0.5, minor=True)
        ax.set_yticks(np.arange(n_sets - 1) + 0.5, minor=True)
        ax.grid(which="minor", color="white", linewidth=0.5, linestyle="-")
        ax.tick_params(which="minor", length=0)
    if scale.diverging:
        rows, columns = np.nonzero(values < -0.3 * scale.highest)
        dash = 0.4 * 72 * min(size[0] / n_units, size[1] / n_sets)
        ax.scatter(columns, rows, marker="_", s=min(dash, 8) ** 2, color="white", linewidth=0.8, gid="negative")
    return image


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
    ax.set_yticks(np.arange(len(labels)), labels, fontsize=min(FONT, 0.75 * per_row))
    ax.tick_params(axis="y", length=0, pad=2)
    return axis_label


def name_units(ax: Axes, shown: Shown, *, width: float) -> str:
    """Name the columns. The label of the axis: how many units are left out."""
    n_units = len(shown.units)
    per_column = width * 72 / n_units
    upright = 0.65 * max(map(len, shown.units)) * FONT > 0.95 * per_column
    size = min(FONT, 0.8 * per_column) if upright else FONT
    ax.set_xticks(np.arange(n_units), shown.units, fontsize=size, rotation=90 if upright else 0)
    ax.tick_params(axis="x", length=0, pad=2)
    return "unit" if n_units == shown.of_units else f"unit ({n_units} of {shown.of_units})"


def colour_bar(ax: Axes, image: ScalarMappable, scale: Scale, *, size: tuple[float, float], share: float = 1.0) -> Axes:
    """Add a colour bar of a fixed size, or a share of the height, at the lower right of the cells."""
    width, height = size
    bar_ax = ax.inset_axes((1 + 0.12 / width, 0.0, BAR[0] / width, min(BAR[1] / height, share)))
    bar = ax.figure.colorbar(image, cax=bar_ax)
    bar.set_ticks([scale.lowest, 0, scale.highest] if scale.diverging else [0, scale.highest / 2, scale.highest])
    if scale.highest != 1:
        bar.ax.set_yticklabels([f"{tick:.2g}" for tick in bar.get_ticks()])
    bar.ax.tick_params(labelsize=FONT)
    bar.ax.grid(visible=False)
    bar.set_label(scale.label, fontsize=FONT + 0.5)
    return bar_ax


def measured(ax: Axes) -> tuple[float, float]:
    """Width and height of given axes, inches."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi
