"""Colours of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import is_color_like, to_hex, to_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

SMALL_PALETTES = (
    ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd"),
    ("#1845fb", "#ff5e02", "#c91f16", "#c849a9", "#adad7d", "#86c8dd", "#578dff", "#656364"),
    ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
"""Petroff (2021), arXiv:2107.02270: told apart by readers with any colour vision; of 6, 8 and 10 colours."""

BACKGROUND = "0.87"
"""Cells that others are drawn over."""


def category_colours(adata: AnnData, name: str, n: int) -> list[str]:
    """Colours of the categories of an `obs` column: scanpy's, where it has stored enough, or else a palette.

    Unlike scanpy this writes nothing, as no picture does. And the palette is not scanpy's default where one of ten
    colours or less will do: without green-sensitive cones two of those are hardly told apart.
    """
    stored = adata.uns.get(f"{name}_colors")
    if stored is not None and len(stored) >= n and all(is_color_like(str(colour)) for colour in stored):
        return [to_hex(str(colour), keep_alpha=True) for colour in list(stored)[:n]]
    return palette(n)


def palette(n: int) -> list[str]:
    """Colours for `n` categories."""
    for few in SMALL_PALETTES:
        if n <= len(few):
            return list(few[:n])
    return _large(n)


def unlike(used: Sequence[str], n: int) -> list[str]:
    """Colours for `n` further categories beside those in use: the first of a large palette that are clearly others."""
    from scanpy.plotting import palettes

    pool = [*SMALL_PALETTES[2], *palettes.default_20, *palettes.default_102]
    result: list[str] = []
    for nearest in (0.3, 0.15, -1.0):  # distance in RGB that is asked for, as long as there is such a colour
        for colour in pool:
            others = np.array([to_rgb(other) for other in [*used, *result, BACKGROUND]])
            if len(result) < n and np.linalg.norm(others - to_rgb(colour), axis=1).min() > nearest:
                result.append(colour)
    return (result * n)[:n]


def _large(n: int) -> list[str]:
    """Take one of scanpy's palettes, and start it around again where even they end."""
    from scanpy.plotting import palettes

    for many in (palettes.default_20, palettes.default_28, palettes.default_102):
        if n <= len(many):
            return list(many[:n])
    return [palettes.default_102[i] for i in np.arange(n) % len(palettes.default_102)]
