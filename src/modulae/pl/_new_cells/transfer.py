"""How well each programme of a transferred model can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.container import BarContainer

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.unit_labels import names_of_units
from modulae.core.checks import check_choice
from modulae.pl._draw.heatmap import measured, text_width, title
from modulae.pl._draw.labels import unit_labels
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged, font

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

Sort = Literal["reliability", "coverage", "unit"]

TRUSTED, FLAGGED = "#0072b2", "#e69f00"  # blue and orange of Okabe & Ito
COLUMN = 0.135
"""Width of a unit, inches."""
NARROWEST = 2.6
AROUND = 2.4
"""Inches for the axis on the left and the legend on the right."""


@public
@literal
def transfer(adata: AnnData, *, key: str = DEFAULT_KEY, sort: Sort = "reliability", ax: Axes | None = None) -> Axes:
    """Draw how well each programme of a transferred model can be read from the genes of these cells.

    One bar per unit: its reliability, the expected correlation with the unit as read from all its genes. The bars of
    flagged units end below the dashed line, and are hatched in another colour. The diamond is the unit's coverage: the
    share of its absolute saliency that the genes of these cells carry. The title says how many of the model's genes are
    in the data.

    Parameters
    ----------
    {transferred}
    {key}
    sort
        Order of the units: `"reliability"` or `"coverage"`, the best first, or `"unit"`, by number.
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such model, or one that was trained on these cells.
    ValueError
        No such order.

    See Also
    --------
    modulae.get.transfer : The numbers.

    Examples
    --------
    >>> blood = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(blood, n_splits=0, max_epochs=2)
    >>> cells = mo.datasets.pbmc68k()[:, ::2].copy()
    >>> mo.tl.transfer(cells, blood)
    >>> ax = mo.pl.transfer(cells)
    """
    check_choice("sort", sort, Sort)
    table = get.transfer(adata, key=key)
    if sort != "unit":
        table = table.sort_values(sort, ascending=False, kind="stable")
    labels = unit_labels(list(table.index), names_of_units(adata, key))
    if ax is None:
        size = enlarged() * np.array([max(COLUMN * len(table), NARROWEST) + AROUND, 2.7])
        size[1] += text_width(labels)
        ax = plt.subplots(figsize=tuple(size), layout="constrained")[1]
    _draw_bars(ax, table)
    at_hand = round(table.attrs["share_of_genes"] * table.attrs["n_model_genes"])
    genes = f"{at_hand:,} of the model's {table.attrs['n_model_genes']:,} genes found"
    units = f"{table['trusted'].sum()} of {len(table)} programmes can be read"
    words = f"{genes} ({_percent(table.attrs['share_of_genes'])})\n{units}"
    title(ax, words, room=measured(ax)[0], size="medium")
    _name_units(ax, labels)
    ax.set_ylabel("reliability of the programme")
    handles, names = ax.get_legend_handles_labels()
    bars_first = sorted(range(len(names)), key=lambda at: not isinstance(handles[at], BarContainer))
    ax.legend(
        [handles[at] for at in bars_first],
        [names[at] for at in bars_first],
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        fontsize="small",
        handlelength=2,
    )
    return ax


def _draw_bars(ax: Axes, table: pd.DataFrame) -> None:
    trusted, limit = table["trusted"].to_numpy(), table.attrs["min_reliability"]
    kinds: list[tuple[Any, str, dict[str, Any]]] = [
        (trusted, "read well enough", {"color": TRUSTED, "linewidth": 0}),
        (~trusted, "flagged", {"facecolor": FLAGGED, "edgecolor": "black", "linewidth": 0.5, "hatch": "/////"}),
    ]
    for chosen, words, look in kinds:
        places = np.flatnonzero(chosen)
        if len(places):
            label = f"{words} ({len(places)})"
            ax.bar(places, table["reliability"].to_numpy()[places], width=0.75, label=label, **look)
    ax.scatter(
        np.arange(len(table)),
        table["coverage"],
        marker="D",
        s=13,
        facecolor="white",
        edgecolor="black",
        linewidth=0.7,
        zorder=3,
        clip_on=False,
        label="coverage",
    )
    ax.axhline(limit, color="black", linewidth=1, linestyle="--", label=f"flagged below {limit:g}")
    ax.set(xlim=(-0.7, len(table) - 0.3), ylim=(0, 1.0))
    ax.grid(visible=False)
    ax.spines[["top", "right"]].set_visible(False)


def _name_units(ax: Axes, units: list[str]) -> None:
    upright = len(units) > 12 or max(map(len, units)) > 3
    ax.set_xticks(np.arange(len(units)), units, fontsize=font() if upright else None, rotation=90 if upright else 0)
    ax.tick_params(axis="x", length=0, pad=2)
    ax.set_xlabel("programme")


def _percent(share: float) -> str:
    """Whole percents, but no 100 % where a gene is missing, and no 0 % where one is there."""
    rounded = round(100 * share)
    if rounded == 100 and share < 1:
        return "> 99 %"
    return "< 1 %" if rounded == 0 and share > 0 else f"{rounded} %"
