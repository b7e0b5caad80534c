"""The two large maps of the cells, drawn by Bokeh.

Of the libraries that can be put into a page, Bokeh draws 20 000 cells with zoom, hover and two maps that move together,
and fits: its bundle has 1.3 MB, plotly.js as its Python package has it 4.8 MB (the page may have 5), and altair needs
vl-convert, 33 MB, to put Vega into a page. Bokeh's WebGL is left out: it writes its shaders with `eval`, which the page
forbids, takes 0.2 MB more, and without a graphics card a click took 0.5 s with it and 0.2 s without (20 000 cells, both
on a busy machine). The small maps on the cards are 64 pictures of the same cells: the page counts cells into pixels for
those, as no library draws 64 × 20 000 points at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .material import Column

MAP = "BuPu"
"""Pale to dark, as in the heat maps of `pl`: read the same by every colour vision, and in print."""
PALEST = 0.13
"""Where the scale begins: a cell without activity can still be seen on white."""
NO_VALUE_COLOUR = "#c9ced6"


def activity_colours() -> list[str]:
    """256 colours from little to much."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colour) for colour in colormaps[MAP](np.linspace(PALEST, 1, 256))]


def map_document(columns: list[Column]) -> dict[str, Any]:
    """What Bokeh in the page is told to draw; the cells come from the page's own arrays, at a click."""
    from bokeh.document import Document
    from bokeh.models import ColumnDataSource, HoverTool, LinearColorMapper, Range1d

    ranges = {"x_range": Range1d(start=-0.03, end=1.03, name="x"), "y_range": Range1d(start=-0.03, end=1.03, name="y")}
    mapper = LinearColorMapper(palette=activity_colours(), low=0, high=1, name="activity_colours")
    document, roots = Document(), {}
    for kind in ["activity", "groups"][: 2 if columns else 1]:
        fields = ("x", "y", "activity", "words", "cell", "group", "colour")
        source = ColumnDataSource({name: [] for name in fields}, name=f"{kind}_cells")
        plot = _empty_map(kind, ranges)
        colour: Any = {"field": "activity", "transform": mapper} if kind == "activity" else "colour"
        drawn = plot.scatter("x", "y", source=source, size=4, fill_color=colour, line_color=None, name=f"{kind}_points")
        drawn.nonselection_glyph = None
        tips = [("cell", "@cell"), ("group", "@group"), ("activity", "@words")]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips if columns else [tips[0], tips[2]]))
        if kind == "groups":
            _add_labels(plot)
        document.add_root(plot)
        roots[kind] = plot.id
    return {"json": document.to_json(deferred=False), "roots": roots}


def _empty_map(kind: str, ranges: dict[str, Any]) -> Any:  # noqa: ANN401
    from bokeh.plotting import figure

    options: dict[str, Any] = {  # Bokeh's types do not know all that `figure` takes
        "name": kind,
        "sizing_mode": "stretch_both",
        "tools": "pan,wheel_zoom,box_zoom,reset,save",
        "active_drag": None,  # a finger on a narrow window scrolls the page
        "toolbar_location": "above",
        "outline_line_color": "#d5dae1",
        "min_border": 2,
    }
    plot = figure(**options, **ranges)
    plot.toolbar.logo = None
    plot.axis.visible = False
    plot.grid.visible = False
    return plot


def _add_labels(plot: Any) -> None:  # noqa: ANN401
    """The names of the groups, on the cells."""
    from bokeh.models import ColumnDataSource

    source = ColumnDataSource({name: [] for name in ("x", "y", "text")}, name="labels")
    look = {"text_align": "center", "text_baseline": "middle", "text_font_size": "12px", "text_font_style": "bold"}
    ground = {"background_fill_color": "white", "background_fill_alpha": 0.75, "padding": 1, "border_radius": 3}
    plot.text("x", "y", text="text", source=source, text_color="#1b1f24", **look, **ground)
