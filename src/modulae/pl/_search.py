"""Stability of the units against the error of the model, over settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import figure_size

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STABILITY, LOSS = "#0072b2", "#d55e00"  # blue and vermillion of Okabe & Ito
NEAR = 0.1
"""Share of the range of losses from which on a loss is not as good as the lowest."""
FLATTEST = 0.2
"""Range of stability that the axis covers at least: smaller differences are not to look large."""
NEEDED_COLUMNS = {"stability", "loss"}


@by_name
@fill_docs
@literal
def search(table: pd.DataFrame, x: str = "n_latent", *, ax: Axes | None = None) -> Axes:
    """Draw how stable the units are, and how well held-out cells are described, over one setting.

    A dashed line recommends a setting: the most stable of those whose loss is as good as the lowest, but for 10 % of
    the range of losses. Look whether the loss hardly falls after it, and the units still come back, as in the choice
    of the number of components by consensus NMF (Kotliar et al. 2019, *eLife* 8:e43803, Fig. 1).

    Parameters
    ----------
    table
        What :func:`modulae.tl.search` returned, one row per setting.
    x
        Column with the setting: `"n_latent"`, `"orthogonality"`, … Rows that differ in another setting are means.
    {ax}

    Returns
    -------
    The axes of the stability, the mean absolute correlation of each unit with its match in another seed. The held-out
    loss has an axis of its own on the right, `ax.figure.axes[-1]`; its error bars are the standard deviation over
    seeds.

    Raises
    ------
    KeyError
        A table without that column, or that is not from a search.
    ValueError
        No stability: it takes two seeds.

    See Also
    --------
    modulae.tl.search : Make the table.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200)
    >>> table = mo.tl.search(adata, {"n_latent": [4, 8], "max_epochs": [2]}, seeds=[0, 1])
    >>> ax = mo.pl.search(table)
    """
    absent = [name for name in (x, *sorted(NEEDED_COLUMNS)) if name not in table]
    if absent:
        msg = f"the table has no column {absent[0]!r}; it has {list(table)}. Give what `mo.tl.search` returned."
        raise KeyError(msg)
    if table["stability"].isna().all():
        msg = "no setting has a stability: it takes two seeds or more. Search with seeds=(0, 1)."
        raise ValueError(msg)
    means = table.groupby(x, sort=True)[[*sorted(NEEDED_COLUMNS), *(["loss_sd"] if "loss_sd" in table else [])]].mean()
    places = np.arange(len(means))
    ax = plt.subplots(figsize=figure_size(5.4, 3.6), layout="constrained")[1] if ax is None else ax
    ax.plot(places, means["stability"], color=STABILITY, marker="o", linewidth=2)
    beside = ax.twinx()
    spread = means.get("loss_sd")
    beside.errorbar(places, means["loss"], yerr=spread, color=LOSS, marker="s", linewidth=2, linestyle="--", capsize=3)
    ax.set_xticks(places, [f"{value:g}" if isinstance(value, int | float) else str(value) for value in means.index])
    recommended = _recommended(means)
    ax.axvline(recommended, color="0.35", linestyle="--", linewidth=1, zorder=0)
    ax.set_title(f"recommended: {x} = {ax.get_xticklabels()[recommended].get_text()}", fontsize="medium")
    ax.set(xlabel=x, ylim=_around(means["stability"]))
    ax.set_ylabel("● stability: mean |r| with another seed", color=STABILITY)
    beside.set_ylabel("■ Poisson loss of held-out cells", color=LOSS)
    for own in (ax, beside):
        own.grid(visible=False)
        own.spines["top"].set_visible(False)
    return ax


def _recommended(means: pd.DataFrame) -> int:
    """Place of the most stable setting among those that describe held-out cells nearly as well as the best."""
    loss = means["loss"].to_numpy(dtype=np.float64)
    near = loss <= np.nanmin(loss) + NEAR * (np.nanmax(loss) - np.nanmin(loss))
    return int(np.nanargmax(np.where(near, means["stability"].fillna(-1.0), -np.inf)))


def _around(values: pd.Series) -> tuple[float, float]:
    """Limits of the axis of stability: where the values are, so that a trend shows."""
    lowest, highest = float(values.min()), float(values.max())
    margin = max(0.15 * (highest - lowest), (FLATTEST - (highest - lowest)) / 2)
    return max(lowest - margin, 0.0), min(highest + margin, 1.02)
