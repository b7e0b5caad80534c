"""How many units there are, and how surely each would be found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import replication_entry
from modulae._adata.stored.unit_labels import names_of_units
from modulae._utils.text import verb
from modulae.pl._draw.heatmap import text_width
from modulae.pl._draw.labels import unit_labels
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged, font

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

UNITS, EXPLAINED, CHANCE = "#0072b2", "#d55e00", "0.75"
HEIGHT, ROW_HEIGHT, MARGINS = 3.6, 0.15, 1.0
"""Inches of the left side, of a unit, and above and below the units."""


@public
@literal
def replication(adata: AnnData, *, key: str = DEFAULT_KEY) -> dict[str, Axes]:
    """Draw how many programmes both halves of the cells find, and how surely each would be found again.

    Left, for each number of programmes that the halves looked for: below, how many both halves find alike; above, how
    much of the variance of held-out cells these explain. The dashed line marks the number that was taken, the smallest
    that explains as much as any. Right: one bar per programme, the probability that a model of as many new cells has it
    again. Those below the dotted line, in grey, may be chance.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    A dict with the Axes by name: `"explained"`, `"sizes"`, `"units"`.

    Raises
    ------
    KeyError
        No such model, or one that was trained once.

    See Also
    --------
    modulae.get.replication : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata)
    >>> list(mo.pl.replication(adata))
    ['explained', 'sizes', 'units']
    """
    units, sizes = get.replication(adata, key=key), get.replication(adata, key=key, of="sizes")
    entry = replication_entry(adata, key)
    level = float(entry["level"])
    n_few = int(units["few_cells"].sum())
    height = max(HEIGHT, ROW_HEIGHT * len(units) + MARGINS)
    labels = unit_labels(list(units.index), names_of_units(adata, key))
    figure = plt.figure(figsize=(8.4 * enlarged() + text_width(labels), height * enlarged()), layout="constrained")
    rows = [HEIGHT / 2, HEIGHT / 2, *([height - HEIGHT] if height > HEIGHT else [])]
    grid = figure.add_gridspec(len(rows), 2, width_ratios=(1.1, 1), height_ratios=rows)
    axes = {"explained": figure.add_subplot(grid[0, 0])}
    axes["sizes"] = figure.add_subplot(grid[1, 0], sharex=axes["explained"])
    axes["units"] = figure.add_subplot(grid[:, 1])
    counted = "halves find alike" if entry["min_likeness"] else "both halves find"
    _draw_sizes(axes["explained"], axes["sizes"], sizes, counted=counted, n_few=n_few)
    _draw_units(axes["units"], units, names_of_units(adata, key), level=level)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=False)
    return axes


def _draw_sizes(above: Axes, below: Axes, sizes: pd.DataFrame, *, counted: str, n_few: int) -> None:
    above.plot(sizes.index, 100 * sizes["explained"], color=EXPLAINED, marker="s", markersize=4)
    below.plot(sizes.index, sizes["n_units"], color=UNITS, marker="o", markersize=4)
    above.set(xscale="log", ylabel="held-out variance\nexplained, %")
    above.tick_params(labelbottom=False)
    below.set(xlabel="number looked for in each half", ylabel=f"programmes that\n{counted}")
    below.set_ylim(0, 1.12 * max(1, sizes["n_units"].max()))
    below.yaxis.set_major_locator(MaxNLocator(integer=True))
    below.set_xticks(sizes.index, [str(size) for size in sizes.index], fontsize=font(1))
    below.xaxis.set_minor_locator(NullLocator())
    size, together = int(sizes.index[sizes["taken"]][0]), int(sizes["n_units"][sizes["taken"]].iloc[0])
    for ax in (above, below):
        ax.axvline(size, color="0.2", linestyle="--", linewidth=1, zorder=0)
    few = f", {n_few} of few cells" if n_few else ""
    words = f"{size} looked for: {together} {verb(together, 'comes', 'come')} back{few}"
    middle = np.sqrt(sizes.index[0] * sizes.index[-1])
    above.annotate(
        words,
        (size, 1),
        xycoords=above.get_xaxis_transform(),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right" if size > middle else "left",
        va="bottom",
        fontsize="small",
    )


def _draw_units(ax: Axes, units: pd.DataFrame, names: Mapping[str, str], *, level: float) -> None:
    values = units["reproducibility"].sort_values(ascending=False, kind="stable")
    sure = units["replicates"].loc[values.index]
    rows = np.arange(len(values))
    ax.barh(rows, values, color=[UNITS if yes else CHANCE for yes in sure], height=0.75)
    ax.set_yticks(rows, unit_labels(list(values.index), names), fontsize=font())
    ax.set(ylim=(len(values) - 0.4, -0.6), xlim=(0, 1), ylabel="programme")
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("probability that new cells show it again")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.axvline(level, color="0.2", linestyle=":", linewidth=1)
    grey = "" if sure.all() else " (grey: may be chance)"
    ax.set_title(f"{int(sure.sum())} of {len(values)} reach {level:.0%}{grey}", fontsize="medium")
