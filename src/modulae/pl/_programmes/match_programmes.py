"""Which programme is which of another model, as a heat map; or in which of several models each is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._programmes.match_programmes import match_programmes as find_matches
from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae._utils.text import verb
from modulae.pl._draw.grid import draw_grid, ink
from modulae.pl._draw.heatmap import SEQUENTIAL, text_width, title
from modulae.pl._draw.labels import short_name, shorten, shortened
from modulae.pl._draw.literal import literal
from modulae.pl._draw.selection import check_n
from modulae.pl._draw.style import enlarged, font, wide_margins

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import NDArray

CELL = 0.24
"""Width and height of a cell, inches."""
MAX_NAME = 36
"""Characters of the name of a programme that are drawn."""
RING = 0.62
"""Width of a ring, as a share of the cell."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn, in its order."""

    values: NDArray[np.float64]  # rows × columns
    found: NDArray[np.bool_]
    rows: list[str]
    columns: list[str]
    heading: str
    beside: list[str]  # at the right end of each row
    of_columns: str = ""  # how many are drawn, if not all


@by_name
@fill_docs
@literal
def match_programmes(
    first: AnnData | pd.DataFrame | Mapping[str, Any] | str | os.PathLike[str],
    second: Any,  # noqa: ANN401
    *,
    names: tuple[str, str] | None = None,
    max_q: float = 0.05,
    n_columns: int | None = 25,
    n_permutations: int = 999,
    seed: int = 0,
    key: str = DEFAULT_KEY,
    cmap: str | Colormap = SEQUENTIAL,
    ax: Axes | None = None,
) -> Axes:
    """Draw how similar the programmes of two models or catalogues are; or, for several, where each one is found.

    Two: every cell is a pair. Programmes that are each other's most similar stand on the diagonal, the most alike
    first, and after them those without a partner. A ring is around what :func:`modulae.match_programmes` counts as
    found. Several: a column for each of them, coloured by the most similar programme there, with a ring where it is
    found, and at the right in how many.

    Parameters
    ----------
    first, second
        As for :func:`modulae.match_programmes`.
    names
        What stands at the axes: what the two are called. `("first", "second")` if `None`; nothing where there are
        several, which have names.
    {max_q_found}
    n_columns
        Programmes of the second to draw at most: partners first, then those that are most similar to any. The label of
        the axis counts them. `None` for no limit. Where there are several, all have their column.
    n_permutations
        How often genes are exchanged.
    {seed}
    {key}
    cmap
        Colour map of the similarities from 0 to 1; what is below 0 has the colour of 0.
    {ax}

    Returns
    -------
    {axes}

    Raises
    ------
    KeyError
        No such model.
    ValueError
        Fewer than 20 genes that both sides have, or no second.

    See Also
    --------
    modulae.match_programmes : The numbers.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata)
    >>> ax = mo.pl.match_programmes(adata, adata.uns["gene_sets"], names=("model", "truth"))
    """
    check_n(n_columns, "n_columns")
    how: dict[str, Any] = {"max_q": max_q, "n_permutations": n_permutations, "seed": seed, "key": key}
    best = find_matches(first, second, **how)
    if isinstance(best.index, pd.MultiIndex):
        shown = _of_several(best)
    else:
        shown = _of_two(best, find_matches(first, second, of="similarity", **how), n_columns)
    if names is None:
        names = ("", "") if shown.beside else ("first", "second")
    ax = _new_axes(shown) if ax is None else ax
    _draw(ax, shown, cmap, max_q)
    ax.set_xlabel("\n".join(filter(None, (shorten(names[1], MAX_NAME), shown.of_columns))), fontsize=font(1.5))
    ax.set_ylabel(shorten(names[0], MAX_NAME), fontsize=font(1.5))
    return ax


