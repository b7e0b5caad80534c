"""Where in the UMAP each unit is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.layouts import read_layout
from modulae._adata.stored.unit_labels import effects_of_units, names_of_units, unit_numbers
from modulae.pl._draw.labels import unit_title
from modulae.pl._draw.literal import literal
from modulae.pl._draw.panels import draw_panels, find_basis
from modulae.pl._draw.points import Categories, Numbers, numbers, read_colours
from modulae.pl._draw.selection import check_n, flagged_units, unflagged
from modulae.pl._draw.style import font

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

TITLE = 30
"""Characters of a line above a panel."""


@public
@literal
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
    cmap: str | Colormap | None = None,
) -> dict[str, Axes]:
    """Draw how active programmes are in every cell, one UMAP per programme.

    Parameters
    ----------
    {adata}
    units
        Which units, by number or name, in this order. If `None` the `n` that explain most, except those that are
        technical or that :func:`modulae.tl.transfer` flagged (a line says how many are left out): by their effect,
        after :func:`modulae.tl.unit_summary`, and before it by the variance that they make in the genes (of log1p of
        the rates).
    n
        How many units at most, where none are named.
    {color}
    {basis}
    {key}
    {gene_layer}
    {size}
    {ncols}
    cmap
        Colour map; matplotlib's `image.cmap`, which is viridis, if `None`. Every panel has its own colour bar, from the
        1st to the 99th percentile of its unit.

    Returns
    -------
    A dict with the Axes of each panel, by the name of the unit ("0", "1", …); that of `color` first, by its name.

    Raises
    ------
    KeyError
        No representation, no such coordinates or unit, or nothing called `color`.
    ValueError
        All units are flagged, and none is named; or `color` is called like a unit that is drawn.

    See Also
    --------
    modulae.get.representation : The numbers.
    modulae.tl.embeddings : Make a UMAP of the representation.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> list(mo.pl.units(adata, [3, 5], color="bulk_labels", basis="X_umap_scanpy"))
    ['bulk_labels', '3', '5']
    """
    activity = get.representation(adata, key=key)
    points = read_layout(adata, find_basis(adata, basis, key))
    panels: dict[str, Categories | Numbers] = {} if color is None else {color: read_colours(adata, color, layer=layer)}
    chosen = _chosen(adata, activity, units, n, key)
    if color in chosen:
        msg = f"color={color!r} is also the name of a unit, so that two panels would have one name. Rename the column."
        raise ValueError(msg)
    panels |= {name: numbers(name, activity[name].to_numpy()) for name in chosen}

    names = names_of_units(adata, key)
    titles = {name: name if name == color else unit_title(name, names, per_line=TITLE, lines=2) for name in panels}
    measures = {name: "activity" for name in panels if name != color}
    axes = draw_panels(points, panels, titles, size=size, ncols=ncols, cmap=cmap, measures=measures)
    if units is None and len(chosen) < activity.shape[1]:
        figure, words = axes[chosen[0]].figure, flagged_units(adata, key).words
        note = f"{len(chosen)} of {activity.shape[1]} programmes{words and f', {words}'}; units=[...] draws others"
        figure.supxlabel(note, x=0.01, ha="left", fontsize=font(), color="0.35")
    return axes


def _chosen(adata: AnnData, activity: pd.DataFrame, units: Sequence[int | str] | None, n: int, key: str) -> list[str]:
    """Take the named units, or those that explain most."""
    every = list(activity.columns)
    if units is not None:
        return [every[at] for at in unit_numbers(units, len(every), names_of_units(adata, key))]
    check_n(n, "n")
    free = unflagged(every, flagged_units(adata, key), key)
    most = np.argsort(-_explained(adata, activity, key)[free], kind="stable")
    return [every[at] for at in free[most][:n]]


def _explained(adata: AnnData, activity: pd.DataFrame, key: str) -> NDArray[np.float64]:
    """How much each unit explains: its effect, or the variance that it makes in the genes, or else its own."""
    effects, field = effects_of_units(adata, key), Fields(key).loadings
    if effects is not None and len(effects) == activity.shape[1]:
        return effects
    variance = activity.var().to_numpy(dtype=np.float64)
    if field not in adata.varm or adata.varm[field].shape[1] != len(variance):
        return variance
    loadings = get.loadings(adata, key=key).to_numpy(dtype=np.float64)
    made = np.nansum(loadings**2, axis=0)
    of_one_deviation = bool((loadings < 0).any())  # of `architecture="orthogonal"`; the others have no sign
    return np.asarray(made if of_one_deviation else made * variance)
