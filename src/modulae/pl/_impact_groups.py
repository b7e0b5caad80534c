"""Sets × units, one heat map a group."""

from __future__ import annotations

import warnings
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Literal

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import IMPACT, Stored
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import names_of_units
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.checks import check_choice
from modulae.get._impact_table import ALL_CELLS
from modulae.pl._draw.heatmap import (
    SMALLEST,
    ColourScale,
    below,
    colour_bar,
    draw_cells,
    make_scale,
    name_sets,
    name_units,
    text_width,
)
from modulae.pl._draw.labels import set_labels, shortened
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import Shown, Wanted, choose, flagged_units
from modulae.pl._draw.style import enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

GroupValue = Literal["within", "impact"]
SMALL_CELL = (0.105, 0.145)
"""Width and height of a cell, inches: smaller than in a heat map of its own."""
WIDEST = 15.0
"""Inches that the panels side by side may take."""

ALIKE = 0.98
"""Correlation with the first panel from which on a panel shows nothing new."""


@public
@literal
def impact_groups(
    adata: AnnData,
    *,
    groupby: str,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    groups: Sequence[str] | None = None,
    value: GroupValue = "impact",
    sets: Sequence[str] | None = None,
    units: Sequence[int | str] | None = None,
    n_sets: int | None = 20,
    n_units: int | None = 25,
    min_impact: float = 0.0,
    min_unit_impact: float = 0.25,
    cluster: bool = True,
    ncols: int | None = None,
    cmap: str | Colormap | None = None,
) -> dict[str, Axes]:
    """Draw the impact of gene sets on units in every group, one panel per group (Kinalis et al. 2019, Fig. 2 and S3).

    All panels have the same rows, columns and colours.

    Parameters
    ----------
    {adata}
    groupby
        The `obs` column that :func:`modulae.tl.pathway_impact` was given.
    {key}
    {result={key}_impact_{groupby}}
    groups
        Groups to draw, in this order; all of the result if `None`.
    value
        `"impact"`: how each group differs from its reference, scaled for each group, so that ±1 is its largest
        difference whatever its size (:func:`modulae.get.impact` has these numbers, :func:`modulae.get.impact_table` the
        unscaled ones); cells that are clearly negative carry a dash. `"within"`: the impact over each group's own
        cells, after a panel of all cells. A unit is read from the same genes everywhere, so these panels are often
        nearly the same; a warning then says so.
    {sets}
    {units}
    {n_sets}
    {n_units}
    {min_impact}
    min_unit_impact
        Leave out units whose largest absolute value on the drawn sets is lower.
    {cluster}
    ncols
        Panels side by side; as many as fit a page if `None`.
    {cmap_impact}

    Returns
    -------
    A dict with the Axes of each panel, by the name of the group; that of all cells is `"all cells"`.

    Raises
    ------
    KeyError
        No such result, group, gene set or unit.
    ValueError
        Nothing is left to draw.

    Warns
    -----
    UserWarning
        All panels are nearly the same.

    See Also
    --------
    modulae.get.impact : The numbers.
    modulae.pl.impact : One group, larger.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_impact(adata, mo.datasets.immune_signatures(), groupby="phase", null=None)
    >>> list(mo.pl.impact_groups(adata, groupby="phase"))
    ['G1', 'G2M', 'S']
    """
    check_choice("value", value, GroupValue)
    stored = _comparison(adata, key, result, groupby)
    every, others = ([str(name) for name in stored.entry[part]] for part in ("groups", "references"))
    references = dict(zip(every, others, strict=True))
    names = every if groups is None else _known(stored, groups)
    panels: list[tuple[str, str | None]] = [(name, name) for name in names]
    if value == "within":
        panels.insert(0, (ALL_CELLS, None))
    table = partial(get.impact, adata, key=stored.key, result=stored.name)
    drawn = [table(group=group, value=value) for _, group in panels]
    unscaled: Literal["within_unscaled", "unscaled"] = "within_unscaled" if value == "within" else "unscaled"
    ties = [table(group=group, value=unscaled) for _, group in panels]
    flagged, unit_names = flagged_units(adata, stored.key), names_of_units(adata, stored.key)
    bounds = n_sets, n_units, min_impact, min_unit_impact
    wanted = Wanted(sets, units, *bounds, cluster, flagged, stored.key, unit_names)
    shown = choose(drawn, ties, wanted)

    tables = {name: values.loc[shown.sets, shown.units] for (name, _), values in zip(panels, drawn, strict=True)}
    if value == "within":
        _say_if_alike(list(tables.values()))
    against = {references[name] for name in names}
    difference = (
        f"the group against {against.pop() if len(against) == 1 else 'its reference'},\nscaled per group (largest: ±1)"
    )
    label = difference if value == "impact" else "impact (largest: 1)"
    scale = make_scale(drawn, label=label, difference=value == "impact", scaled=True, cmap=cmap)
    what = f"impact of gene sets, by {groupby}"
    return _draw(tables, shown, scale, what=what, ncols=ncols)