def _of_two(best: pd.DataFrame, similarity: pd.DataFrame, most: int | None) -> Shown:
    """Pairs first, the most alike first; then what has no partner; so many columns at most."""
    values = similarity.to_numpy(dtype=np.float64)
    partner = values.argmax(axis=1)
    order = np.lexsort((-values.max(axis=1), ~best["reciprocal"], ~best["found"]))
    paired = partner[order][best["reciprocal"].to_numpy()[order]]
    rest = [column for column in np.argsort(-values.max(axis=0), kind="stable") if column not in set(paired)]
    columns = np.concatenate([paired, np.array(rest, dtype=np.intp)])[:most]
    found = np.zeros(values.shape, dtype=bool)
    found[np.arange(len(values)), partner] = best["found"]
    n_found = int(best["found"].sum())
    return Shown(
        values[order][:, columns],
        found[order][:, columns],
        _labels(similarity.index[order]),
        _labels(similarity.columns[columns]),
        f"{n_found} of {len(best)} programmes {verb(n_found)} found again",
        [],
        "" if len(columns) == values.shape[1] else f"({len(columns)} of {values.shape[1]})",
    )


def _of_several(best: pd.DataFrame) -> Shown:
    """Programmes that most have first."""
    others, programmes = (best.index.unique(level) for level in ("other", "programme"))
    tables = [best[column].unstack("other").loc[programmes, others] for column in ("similarity", "found")]
    values, found = tables[0].to_numpy(dtype=np.float64), tables[1].to_numpy(dtype=bool)
    order = np.lexsort((-values.mean(axis=1), -found.sum(axis=1)))
    return Shown(
        values[order],
        found[order],
        _labels(programmes[order]),
        shortened([str(other) for other in others], MAX_NAME),
        "where programmes are found again",
        [f"{n} of {len(others)}" for n in found[order].sum(axis=1)],
    )


def _labels(names: pd.Index) -> list[str]:
    """Names of legible length; different names stay different."""
    labels = [short_name(str(name), MAX_NAME) for name in names]
    return labels if len(set(labels)) == len(labels) else shortened([str(name) for name in names], MAX_NAME)


def _size(shown: Shown) -> tuple[float, float]:
    """Inches of the cells."""
    rows, columns = shown.values.shape
    return enlarged() * CELL * columns, enlarged() * CELL * rows


def _new_axes(shown: Shown) -> Axes:
    """A figure with room for cells and names."""
    width, height = _size(shown)
    names, below = text_width(shown.rows, font(1)), text_width(shown.columns, font(1))
    across = names + width + text_width(shown.beside, font(1)) + 1.7 * enlarged()
    return plt.subplots(figsize=(across, height + below + 1.0 * enlarged()), layout=wide_margins())[1]


def _draw(ax: Axes, shown: Shown, cmap: str | Colormap, max_q: float) -> None:
    cells = draw_grid(ax, shown.values, cmap=cmap, limits=(0, 1), lines="0.9")
    rows, columns = np.nonzero(shown.found)
    ax.scatter(
        columns,
        rows,
        s=(RING * 72 * CELL * enlarged()) ** 2,
        facecolors="none",
        edgecolors=[ink(tuple(cells.to_rgba(value)[:3])) for value in shown.values[rows, columns]],
        linewidths=1.3,
        zorder=3,
        gid="found",
    )
    n_rows, n_columns = shown.values.shape
    ax.set_xticks(np.arange(n_columns), shown.columns, fontsize=font(1), rotation=90)
    ax.set_yticks(np.arange(n_rows), shown.rows, fontsize=font(1))
    ax.tick_params(length=0)
    for row, text in enumerate(shown.beside):
        ax.text(n_columns - 0.3, row, text, va="center", fontsize=font(1), clip_on=False)
    bar = ax.figure.colorbar(cells, ax=ax, shrink=0.6, aspect=14, pad=0.03 + 0.4 * bool(shown.beside) / n_columns)
    bar.set_label(f"similarity (r)\nringed: found, q ≤ {max_q:g}", fontsize=font(1))
    bar.set_ticks([0, 0.5, 1], labels=["≤ 0", "0.5", "1"])
    bar.ax.tick_params(labelsize=font(1))
    bar.ax.grid(visible=False)
    title(ax, shown.heading, room=_size(shown)[0] + 2.4 * enlarged())
