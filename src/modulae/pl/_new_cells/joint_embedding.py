"""Reference cells beside new cells, in one UMAP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.columns.reference_labels import UNKNOWN
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import warn_of_unplaced
from modulae._adata.stored.results import JOINT
from modulae.pl._draw.literal import literal
from modulae.pl._draw.palette import BACKGROUND, palette, unlike
from modulae.pl._draw.points import (
    Categories,
    Numbers,
    add_legend,
    draw_points,
    legend_width,
    name_groups,
    of_cells,
    point_size,
    read_colours,
    style_axes,
)
from modulae.pl._draw.style import enlarged, panel_side, rasterised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

JOINT_PANEL = 4.0
NOT_KNOWN = "0.1"
"""Colour of new cells of no label, which must stand out from the reference behind them."""


@public
@literal
def joint_embedding(
    adata: AnnData,
    *,
    color: str | None = None,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    layer: str | None = None,
    size: float | None = None,
    cmap: str | Colormap | None = None,
) -> dict[str, Axes]:
    """Draw the reference, with its labels, beside the new cells, where the reference lies behind them in grey.

    New cells on grey are like reference cells there; new cells on white are unlike any. Labels that reference and new
    cells share have one colour.

    Parameters
    ----------
    adata
        The new cells, after :func:`modulae.tl.joint_embedding`.
    color
        An `obs` column or a gene that colours the new cells; if `None` the labels of :func:`modulae.tl.classify`, or
        else one colour. `"unknown"` is black.
    {key}
    {result=X_{key}_joint}
    {gene_layer}
    {size}
    cmap
        Colour map for numbers, from their 1st to their 99th percentile; matplotlib's `image.cmap`, which is viridis,
        if `None`.

    Returns
    -------
    A dict with two Axes of the same limits: `"reference"`, with its labels among the cells, and `"new"`.

    Raises
    ------
    KeyError
        No such result, or nothing called `color`.

    See Also
    --------
    modulae.tl.joint_embedding : Make the UMAP.
    modulae.get.joint_embedding : The coordinates.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> mo.tl.joint_embedding(cells, blood, labels="bulk_labels")
    >>> list(mo.pl.joint_embedding(cells))
    ['reference', 'new']
    """
    stored = JOINT.find(adata, key=key, result=result)
    entry, table = stored.entry, get.joint_embedding(adata, key=stored.key, result=stored.name)
    points = table[["x", "y"]].to_numpy()
    shown = warn_of_unplaced(points, f"adata.obsm[{stored.name!r}]")
    points, table = points[shown], table[shown]
    old = (table["of"] == "reference").to_numpy()
    known = None
    if "names" in entry:
        names = [str(name) for name in entry["names"]]
        colours = [str(colour) for colour in entry.get("colors", palette(len(names)))]
        codes = table["label"].cat.codes.to_numpy()[old].astype(np.intp)  # the reference's labels come first
        known = Categories(str(entry["labels"]), codes, names, colours)
    default = Fields(stored.key).label
    color = default if color is None and default in adata.obs else color
    new = None if color is None else read_colours(adata, color, layer=layer)
    new = None if new is None else of_cells(new, shown[-adata.n_obs :])
    if isinstance(new, Categories):
        shared_colours = {} if known is None else dict(zip(known.labels, known.colours, strict=True))
        new = _same_colours(new, shared_colours, stored=f"{color}_colors" in adata.uns)

    side = panel_side(JOINT_PANEL)
    right = 0.9 * enlarged() if isinstance(new, Numbers) else 0.0 if new is None else legend_width(new)
    figure, grid = plt.subplots(1, 2, figsize=(2 * side + right, side + 0.3 * enlarged()), layout="constrained")
    axes = dict(zip(("reference", "new"), grid, strict=True))
    size = point_size(len(points)) if size is None else size
    bitmap = rasterised(len(points) + int(old.sum()))
    axes["new"].scatter(*points[old].T, s=size, color=BACKGROUND, linewidths=0, rasterized=bitmap, gid="reference")
    draw_points(axes["reference"], points[old], known, size=size, cmap=cmap, rasterized=bitmap)
    drawn = draw_points(axes["new"], points[~old], new, size=size, cmap=cmap, rasterized=bitmap)
    for ax in grid:
        style_axes(ax, points)
        ax.set(xlabel="UMAP 1", ylabel="UMAP 2")
    axes["reference"].set_title(f"reference ({old.sum():,} cells)", fontsize="medium")
    axes["new"].set_title(f"new cells ({(~old).sum():,}), reference in grey", fontsize="medium")
    if known is not None:
        name_groups(axes["reference"], points[old], known, panel=0.9 * side)  # the names of the axes take room
    if isinstance(new, Numbers):
        bar = figure.colorbar(drawn, ax=axes["new"], extend=new.extend, shrink=0.6, aspect=18, pad=0.02)
        bar.set_label(new.label)
        bar.ax.grid(visible=False)
    elif new is not None:
        add_legend(figure, new, loc="outside right center")
    return axes


def _same_colours(new: Categories, known: Mapping[str, str], *, stored: bool) -> Categories:
    """Labels of the reference in the reference's colours, the others in colours that are unlike them."""
    if stored and not set(new.labels) & set(known):
        return new
    free = unlike(list(known.values()), len(new.labels))
    colours = [known[label] if label in known else free.pop(0) for label in new.labels]
    return replace(new, colours=[NOT_KNOWN if new.labels[index] == UNKNOWN else c for index, c in enumerate(colours)])
