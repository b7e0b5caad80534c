"""Cells as points: what colours them, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D

from modulae._adata.columns.columns import obs_column
from modulae._adata.columns.labels import labels_of
from modulae._utils.text import choose
from modulae.core.data.downsample import thickest

from .heatmap import text_width
from .labels import shortened
from .palette import category_colours
from .style import enlarged, font, framed

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

PLAIN = "0.45"
PER_COLUMN = 18
"""Labels of a legend below each other."""
MISSING_COLOUR = "0.8"
MAX_NAME_LENGTH = 40
"""Characters of a group's name that are drawn."""


@dataclass(frozen=True, slots=True)
class Categories:
    """A label for each cell."""

    name: str
    codes: NDArray[np.intp]  # cells; −1 where there is none
    labels: list[str]
    colours: list[str]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number for each cell, and the range that the colours cover."""

    name: str
    values: NDArray[np.float64]
    lowest: float
    highest: float
    where: str = ""  # a gene's values are in some matrix

    @property
    def label(self) -> str:
        """What stands beside the colour bar."""
        return f"{self.name} {self.where}".rstrip()

    @property
    def extend(self) -> str:
        """Whether there are cells beyond the range."""
        below, above = np.nanmin(self.values) < self.lowest, np.nanmax(self.values) > self.highest
        return "both" if below and above else "min" if below else "max" if above else "neither"


def of_cells(colours: Categories | Numbers, cells: NDArray[np.bool_]) -> Categories | Numbers:
    """The same for some of the cells, in the same colours."""
    if isinstance(colours, Categories):
        return replace(colours, codes=colours.codes[cells])
    return replace(colours, values=colours.values[cells])


def numbers(name: str, values: NDArray[Any]) -> Numbers:
    """Colours from the 1st to the 99th percentile, so that a few extreme cells don't take them all."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return Numbers(name, np.zeros_like(values), 0.0, 1.0)
    lowest, highest = np.quantile(finite, [0.01, 0.99])
    if lowest == highest:  # nearly all cells are alike, as the counts of a rare gene are
        lowest, highest = finite.min(), finite.max()
    return Numbers(name, values, float(lowest), float(highest) if highest > lowest else float(lowest) + 1.0)


def read_colours(adata: AnnData, color: str, *, layer: str | None = None) -> Categories | Numbers:
    """Read the `obs` column or gene that `color` names."""
    if not isinstance(color, str):
        msg = f"color is {color!r}; name one column or gene, and draw one picture for each."
        raise TypeError(msg)
    if color in adata.obs:
        column = obs_column(adata, color, "color")
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            return numbers(color, column.to_numpy(dtype=np.float64, na_value=np.nan))
        labels = labels_of(column, f"adata.obs[{color!r}]", unused=True)
        return Categories(color, labels.codes, labels.names, category_colours(adata, color, len(labels.names)))
    if color in adata.var_names:
        import scanpy as sc

        values = sc.get.obs_df(adata, keys=[color], layer=layer, use_raw=False)[color].to_numpy()
        return replace(numbers(color, values), where="in .X" if layer is None else f"in layer {layer}")
    msg = f"color={color!r} is neither a column of adata.obs nor a gene. {choose(adata.obs, 'name a gene')}"
    raise KeyError(msg)


def point_size(n_cells: int) -> float:
    """Area of a point, in points²."""
    return float(np.clip(20_000 / n_cells, 0.5, 30))


def draw_points(
    ax: Axes,
    points: NDArray[np.float32],
    colours: Categories | Numbers | None,
    *,
    size: float | None,
    cmap: str | Colormap | None,
    rasterized: bool,
) -> PathCollection:
    """Draw cells so that none hides another by its place in the table: labels at random, high numbers on top."""
    options: dict[str, Any] = {
        "s": point_size(len(points)) if size is None else size,
        "linewidths": 0,
        "rasterized": rasterized,
        "plotnonfinite": True,
    }
    order = np.random.default_rng(0).permutation(len(points))
    if colours is None:
        options |= {"color": PLAIN}
    elif isinstance(colours, Categories):
        lookup = np.array([to_rgba(colour) for colour in [*colours.colours, MISSING_COLOUR]])  # −1 is the last
        order = order[np.argsort(colours.codes[order] >= 0, kind="stable")]  # missing ones below
        options |= {"color": lookup[colours.codes[order]]}
    else:
        order = np.argsort(np.nan_to_num(colours.values, nan=-np.inf), kind="stable")
        options |= {"c": colours.values[order], "cmap": cmap, "vmin": colours.lowest, "vmax": colours.highest}
    drawn = ax.scatter(points[order, 0], points[order, 1], **options)
    if isinstance(colours, Numbers):
        drawn.set_cmap(drawn.get_cmap().with_extremes(bad=MISSING_COLOUR))
    style_axes(ax, points)
    return drawn


