"""The genes that move one unit most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import SALIENCY
from modulae.core.checks import check_integer
from modulae.pl._draw.heatmap import measured, title
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import unit_name
from modulae.pl._draw.style import enlarged

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

RAISES, LOWERS = "#d55e00", "#0072b2"  # vermillion and blue of Okabe & Ito


@public
@literal
def top_genes(
    adata: AnnData,
    unit: int | str,
    *,
    n: int = 10,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    group: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the `n` genes with the largest absolute saliency for one unit.

    Parameters
    ----------
    {adata}
    unit
        Which unit of the representation, counted from 0.
    n
        How many genes; all, if there are fewer.
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
        No such result or group.
    IndexError
        No such unit.
    ValueError
        A result by group, and no group named; or no gene asked for.

    See Also
    --------
    modulae.get.saliency : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.saliency(adata)
    >>> ax = mo.pl.top_genes(adata, 3)
    """
    table = get.saliency(adata, key=key, result=result, group=group)
    name = unit_name(unit, list(table.columns))
    check_integer("n", n, minimum=1)
    scores = table[name].dropna()
    scores = scores.loc[scores.abs().sort_values(ascending=False, kind="stable").index[:n]]
    entry = SALIENCY.find(adata, key=key, result=result).entry

    if ax is None:
        size = (4.0 * enlarged(), (0.9 + 0.22 * len(scores)) * enlarged())
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    places, colours = np.arange(len(scores)), [RAISES if score > 0 else LOWERS for score in scores]
    ax.barh(places, scores.to_numpy(), color=colours, height=0.75)
    ax.set_yticks(places, list(scores.index))
    ax.set_ylim(len(scores) - 0.4, -0.6)  # strongest gene on top
    ax.axvline(0, color="0.2", linewidth=0.8)
    ax.grid(visible=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=5)
    method = str(entry["method"]).replace("_", " ").replace(" x ", " × ")
    ax.set(xlabel=f"mean {method}" if entry["signed"] else f"mean |{method}|")
    words = f"genes that move unit {name}"
    title(ax, words if group is None else f"{words}, {group}", room=measured(ax)[0])
    return ax
