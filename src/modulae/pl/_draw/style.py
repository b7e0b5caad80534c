"""What the user has asked of every figure: through matplotlib's rcParams and scanpy's settings, which are only read."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.layout_engine import ConstrainedLayoutEngine

FONT = 7.0
"""Size of small labels, points, where text is as large as matplotlib makes it by itself."""
USUAL_TEXT = 10.0
"""matplotlib's `font.size`."""
SCANPYS_FIGURE = (4.0, 4.0)
"""What :func:`scanpy.set_figure_params` sets where no figsize is asked for."""
RASTER_FROM = 10_000
"""From here on points are drawn as one bitmap: vector files of that many are slow to open."""


def enlarged() -> float:
    """How much larger than usual text is to be; what holds text grows with it."""
    return float(mpl.rcParams["font.size"]) / USUAL_TEXT


def font(more: float = 0.0) -> float:
    """Size of small labels, points."""
    return (FONT + more) * enlarged()


def figure_size(width: float, height: float) -> tuple[float, float]:
    """Inches of a figure of one axes: `figure.figsize` where somebody has set it, or else ours."""
    asked = _asked()
    return (width * enlarged(), height * enlarged()) if asked is None else asked


def panel_side(side: float) -> float:
    """Inches of a panel, which is a square: as large as fits `figure.figsize` where somebody has set it, or else ours.

    As in scanpy, that is the size of one panel, and the figure has room for all of them.
    """
    asked = _asked()
    return side * enlarged() if asked is None else min(asked)


def framed() -> bool:
    """Whether maps of cells have a frame: `frameon` of :func:`scanpy.set_figure_params`."""
    import scanpy as sc

    return bool(getattr(sc.settings, "_frameon", True))  # scanpy shows it nowhere else


def rasterised(n_points: int) -> bool:
    """Whether so many points in a figure become a bitmap; `vector_friendly` of scanpy asks for it in any case."""
    import scanpy as sc

    return n_points > RASTER_FROM or bool(getattr(sc.settings, "_vector_friendly", False))


def wide_margins() -> ConstrainedLayoutEngine:
    """Layout for axes with insets, whose labels matplotlib's own margins are too narrow for."""
    return ConstrainedLayoutEngine(w_pad=0.12)


def _asked() -> tuple[float, float] | None:
    width, height = (float(inches) for inches in mpl.rcParams["figure.figsize"])
    nobodys = (tuple(mpl.rcParamsDefault["figure.figsize"]), SCANPYS_FIGURE)
    return None if (width, height) in nobodys else (width, height)
