"""Programmes × cell types as dots: how much, and how surely, they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import RANKS
from modulae.core.checks import check_number
from modulae.pl._draw.dots import DOT_ROOM, draw_dots
from modulae.pl._draw.heatmap import DIVERGING, TALLEST, ColourScale, measured, text_width, title
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import check_n, flagged_units
from modulae.pl._draw.style import enlarged, font, wide_margins

from .choose import choose_dots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from .choose import Dots

MIN_HEIGHT = 3.0
"""Inches that the legend and the colour bar need above each other."""
STRONGEST = 3.0
"""Standard deviations from which on colours are the same: one unit of a rare cell type would make the others pale."""
EXPLANATION = 2.0
"""Inches on the right, for legend and colour bar."""


@public
@literal
def rank_units(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    group: str | None = None,
    units: Sequence[int | str] | None = None,
    n_units: int | None = 30,
    max_q: float = 0.05,
    cmap: str | Colormap = DIVERGING,
    ax: Axes | None = None,
) -> Axes:
    """Draw which programmes differ between groups, and in which cell types.

    Red: more active in the group; blue: less. The larger a dot, the smaller q; dots with a dark ring have `q <= max_q`,
    and where these are below 0 they carry a dash, so that the sign survives a print in grey. Colours end at 3 standard
    deviations. No dot: no difference. Cell types with too few cells have no column; the axis counts them.
    Columns are in the order of the cell types.

    Parameters
    ----------
    {adata}
    {key}
    result
        Which ranking, such as `"ae_rank_condition"` or what was given as `key_added`; the only one if `None`.
    group
        Draw one of the groups; all that were compared if `None`.
    units
        Units to draw, by number or name, in this order. If `None` those with a `q` as low as `max_q`, the smallest p
        first, except those that are technical or that :func:`modulae.tl.transfer` flagged, which the label counts.
    n_units
        How many units to choose at most; `None` for no limit.
    max_q
        Dots with a larger `q` have no ring.
    cmap
        Colour map of the effects, with 0 in the middle.
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such result, group or unit.
    ValueError
        No unit has a `q` as low as `max_q`.

    See Also
    --------
    modulae.get.rank_units : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.rank_units(adata, "phase", reference="G1")
    >>> ax = mo.pl.rank_units(adata, max_q=1.0)
    """
    check_n(n_units, "n_units")
    check_number("max_q", max_q, minimum=0, give="a number from 0 to 1, such as 0.05")
    stored = RANKS.find(adata, key=key, result=result)
    within = stored.entry["within"]
    compared = ([str(one) for one in stored.entry[part]] for part in ("categories", "groups"))
    dots = choose_dots(
        get.rank_units(adata, key=stored.key, result=stored.name, group=group),
        order=list(zip(*compared, strict=True)),
        units=units,
        n_units=n_units,
        max_q=max_q,
        flagged=flagged_units(adata, stored.key),
        key=stored.key,
        groupby=str(stored.entry["groupby"]),
        within=None if within is None else str(within),
    )
    largest = float(np.nanmax(np.abs(dots.effect))) or 1.0
    limit = min(largest, STRONGEST)
    beyond = f" (±{limit:g} or more)" if largest > limit else ""
    scale = ColourScale(-limit, limit, f"difference, standard\ndeviations of activity{beyond}", cmap)
    size = measured(ax) if ax else _size(dots)
    ax = _new_axes(dots, size) if ax is None else ax
    rates, effects = np.where(np.isnan(dots.q), 1.0, dots.q), np.nan_to_num(dots.effect)
    draw_dots(ax, rates, effects, scale, q="q", max_q=max_q, less="less active", size=size)
    ax.set_yticks(np.arange(len(dots.rows)), dots.rows, fontsize=font())
    ax.set_xticks(np.arange(len(dots.columns)), dots.columns, fontsize=font(), rotation=90)
    ax.tick_params(axis="both", length=0, pad=2)
    ax.set_ylabel(dots.row_label, fontsize=font(1.5))
    left_out = len(stored.entry.get("left_out", ())) if group is None else 0
    few = f"\n({left_out} more with too few cells)" if left_out else ""
    ax.set_xlabel(dots.column_label + few, fontsize=font(1.5))
    title(ax, dots.title, room=size[0] + EXPLANATION)
    return ax


def _size(dots: Dots) -> tuple[float, float]:
    """Inches of the dots."""
    height = float(np.clip(len(dots.rows) * DOT_ROOM, MIN_HEIGHT, TALLEST))
    return enlarged() * max(len(dots.columns) * DOT_ROOM, 1.6), enlarged() * height


def _new_axes(dots: Dots, size: tuple[float, float]) -> Axes:
    """A figure with room for the dots, the names and what explains them."""
    around = text_width(dots.rows) + (EXPLANATION + 0.75) * enlarged(), text_width(dots.columns) + 0.9 * enlarged()
    return plt.subplots(figsize=(size[0] + around[0], size[1] + around[1]), layout=wide_margins())[1]
