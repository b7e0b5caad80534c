"""How much longer `import modulae` takes than `import scanpy`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from . import table

ALTERNATIVES = ("import scanpy", "import scanpy, modulae", "import modulae")


def run(*, short: bool) -> str:
    """Interleave fresh interpreters; medians."""
    seconds: dict[str, list[float]] = {code: [] for code in ALTERNATIVES}
    for _ in range(2 if short else 15):
        for code, found in seconds.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            found.append(time.perf_counter() - start)
    base = statistics.median(seconds["import scanpy"])
    rows = [
        {
            "command": f"`python -c '{code}'`",
            "median, s": f"{statistics.median(found):.2f}",
            "least–most, s": f"{min(found):.2f}–{max(found):.2f}",
            "ratio": f"{statistics.median(found) / base:.2f}",
        }
        for code, found in seconds.items()
    ]
    return table.write(
        "import_time",
        "Import time",
        "Fresh interpreters, interleaved, after one warm-up of the file cache.",
        rows,
        short=short,
    )
