"""The cells that are learnt from: all of few, some of very many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.progress import progress_bar
from modulae.core.training.replication.draw import draw_cells, random_cells, read_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.processes.ranks import Ranks

    from .asked import Asked

MOST_UNSEEN = 5000
"""Held-out cells that say how many units there are, and when training stops, at most."""


def settings_for(n_cells: int, most: int | None, config: Config) -> Config:
    """The settings for as many cells as are learnt from: training takes so many steps, however many cells there are."""
    if most is not None:
        n_cells = min(n_cells, int(np.ceil(most / (1 - config.test_fraction))))
    return config.for_cells(n_cells)


def cells_to_learn(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    asked: Asked | None,
    most: int | None,
    *,
    progress: bool | None,
    ranks: Ranks,
) -> tuple[tuple[Source, NDArray[np.bool_]], Asked | None]:
    """All cells, or where more than `most` are there to learn from, so many of them and some that are held out.

    The latter are in memory. They come with which of them are held out, and with what is asked of them.
    """
    counted = has_counts(cells)
    rows = np.flatnonzero(~test & counted)
    if most is None or len(rows) <= most:
        return (cells, test), asked

    def draw() -> NDArray[np.intp]:
        with progress_bar(len(cells), "choosing cells", "cell", progress=progress, scaled=True) as bar:
            return draw_cells(cells, rows, most, config.seed, bar.update)

    learn = ranks.from_first(draw)
    unseen = random_cells(np.flatnonzero(test & counted), MOST_UNSEEN, config.seed, cells.batch)
    chosen = np.sort(np.concatenate([learn, unseen]))
    if asked is not None and asked.donors is not None:
        asked = replace(asked, donors=asked.donors[chosen])
    return (read_rows(cells.take(chosen)), test[chosen]), asked


def has_counts(cells: Source) -> NDArray[np.bool_]:
    """Cells: whether anything was counted; true of all where there are no size factors."""
    return np.ones(len(cells), dtype=bool) if cells.size_factors is None else cells.size_factors > 0
