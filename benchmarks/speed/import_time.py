"""How much longer `import scanpy, modulae` takes than `import scanpy`."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

from benchmarks import table

BASE = "import scanpy"
ALTERNATIVES = (BASE, "import scanpy, modulae", "import scanpy, modulae; modulae.tl.autoencoder", "import modulae")


def measure(code: str) -> tuple[float, float]:
    """Seconds on the clock, and of the processor, that a fresh interpreter takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run(*, short: bool) -> str:
    """Interleave fresh interpreters, every other round backwards; medians."""
    found: dict[str, list[tuple[float, float]]] = {code: [] for code in ALTERNATIVES}
    for code in found:
        measure(code)  # fills the file cache
    for turn in range(2 if short else 7):
        for code in ALTERNATIVES[:: 1 if turn % 2 else -1]:
            found[code].append(measure(code))
    medians = {code: [statistics.median(kind) for kind in zip(*times, strict=True)] for code, times in found.items()}
    rows = [
        {
            "command": f"`python -c '{code}'`",
            "median, s": f"{clock:.3f}",
            "least–most, s": f"{min(found[code])[0]:.2f}–{max(found[code])[0]:.2f}",
            "ratio": f"{clock / medians[BASE][0]:.3f}",
            "processor, median, s": f"{processor:.3f}",
            "its ratio": f"{processor / medians[BASE][1]:.3f}",
        }
        for code, (clock, processor) in medians.items()
    ]
    return table.write(
        "import_time",
        "Import time",
        "Fresh interpreters, interleaved, after one warm-up of the file cache. The names of modulae are imported\n"
        "when they are first used, as in the third row. If the clock is disturbed, see the processor's seconds.",
        rows,
        short=short,
    )