def style_axes(ax: Axes, points: NDArray[np.float32]) -> None:
    """Leave out ticks, as a UMAP has no unit, and put both directions on one scale; `frameon` is asked of scanpy."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_color("0.7")
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    reach = float(np.ptp(points, axis=0).max()) * 0.53 or 1.0
    ax.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach), box_aspect=1)
    if not framed():
        ax.set_axis_off()


def name_groups(ax: Axes, points: NDArray[np.float32], colours: Categories, *, panel: float) -> None:
    """Write each label where its cells lie thickest, moved as little as keeps labels apart."""
    present = [code for code in range(len(colours.labels)) if (colours.codes == code).any()]
    labels = shortened([colours.labels[code] for code in present], MAX_NAME_LENGTH)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    groups = [points[colours.codes == code] for code in present]
    centres = np.array([cells[thickest(cells, right - left)] for cells in groups], dtype=np.float64)
    inch = (right - left) / panel
    widths = np.array([text_width([label], font(0.5), weight="bold") for label in labels]) * inch
    centres[:, 0] = np.clip(centres[:, 0], left + widths / 2, np.maximum(right - widths / 2, left + widths / 2))
    centres[:, 1] = np.clip(spread_labels(centres, widths, 1.6 * font(0.5) / 72 * inch), low, high)
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": font(0.5), "fontweight": "bold"}
    for (x, y), label, code in zip(centres, labels, present, strict=True):
        # a pale box rather than an outline, with which matplotlib writes shapes into vector files instead of text;
        # its edge has the colour of the cells, which lie elsewhere too where groups are mixed
        face, edge = to_rgba("white", 0.7), to_rgba(colours.colours[code])
        box = {"boxstyle": "round,pad=0.15", "facecolor": face, "edgecolor": edge, "linewidth": 1.2}
        ax.text(x, y, label, bbox=box, **look)


def spread_labels(centres: NDArray[np.float64], widths: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """Heights at which labels of these centres and widths don't overlap: pairs are pushed apart until none does."""
    heights = centres[:, 1].copy()
    near = np.abs(np.subtract.outer(centres[:, 0], centres[:, 0])) < np.add.outer(widths, widths) / 2
    for _ in range(200):
        moved = False
        for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True):
            overlap = height - abs(heights[i] - heights[j])
            if overlap > 1e-3 * height:
                upper, lower = (i, j) if heights[i] >= heights[j] else (j, i)
                heights[upper] += overlap / 2
                heights[lower] -= overlap / 2
                moved = True
        if not moved:
            break
    return heights


def legend_handles(colours: Categories) -> list[Line2D]:
    """One dot per label that some cell has, in the order of the categories."""
    present = [code for code in range(len(colours.labels)) if (colours.codes == code).any()]
    names = shortened([colours.labels[code] for code in present], MAX_NAME_LENGTH)
    pairs = list(zip(names, [colours.colours[code] for code in present], strict=True))
    if (colours.codes < 0).any():
        pairs.append(("no label", MISSING_COLOUR))
    return [Line2D([], [], linestyle="none", marker="o", markersize=6, color=c, label=label) for label, c in pairs]


def crowded(colours: Categories, *, panel: float) -> bool:
    """Whether the names would cover more than a ninth of a panel, in inches, if they stood among the points."""
    names = [str(handle.get_label()) for handle in legend_handles(colours)]
    area = sum(text_width([name], font(0.5), weight="bold") for name in names) * 1.35 * font(0.5) / 72
    return area > panel**2 / 9


def legend_width(colours: Categories) -> float:
    """Inches that the legend of labels needs beside a picture."""
    handles = legend_handles(colours)
    size = FontProperties(size="small").get_size_in_points()
    texts = text_width([str(handle.get_label()) for handle in handles], size)
    columns = 1 + (len(handles) - 1) // PER_COLUMN
    return max(columns * (texts + 4.2 * size / 72), text_width([colours.name], size)) + 0.3 * enlarged()


def add_legend(
    figure: Figure, colours: Categories, *, loc: Literal["outside right center", "outside right upper"]
) -> None:
    """List the labels, in two columns if there are many."""
    handles = legend_handles(colours)
    figure.legend(
        handles=handles,
        title=colours.name,
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        ncols=1 + (len(handles) - 1) // PER_COLUMN,
        handletextpad=0.2,
        alignment="left",
        loc=loc,
    )
