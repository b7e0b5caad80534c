"""Numbers as a reader wants them."""

from __future__ import annotations

import math

MINUS = "−"
NO_NUMBER = "–"


def six_digits(value: float) -> float | None:
    """Six digits, enough for any use of a page at half the bytes; `None` where there is no number."""
    return float(f"{float(value):.6g}") if math.isfinite(value) else None


def signed(value: float | None) -> str:
    """Always with a sign, one digit after the point, two below 1."""
    if value is None or not math.isfinite(value):
        return NO_NUMBER
    text = f"{value:+.2f}" if abs(value) < 1 else f"{value:+.1f}"
    return text.replace("-", MINUS)


def percent(share: float) -> str:
    """One digit after the point below 10 %."""
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


def chance(q: float | None) -> str:
    """A q-value."""
    if q is None:
        return NO_NUMBER
    if q >= 0.001:
        return f"{q:.2g}"
    return f"{q:.0e}".replace("e-0", "e-").replace("-", MINUS) if q > 0 else "0"


def whole(n: int) -> str:
    """With a thin space between thousands."""
    return f"{n:,}".replace(",", "\u202f")