def _comparison(adata: AnnData, key: str, result: str | None, groupby: str) -> Stored:
    stored = IMPACT.find(adata, key=key, result=result, groupby=groupby)
    if not stored.is_comparison:
        run = step("tl.pathway_impact", "gene_sets", key=stored.key, groupby=groupby, key_added=result)
        msg = f"{stored.name!r} compares no groups. Run {run} first, or name another result: result=."
        raise KeyError(msg)
    return stored


def _known(stored: Stored, groups: Sequence[str]) -> list[str]:
    if isinstance(groups, str) or len(groups) == 0:
        msg = f"groups is {groups!r}; give a list of names, or leave it out to draw all."
        raise TypeError(msg)
    return [str(stored.entry["groups"][stored.group_position(group)]) for group in groups]  # raises, and lists them


def _say_if_alike(tables: list[pd.DataFrame]) -> None:
    """Warn where every panel is the first one over again."""
    flat = np.stack([table.to_numpy(dtype=np.float64).ravel() for table in tables])
    centred = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    if len(flat) < 2 or length.min() == 0:
        return
    lowest = float((centred[1:] @ centred[0] / (length[1:] * length[0])).min())
    if lowest >= ALIKE:
        warnings.warn(
            f"the {len(flat)} panels are nearly the same (each correlates with the first by {lowest:.3f} or more): "
            'units are read from the same genes in all groups. Draw how the groups differ: value="impact".',
            stacklevel=user_stacklevel(),
        )


def _draw(
    tables: dict[str, pd.DataFrame], shown: Shown, scale: ColourScale, *, what: str, ncols: int | None
) -> dict[str, Axes]:
    width = enlarged() * max(len(shown.units) * SMALL_CELL[0], SMALLEST[0])
    height = enlarged() * max(len(shown.sets) * SMALL_CELL[1], SMALLEST[1])
    size = (width, height)
    columns = ncols or int(np.clip(enlarged() * WIDEST // (width + 0.1), 1, np.ceil(len(tables) ** 0.5)))
    columns = min(columns, len(tables))
    rows = -(-len(tables) // columns)
    names = text_width(set_labels(shown.sets)[1])
    per_line = int(11 * width / enlarged())
    short = shortened(list(tables), 2 * per_line - 4)
    heads = {name: fill(words, per_line) for name, words in zip(tables, short, strict=True)}
    above = 0.45 + 0.17 * any("\n" in head for head in heads.values())
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(
            names + columns * (width + 0.15) + 1.6 * enlarged(),
            rows * height + (rows * above + 0.6) * enlarged() + below(shown),
        ),
        layout="constrained",
        squeeze=False,
    )
    for ax in grid.ravel()[len(tables) :]:
        ax.remove()
    axes = dict(zip(tables, grid.ravel(), strict=False))
    for number, (name, ax) in enumerate(axes.items()):
        image = draw_cells(ax, tables[name], scale, size=size)
        lowest = number + columns >= len(tables)  # nothing below
        if number % columns == 0:
            sets_label = name_sets(ax, shown, height=height)
        else:
            ax.set_yticks([])
        if lowest:
            units_label = name_units(ax, shown, width=width)
        else:
            ax.set_xticks([])
        ax.set_title(heads[name], fontsize="medium")
        if number == columns - 1:
            colour_bar(ax, image, scale, size=size)
    figure.suptitle(what, fontsize="large")
    figure.supylabel(sets_label, fontsize="medium", ma="center")
    figure.supxlabel(units_label, fontsize="medium")
    return axes
