"""Which units of a consensus come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_CONSENSUS
from modulae._adata.stored.models import model_entry
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged, wide_margins

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

RANGE, MEAN, EFFECT = "#56b4e9", "#0072b2", "0.55"
UNIT_HEIGHT = 0.19
"""Inches that a unit takes."""


@public
@literal
def consensus(adata: AnnData, *, key: str = DEFAULT_CONSENSUS, threshold: float = 0.9, ax: Axes | None = None) -> Axes:
    """Draw how often each unit came back, beside its effect.

    One row per unit, the most important on top: a dot at the mean correlation with the unit's match in the runs, a line
    from the lowest to the highest, and the share of the runs that found it. The bars on the right are the effects.

    Parameters
    ----------
    {adata}
    {key}
    {back_threshold}
    {ax}

    Returns
    -------
    The axes of the correlations; that of the effects is `ax.child_axes[0]`.

    Raises
    ------
    KeyError
        No such model, or one that is not a consensus.

    See Also
    --------
    modulae.get.consensus : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.consensus(adata, n_runs=2, n_latent=8, max_epochs=2)
    >>> ax = mo.pl.consensus(adata)
    """
    table = get.consensus(adata, key=key, threshold=threshold)
    r = np.asarray(model_entry(adata, key)["consensus"]["returns"])
    rows = np.arange(len(table))
    own = ax is None
    if ax is None:
        ax = plt.subplots(
            figsize=(6.4 * enlarged(), (1.4 + UNIT_HEIGHT * len(table)) * enlarged()), layout=wide_margins()
        )[1]
    ax.hlines(rows, r.min(axis=1), r.max(axis=1), color=RANGE, linewidth=3, label="lowest to highest run")
    ax.scatter(table["stability"], rows, color=MEAN, s=22, zorder=3, label="mean over the runs")
    ax.axvline(threshold, color="0.3", linestyle="--", linewidth=1, label=f"counts as back: {threshold:g}")
    ax.set(
        xlim=(min(0.0, float(r.min())), 1.02),
        ylim=(len(table) - 0.4, -0.6),
        xlabel="|r| of its activity with that of its match",
        ylabel="unit",
    )
    ax.set_yticks(rows, [str(unit) for unit in table.index], fontsize="x-small")
    ax.set_title(f"{(table['back'] == 1).sum()} of {len(table)} units are back in every run", fontsize="medium")
    if own:
        ax.figure.legend(loc="outside lower center", ncols=3, fontsize="small", frameon=False, handlelength=2)
    else:
        ax.legend(loc="best", fontsize="small", frameon=False, handlelength=2)
    ax.grid(visible=False)
    ax.spines[["top", "right"]].set_visible(False)

    beside = ax.inset_axes((1.08, 0, 0.28, 1))
    beside.barh(rows, table["effect"], color=EFFECT, height=0.7)
    beside.set(ylim=ax.get_ylim(), yticks=[], xlabel="rise of loss without it\n(per cell and gene)")
    beside.grid(visible=False)
    beside.spines[["top", "right"]].set_visible(False)
    beside.locator_params(axis="x", nbins=3)
    return ax
