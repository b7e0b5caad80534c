"""UMAP of the input beside UMAP of the representation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import matplotlib.pyplot as plt

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import read_layout, warn_of_unplaced
from modulae._adata.stored.steps import step
from modulae.core.checks import check_choice, check_integer
from modulae.pl._draw.literal import literal
from modulae.pl._draw.points import (
    Categories,
    Numbers,
    add_legend,
    draw_points,
    legend_width,
    name_groups,
    of_cells,
    read_colours,
)
from modulae.pl._draw.style import enlarged, panel_side, rasterised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

Legend = Literal["right", "on data"]
EMBEDDING_PANEL = 3.2


@public
@literal
def embeddings(
    adata: AnnData,
    *,
    color: str | None = None,
    key: str = DEFAULT_KEY,
    epochs: Sequence[int] = (),
    layer: str | None = None,
    legend: Legend | None = "right",
    size: float | None = None,
    ncols: int = 4,
    cmap: str | Colormap | None = None,
) -> dict[str, Axes]:
    """Draw the UMAP of the input beside that of the representation (Kinalis et al. 2019, Fig. 1a, 1c and S2).

    Parameters
    ----------
    {adata}
    color
        An `obs` column or a gene. Categories take the colours in `adata.uns[f"{color}_colors"]` where scanpy has stored
        some. Numbers are coloured from their 1st to their 99th percentile.
    {key}
    epochs
        Epochs to draw in between, of those with a snapshot by :func:`modulae.tl.autoencoder` (0: before training).
    {gene_layer}
    legend
        Where the names of categories go: `"right"`, `"on data"` or `None`.
    {size}
    {ncols}
    cmap
        Colour map for numbers; matplotlib's `image.cmap`, which is viridis, if `None`.

    Returns
    -------
    A dict with the Axes of each panel: `"input"`, `"after 10 epochs"`, …, `"representation"`. Cells in random order, or
    the highest number on top; as a bitmap above 10 000 points.

    Raises
    ------
    KeyError
        No embeddings, no snapshot of an epoch, or nothing called `color`.

    See Also
    --------
    modulae.tl.embeddings : Make the UMAPs.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, snapshot_epochs=[0], n_splits=0, max_epochs=2)
    >>> mo.tl.embeddings(adata)
    >>> list(mo.pl.embeddings(adata, color="bulk_labels", epochs=[0]))
    ['input', 'before training', 'representation']
    """
    check_choice("legend", legend, Legend, none="for none")
    check_integer("ncols", ncols, minimum=1)
    bases = _bases(adata, key, epochs)
    colours = None if color is None else read_colours(adata, color, layer=layer)
    columns = min(ncols, len(bases))
    rows = -(-len(bases) // columns)
    right, side = 0.0, panel_side(EMBEDDING_PANEL)
    if isinstance(colours, Numbers):
        right = 0.9 * enlarged()
    elif colours is not None and legend == "right":
        right = legend_width(colours)
    size_of_all = (columns * side + right, rows * (side + 0.3 * enlarged()))
    figure, grid = plt.subplots(rows, columns, figsize=size_of_all, layout="constrained", squeeze=False)
    bitmap = rasterised(adata.n_obs * len(bases))
    for ax in grid.ravel()[len(bases) :]:
        ax.remove()
    axes = dict(zip(bases, grid.ravel(), strict=False))
    for title, ax in axes.items():
        points = read_layout(adata, bases[title])
        shown = warn_of_unplaced(points, f"adata.obsm[{bases[title]!r}]")
        points, drawn_as = points[shown], None if colours is None else of_cells(colours, shown)
        drawn = draw_points(ax, points, drawn_as, size=size, cmap=cmap, rasterized=bitmap)
        ax.set(title=title, xlabel="UMAP 1", ylabel="UMAP 2")
        if isinstance(drawn_as, Categories) and legend == "on data":
            name_groups(ax, points, drawn_as, panel=0.9 * side)
    if isinstance(colours, Numbers):
        bar = figure.colorbar(drawn, ax=list(axes.values()), extend=colours.extend, shrink=0.6, aspect=18, pad=0.02)
        bar.set_label(colours.label)
        bar.ax.grid(visible=False)
    elif colours is not None and legend == "right":
        add_legend(figure, colours, loc="outside right center")
    return axes


def _bases(adata: AnnData, key: str, epochs: Sequence[int]) -> dict[str, str]:
    """Title of each panel → name in `obsm`."""
    if isinstance(epochs, str) or not hasattr(epochs, "__len__"):
        msg = f"epochs is {epochs!r}; give a list: epochs=[{epochs!r}]."
        raise TypeError(msg)
    fields = Fields(key)
    bases = {"input": fields.umap("input"), "representation": fields.umap()}
    absent = [name for name in bases.values() if name not in adata.obsm]
    if absent:
        msg = f"adata.obsm has no {absent[0]!r}. Run {step('tl.embeddings', key=key)} first."
        raise KeyError(msg)
    start = fields.umap("epoch")
    available = sorted(int(name.removeprefix(start)) for name in adata.obsm if name.removeprefix(start).isdigit())
    for epoch in epochs:
        if int(epoch) not in available:
            train = step("tl.autoencoder", f"snapshot_epochs=({epoch},)", key=key)
            msg = (
                f"there is no embedding after {epoch} epochs; there are those after {available}. Train with {train} "
                f"and run {step('tl.embeddings', key=key)} again."
            )
            raise KeyError(msg)
    between = {_title(int(epoch)): fields.umap(f"epoch{int(epoch)}") for epoch in epochs}
    return {"input": bases["input"], **between, "representation": bases["representation"]}


def _title(epoch: int) -> str:
    return "before training" if epoch == 0 else f"after {epoch} epoch" + ("s" if epoch > 1 else "")
