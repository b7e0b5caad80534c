"""Run the benchmarks: all, or those named; `--short` takes seconds and writes nothing."""

from __future__ import annotations

import sys

from . import engines, enrichment, explanations, growth, import_time, saliency, settings

BENCHMARKS = {
    "engines": engines.run,
    "saliency": saliency.run,
    "explanations": explanations.run,
    "enrichment": enrichment.run,
    "growth": growth.run,
    "import_time": import_time.run,
    "settings": settings.run,
}

if __name__ == "__main__":
    words = sys.argv[1:]
    for name in [word for word in words if not word.startswith("-")] or BENCHMARKS:
        print(BENCHMARKS[name](short="--short" in words), flush=True)
