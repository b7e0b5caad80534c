"""Names as they are written: matplotlib takes what stands between two `$` for mathematics."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from matplotlib.axes import Axes
from matplotlib.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T", bound=Axes | dict[str, Axes])


def literal(draw: Callable[P, T]) -> Callable[P, T]:
    """Draw every text that a picture writes as it stands, whoever has named what is in it.

    What somebody else has written into the same figure before stays what it was, as do powers on logarithmic axes,
    which are mathematics of matplotlib's own.
    """

    @wraps(draw)
    def drawn(*args: P.args, **given: P.kwargs) -> T:
        ax = given.get("ax")
        before = _texts(ax) if isinstance(ax, Axes) else {}
        result = draw(*args, **given)
        for text, words in _texts(result if isinstance(result, Axes) else next(iter(result.values()))).items():
            if "$" in words and r"\mathdefault" not in words and before.get(text) != words:
                text.set_parse_math(False)
        return result

    return drawn


def _texts(ax: Axes) -> dict[Text, str]:
    """All texts of the figure, with their words."""
    figure: Any = ax.get_figure(root=True)
    return {text: text.get_text() for text in figure.findobj(Text)}
