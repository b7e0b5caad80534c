"""A table as coloured cells, and the second sign of what is negative, for those who see no colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb

from .style import RASTER_FROM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.colors import Colormap
    from matplotlib.typing import ColorType
    from numpy.typing import ArrayLike, NDArray

LIGHT = np.array([0.2126, 0.7152, 0.0722])
"""Share of red, green and blue in the luminance (ITU-R BT.709)."""
CLEARLY = 0.3
"""Share of the largest value from which on a negative one carries a dash."""
LONGEST_DASH = 8.0  # points


def draw_grid(
    ax: Axes,
    values: NDArray[np.floating],
    *,
    cmap: str | Colormap,
    limits: tuple[float, float],
    lines: str | None = "white",
) -> QuadMesh:
    """Draw rows × columns as cells around whole numbers, the first row on top; cells of NaN stay empty.

    They are drawn as shapes, so that a vector file stays sharp and every cell can be edited; a bitmap where they are
    very many.
    """
    n_rows, n_columns = values.shape
    edges = "face" if lines is None else lines  # without any, viewers of vector files let the page shine through
    ax.grid(visible=False)
    cells = ax.pcolormesh(
        np.arange(n_columns + 1) - 0.5,
        np.arange(n_rows + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        edgecolors=edges,
        linewidth=0.1 if lines is None else 0.5,
        rasterized=values.size > RASTER_FROM,
        gid="cells",
    )
    ax.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5))
    return cells


def ink(background: ColorType) -> str:
    """Black or white, whichever has the larger contrast with a colour (WCAG 2.2, relative luminance)."""
    rgb = np.array(to_rgb(background))
    luminance = float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ LIGHT)
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"


def mark_negative(
    ax: Axes, places: tuple[ArrayLike, ArrayLike], colours: NDArray[np.floating], *, across: ArrayLike
) -> PathCollection:
    """Draw a dash at columns and rows that have these colours: in grey, a diverging colour map shows no sign."""
    length = np.minimum(across, LONGEST_DASH)
    return ax.scatter(
        *places,
        marker="_",
        s=np.broadcast_to(length**2, np.shape(places[0])),
        color=[ink(tuple(colour[:3])) for colour in colours],
        linewidth=0.8,
        zorder=3,
        gid="negative",
    )


def negative_cells(
    ax: Axes, values: NDArray[np.floating], cells: ScalarMappable, *, highest: float, across: float
) -> None:
    """Mark the cells of a grid that are clearly negative."""
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(values < -CLEARLY * highest)
    mark_negative(ax, (columns, rows), np.atleast_2d(cells.to_rgba(values[rows, columns])), across=across)


def negative_half(bar_ax: Axes, cells: ScalarMappable, *, lowest: float) -> None:
    """Mark the negative half of an upright colour bar: what the dash means."""
    middle = np.array([0.65 * lowest])
    dash = mark_negative(bar_ax, ([0.5], middle), np.atleast_2d(cells.to_rgba(middle)), across=LONGEST_DASH)
    dash.set_offset_transform(bar_ax.get_yaxis_transform())  # across the bar, whatever its numbers are
