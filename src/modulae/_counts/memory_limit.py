"""How many bytes counts may take, as users say it."""

from __future__ import annotations

from modulae.core.checks import is_integer

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def read_bytes(limit: str | int) -> int:
    """Bytes of a memory limit such as `"4GB"`.

    Raises
    ------
    ValueError
        No number of bytes.
    """
    number: float = 0
    if is_integer(limit):
        number = limit
    elif isinstance(limit, str):
        text = limit.strip().upper()
        unit = next((unit for unit in sorted(UNITS, key=len, reverse=True) if text.endswith(unit)), "")
        try:
            number = float(text.removesuffix(unit)) * UNITS.get(unit, 1)
        except ValueError:
            number = 0
    if not 0 < number < float("inf"):
        msg = f"memory_limit is {limit!r}; give a number of bytes, or a text such as '4GB' or '500MB'."
        raise ValueError(msg)
    return int(number)
