"""Every unit at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from modulae import get
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import replication_entry
from modulae._adata.stored.results import UNITS
from modulae.core.checks import check_integer
from modulae.pl._draw.grid import draw_grid, ink, negative_cells
from modulae.pl._draw.heatmap import DIVERGING, text_width
from modulae.pl._draw.labels import set_labels, short_name
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import flagged_units, unflagged
from modulae.pl._draw.style import enlarged, font

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from numpy.typing import NDArray

    from modulae.pl._draw.selection import Flagged

CAVEAT_LABELS = {
    "library_size": "library size",
    "mitochondrial": "mitochondrial",
    "ribosomal": "ribosomal",
    "cell_cycle": "cell cycle",
    "dissociation": "dissociation",
}
WIDTHS = {"effect": 1.5, "reproducibility": 0.9, "stability": 0.9, "caveats": 5 * 0.36}
"""Inches of the panels."""
ROW_HEIGHT = 0.19
"""Height of a row, inches."""
BAR, DEAD, BACK = "#0072b2", "0.75", "#009e73"
COMES_BACK = 0.9
MOST_UNITS = 60
"""Units that are drawn where nobody says how many: of more the rows are too many to look at."""
MAX_LENGTH, MAX_SET = 44, 34
"""Characters of a name, and of a set."""
HEAD = "best gene set (q ≤ 0.05)"


@public
@literal
def unit_summary(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, n_units: int | None = MOST_UNITS
) -> dict[str, Axes]:
    """Draw one row per programme: name, effect, reproducibility, possible technical causes, and best gene set.

    Units have the names of :func:`modulae.tl.unit_summary`; on the right is the best gene set with q ≤ 0.05.
    "As 3" means redundant with unit 3. In the squares, correlations that count as caveats are written as numbers, and
    others that are clearly negative carry a dash; light grey is unknown, and a line says why. With `n_units=None`, grey
    bars are dead units, and grey dots, left of the dotted line, units that may be chance: they have no name.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_units}
    n_units
        Units to draw at most, those of largest effect that have a name, that :func:`modulae.tl.transfer` did not flag
        and that are not technical; a line says how many are left out, and why. All units if `None`: also those that may
        be chance, are dead or flagged, with a note.

    Returns
    -------
    A dict with the Axes by name: `"effect"`, `"caveats"`, and `"reproducibility"` and `"stability"` where these are
    known.

    Raises
    ------
    KeyError
        No such result.
    ValueError
        `n_units` is not an integer above 0; or all units are flagged.

    See Also
    --------
    modulae.get.unit_summary : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.unit_summary(adata)
    >>> list(mo.pl.unit_summary(adata))
    ['effect', 'caveats']
    """
    if n_units is not None:
        check_integer("n_units", n_units, minimum=1, give="a whole number of at least 1, or None for all units")
    table = get.unit_summary(adata, key=key, result=result)
    key = UNITS.find(adata, key=key, result=result).key
    flagged = flagged_units(adata, key)
    shown, left_out = (table, "") if n_units is None else _chosen(table, flagged, key, n_units)
    names = _names(shown, flagged)
    unknown = [name for name in ("reproducibility", "stability") if shown[name].isna().all()]
    panels = {name: inches * enlarged() for name, inches in WIDTHS.items() if name not in unknown}
    sets = _sets(shown)
    sides = text_width(names) + text_width([*sets, HEAD]) + 1.6 * enlarged()
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(sum(panels.values()) + sides, enlarged() * (ROW_HEIGHT * len(shown) + 1.6)),
        layout="constrained",
        sharey=True,
        width_ratios=list(panels.values()),
    )
    by_name = dict(zip(panels, axes, strict=True))
    _draw_effect(by_name["effect"], shown, names)
    if "reproducibility" in by_name:
        level = float(replication_entry(adata, key)["level"])
        _draw_dots(by_name["reproducibility"], shown["reproducibility"], "reproducibility", level)
    if "stability" in by_name:
        _draw_dots(by_name["stability"], shown["stability"], "comes back\nwith |r|", COMES_BACK)
    _draw_caveats(by_name["caveats"], shown, sets)
    of = "" if len(shown) == len(table) else f" ({len(shown)} of {len(table)})"
    by_name["effect"].set_ylabel(f"programme{of}", fontsize=font(1.5))
    notes = [f"{left_out}; n_units=None draws all"] * bool(left_out) + _grey(shown)
    if notes:
        figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=font(), color="0.35")
    return by_name


def _grey(shown: pd.DataFrame) -> list[str]:
    """What light grey squares mean, where there are any."""
    unknown = shown[list(CAVEAT_LABELS)].isna()
    columns = [label for name, label in CAVEAT_LABELS.items() if unknown[name].all()]
    if columns:
        return [f"light grey: unknown, as adata has too few of the genes for it ({', '.join(columns)})"]
    return ["light grey: unknown, as the unit is dead or may be chance"] * bool(unknown.any(axis=None))


def _chosen(table: pd.DataFrame, flagged: Flagged, key: str, n_units: int) -> tuple[pd.DataFrame, str]:
    """The units to draw, and how many are left out, and why; where none has a name, those without one."""
    free = table.iloc[unflagged(list(table.index), flagged, key)]
    silent = free["dead"] | free["below_level"]
    named = free if silent.all() else free[~silent]
    reasons = {
        "of smaller effect": max(len(named) - n_units, 0),
        "that may be chance": int((free["below_level"] & ~free["dead"]).sum()),
        "without effect": int(free["dead"].sum()),
        "that the genes are too few for": len(flagged.unread - flagged.technical),
        "marked as technical": len(flagged.technical),
    }
    if silent.all():
        reasons |= {"that may be chance": 0, "without effect": 0}
    words = ", ".join(f"{n} {why}" for why, n in reasons.items() if n)
    return named.iloc[:n_units], f"left out: {words}" if words else ""


def _draw_effect(ax: Axes, shown: pd.DataFrame, names: list[str]) -> None:
    rows = np.arange(len(shown))
    ax.barh(rows, 100 * shown["effect_share"], color=[DEAD if dead else BAR for dead in shown["dead"]], height=0.75)
    ax.set_yticks(rows, names, fontsize=font())
    ax.set_xlabel("effect,\n% of all", fontsize=font(0.5))
    _plain(ax)


def _draw_dots(ax: Axes, values: pd.Series, label: str, level: float) -> None:
    colours = [BACK if value >= level else DEAD for value in values]
    ax.scatter(values, np.arange(len(values)), color=colours, s=16, zorder=3)
    ax.axvline(level, color="0.6", linewidth=0.8, linestyle=":")
    ax.set_xlim(0, 1.05)
    ax.set_xticks([0, level], ["0", f"{level:g}"])
    ax.set_xlabel(label, fontsize=font(0.5))
    _plain(ax)


def _draw_caveats(ax: Axes, shown: pd.DataFrame, sets: list[str]) -> None:
    values = shown[list(CAVEAT_LABELS)].to_numpy(dtype=np.float64)
    written = np.array([[name in text.split(";") for name in CAVEAT_LABELS] for text in shown["caveats"].fillna("")])
    ax.set_facecolor("0.9")  # shows where a number is NaN
    cells = draw_grid(ax, values, cmap=DIVERGING, limits=(-1, 1))
    _write_caveats(ax, cells, values, written)
    ax.set_xticks(
        np.arange(len(CAVEAT_LABELS)),
        list(CAVEAT_LABELS.values()),
        rotation=45,
        ha="right",
        rotation_mode="anchor",
        fontsize=font(),
    )
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for row, text in enumerate(sets):
        ax.text(len(CAVEAT_LABELS) - 0.3, row, text, va="center", fontsize=font(), clip_on=False)
    if any(sets):
        ax.text(len(CAVEAT_LABELS) - 0.3, -1.0, HEAD, va="center", fontsize=font(), color="0.35")
    bar = ax.figure.colorbar(cells, ax=ax, location="top", shrink=0.9, aspect=22, pad=0.02 + 0.25 / len(shown))
    bar.set_label("rank correlation", fontsize=font(0.5))
    bar.ax.tick_params(labelsize=font())
    bar.set_ticks([-1, 0, 1])


def _write_caveats(ax: Axes, cells: QuadMesh, values: NDArray[np.float64], written: NDArray[np.bool_]) -> None:
    """Write the strong correlations, and a dash into the others that are clearly negative."""
    for row, column in zip(*np.nonzero(written), strict=True):
        r = values[row, column]
        ax.text(
            column,
            row,
            f"{r:.1f}".replace("-", "−"),
            ha="center",
            va="center",
            fontsize=font(-0.5),
            color=ink(tuple(cells.to_rgba(r)[:3])),
        )
    negative_cells(ax, np.where(written, np.nan, values), cells, highest=1.0, across=6 * enlarged())


def _names(shown: pd.DataFrame, flagged: Flagged) -> list[str]:
    """What each unit is called, with its number next to the axis."""
    names = []
    for unit, row in shown.iterrows():
        aside = ["technical"] if row["technical"] else ["flagged"] * (unit in flagged)
        notes = aside + ["dead"] * bool(row["dead"])
        notes += ["may be chance"] * bool(row["below_level"])
        notes += [f"as {row['redundant_with']}"] * pd.notna(row["redundant_with"])
        note = f" ({', '.join(notes)})" if notes else ""
        words = short_name(str(row["name"]), MAX_LENGTH) if pd.notna(row["name"]) else ""
        names.append(f"{words}{note}   {unit}".lstrip())
    return names


def _sets(shown: pd.DataFrame) -> list[str]:
    """The best set of each unit, "" where there is none."""
    named = shown["set"].dropna()
    labels = dict(zip(named.index, set_labels([str(name) for name in named], width=MAX_SET)[1], strict=True))
    return [labels.get(unit, "") for unit in shown.index]


def _plain(ax: Axes) -> None:
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=font())
    ax.grid(visible=False)
