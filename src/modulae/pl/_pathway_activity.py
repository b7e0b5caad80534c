"""In which cells each gene set is expressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.layouts import read_layout
from modulae._adata.stored.results import ACTIVITY
from modulae.core.checks import given_list
from modulae.pl._draw.labels import set_labels
from modulae.pl._draw.literal import literal
from modulae.pl._draw.panels import draw_panels, find_basis
from modulae.pl._draw.points import Categories, Numbers, numbers, read_colours
from modulae.pl._draw.selection import check_n

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap


TITLE = 27
"""Characters of a set name that fit above a panel."""


@public
@literal
def pathway_activity(
    adata: AnnData,
    sets: Sequence[str] | None = None,
    *,
    n: int = 8,
    percentile: bool = False,
    color: str | None = None,
    basis: str | None = None,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    layer: str | None = None,
    size: float | None = None,
    ncols: int = 4,
    cmap: str | Colormap | None = None,
) -> dict[str, Axes]:
    """Draw how strongly every cell expresses gene sets, one UMAP per set.

    Parameters
    ----------
    {adata}
    sets
        Which sets, in this order; the `n` whose score varies most between cells if `None`.
    n
        How many sets at most, where none are named.
    {percentile}
    {color}
    {basis}
    {key}
    {result={key}_pathways}
    {gene_layer}
    {size}
    {ncols}
    cmap
        Colour map; matplotlib's `image.cmap`, which is viridis, if `None`. That of percentiles goes from 0 to 100; 50
        is what random sets have.

    Returns
    -------
    A dict with the Axes of each panel, by the name of the set; that of `color` first, by its name.

    Raises
    ------
    KeyError
        No such result, set or coordinates, or nothing called `color`.

    See Also
    --------
    modulae.get.pathway_activity : The scores.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_activity(adata, mo.datasets.immune_signatures())
    >>> list(mo.pl.pathway_activity(adata, ["B_CELL"], color="bulk_labels", basis="X_umap_scanpy"))
    ['bulk_labels', 'B_CELL']
    """
    stored = ACTIVITY.find(adata, key=key, result=result)
    scores = get.pathway_activity(adata, key=stored.key, result=stored.name, percentile=percentile)
    chosen = _chosen(scores, sets, n)
    points = read_layout(adata, find_basis(adata, basis, stored.key))
    panels: dict[str, Categories | Numbers] = {} if color is None else {color: read_colours(adata, color, layer=layer)}
    for name in chosen:
        values = scores[name].to_numpy(dtype=np.float64)
        panels[name] = Numbers(name, values, 0.0, 100.0) if percentile else numbers(name, values)
    titles = dict(zip(chosen, set_labels(chosen, width=TITLE)[1], strict=True))
    if color is not None:
        titles[color] = color
    measures = dict.fromkeys(chosen, "percentile among\nrandom sets" if percentile else "score")
    return draw_panels(points, panels, titles, size=size, ncols=ncols, cmap=cmap, measures=measures)


def _chosen(scores: pd.DataFrame, sets: Sequence[str] | None, n: int) -> list[str]:
    """Take the named sets, or those that vary most."""
    if sets is None:
        check_n(n, "n")
        return [str(name) for name in scores.var().sort_values(ascending=False, kind="stable").index[:n]]
    named = [str(name) for name in given_list(sets, "sets")]
    absent = [name for name in named if name not in scores]
    if absent:
        msg = f"there is no set {absent[0]!r} among the scores. Choose from {list(scores)}."
        raise KeyError(msg)
    return named
