"""Where in the UMAP each unit is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._docs import shared
from modulae._fields import DEFAULT_KEY, Fields

from ._points import Categories, Numbers, add_legend, draw_points, name_groups, numbers, read_colours
from ._selection import unit_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

PANEL = 2.6
ON_DATA_UP_TO = 15
"""Categories whose names are written among the points; the panel has no room for a legend."""


@shared
def units(
    adata: AnnData,
    units: Sequence[int | str] | None = None,
    *,
    n: int = 12,
    color: str | None = None,
    basis: str | None = None,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    size: float | None = None,
    ncols: int = 4,
    cmap: str | Colormap = "viridis",
) -> dict[str, Axes]:
    """Draw how active units are in every cell, one UMAP a unit.

    Parameters
    ----------
    {adata}
    units
        Which units, in this order; the `n` whose activity varies most between cells if `None`.
    n
        How many units at most, where none are named.
    color
        An `obs` column or a gene to draw first, with the names of categories among the cells.
    basis
        Coordinates in `adata.obsm`; `f"X_{key}_umap"`, or else `"X_umap"`, if `None`.
    {key}
    layer
        Layer with the values of a gene; `.X` if `None`.
    size
        Area of a point, in points²; by the number of cells if `None`.
    ncols
        Panels side by side at most.
    cmap
        Colour map. Every panel has its own colour bar, from the 1st to the 99th percentile of its unit.

    Returns
    -------
    One axes a panel, by the name of the unit ("0", "1", …); that of `color` first, by its name.

    Raises
    ------
    KeyError
        No representation, no such coordinates, or nothing called `color`.
    IndexError
        No such unit.
    """
    activity = get.representation(adata, key=key)
    points = adata.obsm[_basis(adata, basis, key)]
    panels: dict[str, Categories | Numbers] = {} if color is None else {color: read_colours(adata, color, layer=layer)}
    panels |= {name: numbers(name, activity[name].to_numpy()) for name in _chosen(activity, units, n)}

    columns = min(ncols, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(columns * (PANEL + 0.7), rows * (PANEL + 0.3)), layout="constrained", squeeze=False
    )
    for ax in grid.ravel()[len(panels) :]:
        ax.remove()
    axes = dict(zip(panels, grid.ravel(), strict=False))
    for name, ax in axes.items():
        colours = panels[name]
        drawn = draw_points(ax, np.asarray(points), colours, size=size, cmap=cmap)
        ax.set_title(name if name == color else f"unit {name}", fontsize="medium")
        if isinstance(colours, Numbers):
            bar = figure.colorbar(drawn, ax=ax, extend=colours.extend, shrink=0.7, aspect=15, pad=0.02)
            bar.ax.tick_params(labelsize="small")
            bar.ax.grid(visible=False)
            bar.ax.locator_params(nbins=4)
            bar.set_label("" if name == color else "activity", fontsize="small")
        elif len(colours.labels) <= ON_DATA_UP_TO:
            name_groups(ax, np.asarray(points), colours, panel=PANEL)
        else:
            add_legend(ax, colours, loc="center left", bbox_to_anchor=(1, 0.5))
    return axes


def _basis(adata: AnnData, basis: str | None, key: str) -> str:
    """Name of the coordinates; `"umap"` may stand for `"X_umap"`, as in scanpy."""
    wanted = [Fields(key).umap(), "X_umap"] if basis is None else [basis, f"X_{basis}"]
    for name in wanted:
        if name in adata.obsm:
            return name
    msg = (
        f"adata.obsm has no {wanted[0]!r}. Run `modulae.tl.embeddings(adata)` first, "
        f"or choose with basis= one of {list(adata.obsm)}."
    )
    raise KeyError(msg)


def _chosen(activity: pd.DataFrame, units: Sequence[int | str] | None, n: int) -> list[str]:
    """Take the named units, or those that vary most."""
    if isinstance(units, str):
        msg = f"units is the text {units!r}; give a list: units=[{units!r}]."
        raise TypeError(msg)
    if units is not None:
        return [unit_name(unit, list(activity.columns)) for unit in units]
    return [str(name) for name in activity.var().sort_values(ascending=False, kind="stable").index[:n]]
