"""How far an explanation agrees with its controls, and what its top genes are worth."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae.core.sanity.controls import EXPRESSION, LAST_LAYER, SEEDS
from modulae.pl._draw.literal import literal
from modulae.pl._draw.style import enlarged

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

    from modulae.get._sanity import SanityTable

COLOURS = {
    SEEDS: "#0072b2",
    "shuffled counts": "#d55e00",
    "untrained, same start": "0.35",
    "untrained, other start": "0.7",
    LAST_LAYER: "#cc79a7",
    EXPRESSION: "#009e73",
}
"""What should agree, and what should not; told apart by readers with any colour vision."""
SHAPES = {
    SEEDS: "o",
    "shuffled counts": "s",
    "untrained, same start": "^",
    "untrained, other start": "v",
    LAST_LAYER: "D",
    EXPRESSION: "P",
}
"""The same in grey."""

ROW_LABELS = {
    "sets": "all cells,\nsummed over units",
    "set strength": "all cells,\nstrength",
    "groups": "between groups,\nsummed over units",
    "group strength": "between groups,\nstrength",
}
SHORT = {
    "units": "genes of units",
    "sets": "gene sets",
    "set strength": "strength of sets",
    "groups": "sets between groups",
    "group strength": "their strength",
    "deletion": "deletion of genes",
}
"""Levels as the verdict on top calls them."""
SPREAD = 0.11
"""How far apart the kinds of controls stand in a row of the sets."""


@public
@literal
def sanity(adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None) -> dict[str, Axes]:
    """Draw the agreement of an explanation with that of its controls, and the deletion curves, under the verdict.

    Left, one box per kind of control: how the genes of each unit agree (median, middle half, 5th and 95th percentile of
    the units). Middle, one row per level and one dot per control, in the colour of its box: how the sets agree. In
    both, agreement with other seeds should be on the right, everything else on the left. Right: how far a unit's
    activity falls as its top genes are set to 0 (median and middle half of the units), and as others of the same
    expression are.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_sanity}

    Returns
    -------
    A dict with the Axes by name: `"units"`, `"sets"`, `"deletion"`.

    Raises
    ------
    KeyError
        No such result.

    See Also
    --------
    modulae.get.sanity : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> gene_sets = mo.datasets.immune_signatures()
    >>> mo.tl.sanity(adata, gene_sets, n_seeds=1, n_cells=200, max_epochs=1)
    >>> list(mo.pl.sanity(adata))
    ['units', 'sets', 'deletion']
    """
    names: tuple[SanityTable, ...] = ("verdict", "controls", "agreement", "deletion")
    verdict, controls, agreement, curves = (get.sanity(adata, key=key, result=result, table=name) for name in names)
    figure, axes = plt.subplots(
        1, 3, figsize=(13.0 * enlarged(), 3.6 * enlarged()), layout="constrained", width_ratios=(1, 1, 0.9)
    )
    _draw_units(axes[0], agreement, verdict)
    _draw_sets(axes[1], controls, verdict)
    _draw_deletion(axes[2], curves, verdict)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(visible=False)
    figure.suptitle(fill(_verdict(verdict), 85), fontsize="x-large", fontweight="bold")
    return dict(zip(("units", "sets", "deletion"), axes, strict=True))


def _verdict(verdict: pd.DataFrame) -> str:
    """At which levels the explanation is better than its controls."""
    passed = verdict["passed"].to_numpy(dtype=bool)
    if passed.all() or not passed.any():
        return f"The explanation is {'better than its controls' if passed.all() else 'no better than a control'}"
    yes, no = (", ".join(SHORT[str(level)] for level in verdict.index[which]) for which in (passed, ~passed))
    return f"Better than controls: {yes}. No better: {no}"


def _draw_units(ax: Axes, agreement: pd.DataFrame, verdict: pd.DataFrame) -> None:
    kinds = [str(kind) for kind in agreement]
    drawn = ax.boxplot(
        [agreement[kind].to_numpy() for kind in kinds],
        positions=np.arange(len(kinds)),
        orientation="horizontal",
        whis=(5, 95),
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "0.1"},
    )
    for row, (kind, box) in enumerate(zip(kinds, drawn["boxes"], strict=True)):
        box.set(facecolor=COLOURS[kind], alpha=0.75)
        look: dict[str, Any] = {"marker": SHAPES[kind], "color": COLOURS[kind], "clip_on": False, "linestyle": "none"}
        ax.plot(0.025, row, transform=ax.get_yaxis_transform(), gid="key", **look)
    _rows(ax, kinds)
    ax.set(xlabel="agreement over genes (rank correlation)")
    ax.set_title(f"genes of each unit ({_judged(verdict, 'units')})", fontsize="medium")


def _draw_sets(ax: Axes, controls: pd.DataFrame, verdict: pd.DataFrame) -> None:
    levels = [level for level in verdict.index if level in ROW_LABELS]
    kinds = list(controls["kind"].unique())
    for kind in reversed(kinds):  # other seeds on top
        own = controls.loc[controls["kind"] == kind]
        offset = (kinds.index(kind) - (len(kinds) - 1) / 2) * SPREAD
        for row, level in enumerate(levels):
            values = own[level.replace(" ", "_")]
            heights = np.full(len(values), row + offset)
            look = {"marker": SHAPES[kind], "color": COLOURS[kind], "label": kind}
            ax.scatter(values, heights, s=40, linewidths=0.6, edgecolors="white", **look)
    _rows(ax, [f"{ROW_LABELS[level]}\n({_judged(verdict, level)})" for level in levels])
    for row in range(1, len(levels)):
        ax.axhline(row - 0.5, color="0.85", linewidth=0.8, zorder=0)
    ax.set(xlabel="agreement over sets (rank correlation)")
    ax.set_title("gene sets", fontsize="medium")


def _draw_deletion(ax: Axes, curves: pd.DataFrame, verdict: pd.DataFrame) -> None:
    curves = curves.loc[curves["n_deleted"] > 0]
    for column, colour, label in (
        ("random", "0.45", "others of like expression"),
        ("top", COLOURS[SEEDS], "its top genes"),
    ):
        low, middle, high = (curves.groupby("share")[column].quantile(q) for q in (0.25, 0.5, 0.75))
        ax.fill_between(middle.index, low, high, color=colour, alpha=0.25, linewidth=0)
        ax.plot(middle.index, middle, color=colour, linewidth=2, marker="o", markersize=3, label=label)
        height = 1.17 if column == "random" else 1.09  # above all curves, which start at 1
        ax.text(0.98, height, label, transform=ax.get_yaxis_transform(), color=colour, ha="right", va="center")
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.set(ylim=(0, 1.24), yticks=np.linspace(0, 1, 6), xlabel="genes set to 0", ylabel="activity that is left")
    ax.set_title(f"deletion of genes ({_judged(verdict, 'deletion')})", fontsize="medium")


def _rows(ax: Axes, labels: list[str]) -> None:
    """One row per label, the first on top, on a scale that holds all correlations there are."""
    ax.set_yticks(np.arange(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    ax.set_xlim(min(-0.25, ax.get_xlim()[0]), 1.05)


def _judged(verdict: pd.DataFrame, level: str) -> str:
    passed = bool(verdict.loc[level, "passed"])
    if level == "deletion":
        return "further than others" if passed else "no further than others"
    return "better than controls" if passed else "no better than a control"
