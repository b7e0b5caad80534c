"""The same cells in several panels, each coloured by something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from modulae._adata.stored.fields import Fields
from modulae._adata.stored.layouts import warn_of_unplaced
from modulae._adata.stored.steps import step
from modulae._utils.text import choose
from modulae.core.checks import check_integer

from .points import Categories, Numbers, add_legend, crowded, draw_points, legend_width, name_groups, of_cells
from .style import enlarged, panel_side, rasterised

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

PANEL = 2.6


def draw_panels(
    points: NDArray[np.floating],
    panels: Mapping[str, Categories | Numbers],
    titles: Mapping[str, str],
    *,
    size: float | None,
    ncols: int,
    cmap: str | Colormap | None,
    measures: Mapping[str, str],
) -> dict[str, Axes]:
    """Draw one panel for each of `panels`; those of numbers get a colour bar.

    Parameters
    ----------
    points
        Cells × 2; those without a place, which are not finite, are left out with a warning.
    panels
        What colours the cells, by name.
    titles
        What is written above each.
    size
        Area of a point, in points²; by the number of cells if `None`.
    ncols
        Panels side by side at most.
    cmap
        Colours of numbers.
    measures
        Labels of the colour bars, by name; none where nothing is named.

    Returns
    -------
    One axes per panel, by name.
    """
    check_integer("ncols", ncols, minimum=1)
    shown = warn_of_unplaced(points, "the layout")
    points, panels = points[shown], {name: of_cells(colours, shown) for name, colours in panels.items()}
    columns = min(ncols, len(panels))
    rows = -(-len(panels) // columns)
    side = panel_side(PANEL)
    labels = {name: colours for name, colours in panels.items() if isinstance(colours, Categories)}
    beside = {name: legend_width(colours) for name, colours in labels.items() if crowded(colours, panel=side)}
    width = columns * (side + 0.7 * enlarged()) + max(beside.values(), default=0.0)
    lines = max(titles[name].count("\n") for name in panels) + 1
    size_of_all = (width, rows * (side + (0.13 + 0.17 * lines) * enlarged()))
    figure, grid = plt.subplots(rows, columns, figsize=size_of_all, layout="constrained", squeeze=False)
    bitmap = rasterised(len(points) * len(panels))
    for ax in grid.ravel()[len(panels) :]:
        ax.remove()
    axes = dict(zip(panels, grid.ravel(), strict=False))
    for name, ax in axes.items():
        colours = panels[name]
        drawn = draw_points(ax, points, colours, size=size, cmap=cmap, rasterized=bitmap)
        ax.set_title(titles[name], fontsize="medium")
        if isinstance(colours, Numbers):
            bar = figure.colorbar(drawn, ax=ax, extend=colours.extend, shrink=0.7, aspect=15, pad=0.02)
            bar.ax.tick_params(labelsize="small")
            bar.ax.grid(visible=False)
            bar.ax.locator_params(nbins=4)
            bar.set_label(measures.get(name, colours.label), fontsize="small")
        elif name in beside:
            add_legend(figure, colours, loc="outside right upper")
        else:
            name_groups(ax, points, colours, panel=side)
    return axes


def find_basis(adata: AnnData, basis: str | None, key: str) -> str:
    """Name of the coordinates; `"umap"` may stand for `"X_umap"`, as in scanpy."""
    wanted = [Fields(key).umap(), "X_umap"] if basis is None else [basis, f"X_{basis}"]
    for name in wanted:
        if name in adata.obsm:
            return name
    run = step("tl.embeddings", key=key)
    msg = f"adata.obsm has no {wanted[0]!r}. {choose(adata.obsm, f'run {run}')}"
    raise KeyError(msg)
