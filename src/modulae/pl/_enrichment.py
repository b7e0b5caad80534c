"""Gene sets × units as dots: how sure, and in which direction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import ENRICHMENT, unit_names
from modulae._adata.stored.unit_labels import names_of_units, unit_numbers
from modulae.core.checks import check_choice, check_number, given_list
from modulae.pl._draw.dots import DOT_ROOM, draw_dots
from modulae.pl._draw.heatmap import (
    DIVERGING,
    TALLEST,
    ColourScale,
    measured,
    name_sets,
    name_units,
    new_axes,
    title,
)
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import (
    Shown,
    check_n,
    flagged_units,
    leaf_order,
    set_position,
    unflagged,
)
from modulae.pl._draw.style import enlarged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from modulae._adata.stored.results import Stored

FalseDiscoveryRate = Literal["q", "q_correlated", "q_prerank"]

MIN_HEIGHT = 3.0
"""Inches that the legend and the colour bar need above each other."""


@public
@literal
def enrichment(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    q: FalseDiscoveryRate = "q",
    max_q: float = 0.05,
    sets: Sequence[str] | None = None,
    units: Sequence[int | str] | None = None,
    n_sets: int | None = 30,
    n_units: int | None = 25,
    cluster: bool = True,
    cmap: str | Colormap = DIVERGING,
    ax: Axes | None = None,
) -> Axes:
    """Draw which gene sets each programme responds to more than to other genes, one dot for each pair.

    The larger a dot, the smaller q; dots with a dark ring have `q <= max_q`. Red: the genes of the set raise the unit;
    blue: they lower it. Ringed dots below 0 also carry a dash, so that the sign survives a print in grey. The labels of
    the axes say how many of the sets and units are shown. A figure of its own grows with them.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_enrichment}
    q
        Which false discovery rate: `"q"` (against genes like those of the set), `"q_correlated"` (the same, allowing
        for genes that vary together), both with z as colour; or `"q_prerank"` (against random genes), with the
        normalised enrichment score.
    max_q
        Leave out sets and units without any `q` as low as this.
    sets
        Gene sets to draw, in this order; chosen by `max_q` and `n_sets` if `None`.
    units
        Units to draw, by number or name, in this order. If `None` those with a `q` as low as `max_q` for a drawn set,
        except those that are technical or that :func:`modulae.tl.transfer` flagged, which the label counts.
    n_sets
        How many sets at most, those with the smallest p; `None` for no limit.
    n_units
        How many units at most, those with the smallest p for a drawn set; `None` for no limit.
    {cluster}
    cmap
        Colour map, with 0 in the middle.
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such result, gene set or unit.
    ValueError
        Nothing is left to draw.

    See Also
    --------
    modulae.get.enrichment : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.enrich_units(adata, mo.datasets.immune_signatures(), n_permutations=20)
    >>> ax = mo.pl.enrichment(adata, max_q=1.0)
    """
    check_choice("q", q, FalseDiscoveryRate)
    check_number("max_q", max_q, minimum=0, give="a number from 0 to 1, such as 0.05")
    stored = ENRICHMENT.find(adata, key=key, result=result)
    score = "nes" if q == "q_prerank" else "z"
    rates, p, scores = _wide(adata, stored, [q, q.replace("q", "p", 1), score])
    of_units, names, left_out = rates.shape[1], names_of_units(adata, stored.key), ""
    if units is None:
        flagged = flagged_units(adata, stored.key)
        free, left_out = unflagged(list(rates.columns), flagged, stored.key), flagged.words
        rates, p, scores = (table.iloc[:, free] for table in (rates, p, scores))
    else:
        units = unit_numbers(units, of_units, names)
    check_n(n_sets, "n_sets")
    check_n(n_units, "n_units")
    most = n_sets, n_units
    shown = _choose(rates, p, scores, sets=sets, units=units, most=most, max_q=max_q, cluster=cluster)
    shown = replace(shown, of_units=of_units, names=names, left_out=left_out)
    rates, scores = rates.loc[shown.sets, shown.units], scores.loc[shown.sets, shown.units]

    label = "normalised enrichment score" if q == "q_prerank" else "z, against genes like\nthose of the set"
    limit = float(np.abs(np.nan_to_num(scores.to_numpy())).max()) or 1.0
    scale = ColourScale(-limit, limit, label, cmap)
    size = (
        measured(ax)
        if ax
        else (
            enlarged() * max(len(shown.units) * DOT_ROOM, 1.6),
            enlarged() * float(np.clip(len(shown.sets) * DOT_ROOM, MIN_HEIGHT, TALLEST)),
        )
    )
    ax = new_axes(shown, size=size, right=1.6) if ax is None else ax
    draw_dots(ax, rates.to_numpy(), scores.to_numpy(), scale, q=q, max_q=max_q, less="lowers the unit", size=size)
    ax.set_ylabel(name_sets(ax, shown, height=size[1]))
    ax.set_xlabel(name_units(ax, shown, width=size[0]))
    title(ax, "gene sets that programmes respond to", room=size[0] + 2.0)
    return ax


def _wide(adata: AnnData, stored: Stored, columns: Sequence[str]) -> list[pd.DataFrame]:
    """For each column sets × units, both in their own order."""
    entry, table = stored.entry, get.enrichment(adata, key=stored.key, result=stored.name)
    sets, units = [str(name) for name in entry["sets"]], unit_names(np.shape(entry["nes"])[1])
    return [table.pivot(index="set", columns="unit", values=column).loc[sets, units] for column in columns]


def _choose(
    rates: pd.DataFrame,
    p: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    sets: Sequence[str] | None,
    units: Sequence[int] | None,
    most: tuple[int | None, int | None],
    max_q: float,
    cluster: bool,
) -> Shown:
    every_set, every_unit = list(rates.index), list(rates.columns)
    called = rates.to_numpy() <= max_q
    if sets is None:
        rows = np.flatnonzero(called.any(axis=1))
        rows = rows[np.argsort(p.to_numpy()[rows].min(axis=1), kind="stable")][: most[0]]
    else:
        rows = np.array([set_position(name, every_set) for name in map(str, given_list(sets, "sets"))])
    if units is None:
        columns = np.flatnonzero(called[rows].any(axis=0))
        smallest = p.to_numpy()[rows][:, columns].min(axis=0, initial=1.0)
        columns = np.sort(columns[np.argsort(smallest, kind="stable")][: most[1]])
    else:
        columns = np.array(units)
    if len(rows) == 0 or len(columns) == 0:
        lowest = float(rates.to_numpy()[rows].min()) if len(rows) else float(rates.to_numpy().min())
        msg = (
            f"no unit has a gene set with q <= {max_q:g} to draw (the lowest is {lowest:.2g}). Raise max_q, or name "
            "units in units= and sets in sets=."
        )
        raise ValueError(msg)
    drawn = np.nan_to_num(scores.to_numpy()[rows][:, columns])
    if cluster and sets is None:
        rows = rows[leaf_order(drawn)]
    if cluster and units is None:
        columns = columns[leaf_order(drawn.T)]
    return Shown([every_set[i] for i in rows], [every_unit[i] for i in columns], len(every_set), len(every_unit))
