"""The genes that stand for one unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import SALIENCY
from modulae._adata.stored.unit_labels import names_of_units, unit_number
from modulae.core.checks import check_choice, check_integer
from modulae.pl._draw.heatmap import measured, title
from modulae.pl._draw.labels import unit_title
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

By = Literal["loading", "saliency"]
LETTERS = 34
"""Of a line of the title."""
RAISES, LOWERS = "#d55e00", "#0072b2"  # vermillion and blue of Okabe & Ito


@public
@literal
def top_genes(
    adata: AnnData,
    unit: int | str,
    *,
    n: int = 10,
    by: By = "loading",
    key: str = DEFAULT_KEY,
    result: str | None = None,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the `n` genes that stand for one programme, or those that its unit is read from.

    By loading, bars are what the unit adds to log1p of the gene's rate; the dark part of each is the unit's share in
    what all units make of the gene. Genes with long dark parts come first: this is the order of names and tables
    (:func:`modulae.get.top_genes`).

    Parameters
    ----------
    {adata}
    unit
        Which unit, by number (counted from 0) or name.
    n
        How many genes; all, if there are fewer.
    by
        `"loading"`: genes that the unit makes. `"saliency"`: genes that it is read from, those of largest absolute
        saliency.
    {key}
    {saliency_result}
    {group}
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such model, result, group or unit.
    ValueError
        A result by group, and no group named; or one of them named without `by="saliency"`; or no gene asked for.

    See Also
    --------
    modulae.get.top_genes : The numbers.
    modulae.get.saliency : Those of `by="saliency"`.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> ax = mo.pl.top_genes(adata, 3)
    """
    check_choice("by", by, By)
    check_integer("n", n, minimum=1)
    if by == "loading" and (result is not None or group is not None):
        msg = 'result= and group= name a saliency. Add by="saliency", or leave them out.'
        raise ValueError(msg)
    drawn = _made(adata, unit, n, key) if by == "loading" else _read(adata, unit, n, key, result=result, group=group)
    if ax is None:
        size = (4.0 * enlarged(), (1.1 + 0.22 * len(drawn.scores)) * enlarged())
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    places, colours = np.arange(len(drawn.scores)), [RAISES if score > 0 else LOWERS for score in drawn.scores]
    pale = drawn.own is not None
    ax.barh(places, drawn.scores.to_numpy(), color=colours, height=0.75, alpha=0.35 if pale else 1.0)
    if drawn.own is not None:
        ax.barh(places, drawn.own, color=colours, height=0.75)
    ax.set_yticks(places, list(drawn.scores.index))
    ax.set_ylim(len(drawn.scores) - 0.4, -0.6)  # strongest gene on top
    ax.axvline(0, color="0.2", linewidth=0.8)
    ax.grid(visible=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=5)
    ax.set(xlabel=drawn.label)
    head = unit_title(drawn.unit, names_of_units(adata, key), per_line=LETTERS, lines=2)
    title(ax, head if group is None else f"{head}\n{group}", room=measured(ax)[0], size="medium")
    return ax


@dataclass(frozen=True, slots=True)
class Drawn:
    """The bars: by gene; the part of each that is the unit's own, if known; what they are."""

    unit: str
    scores: pd.Series
    own: NDArray[np.float64] | None
    label: str


def _made(adata: AnnData, unit: int | str, n: int, key: str) -> Drawn:
    units = list(get.loadings(adata, key=key).columns)
    number = unit_number(unit, len(units), names_of_units(adata, key))
    table = get.top_genes(adata, unit=number, n=n, key=key)
    label = "loading (dark: its share in what\nall programmes make of the gene)"
    return Drawn(units[number], table.set_index("gene")["loading"], table["score"].to_numpy(), label)


def _read(adata: AnnData, unit: int | str, n: int, key: str, *, result: str | None, group: str | None) -> Drawn:
    table = get.saliency(adata, key=key, result=result, group=group)
    name = str(table.columns[unit_number(unit, table.shape[1], names_of_units(adata, key))])
    scores = table[name].dropna()
    scores = scores.loc[scores.abs().sort_values(ascending=False, kind="stable").index[:n]]
    entry = SALIENCY.find(adata, key=key, result=result).entry
    method = str(entry["method"]).replace("_", " ").replace(" x ", " × ")
    return Drawn(name, scores, None, f"mean {method}" if entry["signed"] else f"mean |{method}|")
