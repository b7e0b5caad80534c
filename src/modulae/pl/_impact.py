"""Sets × units as a heat map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import IMPACT
from modulae._adata.stored.unit_labels import names_of_units
from modulae.pl._draw.heatmap import (
    PALE,
    ColourScale,
    colour_bar,
    draw_cells,
    grid_size,
    make_scale,
    measured,
    name_sets,
    name_units,
    new_axes,
    title,
)
from modulae.pl._draw.labels import shorten
from modulae.pl._draw.literal import literal
from modulae.pl._draw.overlay import draw_differences
from modulae.pl._draw.selection import Wanted, choose, flagged_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from modulae.get._impact import Value

ROOM = 1.0
ROOM_FOR_OVERLAY = 1.6
LOWEST_OVERLAY = 3.0
"""Inches that the legend and the colour bar need above each other."""


@public
@literal
def impact(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    group: str | None = None,
    value: Value = "impact",
    overlay: bool = False,
    sets: Sequence[str] | None = None,
    units: Sequence[int | str] | None = None,
    n_sets: int | None = 30,
    n_units: int | None = 25,
    min_impact: float = 0.0,
    min_unit_impact: float = 0.25,
    cluster: bool = True,
    cmap: str | Colormap | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the impact of gene sets on units as a heat map (Kinalis et al. 2019, Fig. 1d and, with `overlay`, 1e).

    Only the largest values are shown, and the axes say how many sets and units of how many that is.
    `n_sets=None, n_units=None, min_unit_impact=0` shows everything; the authors' scripts take `min_impact=0.85,
    min_unit_impact=0.7`. A figure of its own grows with the number of sets and units.

    Parameters
    ----------
    {adata}
    {key}
    {impact_result}
    group
        Group whose difference from its reference is drawn; all cells if `None`.
    value
        What to draw, see :func:`modulae.get.impact`. Differences get a diverging colour map with 0 in the middle, and a
        dash in cells that are clearly negative, so that the sign survives a print in grey.
    overlay
        Draw the differences of `group` as triangles over the impact of all cells in grey: upwards where the group has
        more, downwards where it has less, the larger the greater the difference; below 0.2 none.
    {sets}
    {units}
    {n_sets}
    {n_units}
    {min_impact}
    min_unit_impact
        Leave out units whose largest absolute value on the drawn sets is lower. Of an unscaled value, all are drawn.
    {cluster}
    {cmap_impact}
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such result, group, gene set or unit.
    ValueError
        Nothing is left to draw.

    See Also
    --------
    modulae.get.impact : The numbers.
    modulae.pl.impact_groups : All groups side by side.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_impact(adata, mo.datasets.immune_signatures())
    >>> ax = mo.pl.impact(adata, n_sets=10)
    """
    difference = group is not None and not value.startswith("within")
    if overlay and (group is None or value != "impact"):
        msg = (
            "overlay=True draws the difference between a group and its reference: name it in group=, leave out value=."
        )
        raise ValueError(msg)
    scaled = not value.endswith("unscaled")
    stored = IMPACT.find(adata, key=key, result=result)
    table = partial(get.impact, adata, key=stored.key, result=stored.name)
    unscaled: Value = "within_unscaled" if value.startswith("within") else "unscaled"
    drawn, ties = [table(group=group, value=value)], [table(group=group, value=unscaled)]
    if overlay:
        drawn, ties = [table(), *drawn], [table(value="unscaled"), *ties]
    flagged, names = flagged_units(adata, stored.key), names_of_units(adata, stored.key)
    wanted = Wanted(
        *(sets, units, n_sets, n_units, min_impact, min_unit_impact if scaled else 0.0),
        *(cluster, flagged, stored.key, names),
    )
    shown = choose(drawn, ties, wanted)
    tables = [table.loc[shown.sets, shown.units] for table in drawn]

    against = ""
    if difference and group is not None:
        against = str(stored.entry["references"][stored.group_position(group)])
    words = _words(group, against, difference=difference, overlay=overlay, scaled=scaled)
    scale = make_scale(tables[:1], label=words, difference=difference and not overlay, scaled=scaled, cmap=cmap)
    if overlay and cmap is None:
        scale = ColourScale(scale.lowest, scale.highest, scale.label, PALE)
    size = measured(ax) if ax else grid_size(shown, lowest=LOWEST_OVERLAY) if overlay else grid_size(shown)
    ax = new_axes(shown, size=size, right=ROOM_FOR_OVERLAY if overlay else ROOM) if ax is None else ax
    image = draw_cells(ax, tables[0], scale, size=size)
    colour_bar(ax, image, scale, size=size, share=0.5 if overlay else 1.0)
    if overlay:
        draw_differences(ax, tables[1], group=str(group), size=size)
    ax.set_ylabel(name_sets(ax, shown, height=size[1]))
    ax.set_xlabel(name_units(ax, shown, width=size[0]))
    over = "all cells" if group is None else f"{group} vs {against}" if difference else str(group)
    title(ax, f"impact of gene sets, {over}", room=size[0] + 2 * ROOM)
    return ax


def _words(group: str | None, against: str, *, difference: bool, overlay: bool, scaled: bool) -> str:
    if overlay:
        return "impact, all cells (largest: 1)"
    if difference:
        what = f"{shorten(str(group), 20)}\nagainst {shorten(against, 20)}"
        return f"{what} (largest: ±1)" if scaled else what
    return "impact (largest: 1)" if scaled else "impact (unscaled)"
