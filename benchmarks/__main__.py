"""Run the benchmarks: all, or those named; `--short` takes seconds and writes nothing."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = (
    "activity",
    "batches",
    "consensus",
    "denoising",
    "engines",
    "enrichment",
    "explanations",
    "false_positives",
    "gpu",
    "growth",
    "import_time",
    "missing_genes",
    "modules",
    "paper_clustering",
    "paper_gates",
    "paper_orthogonality",
    "paper_signatures",
    "parts",
    "ranks",
    "report",
    "saliency",
    "sanity",
    "scale",
    "search",
    "settings",
    "simulator",
    "transfer",
)

if __name__ == "__main__":
    words = sys.argv[1:]
    for name in [word for word in words if not word.startswith("-")] or BENCHMARKS:
        print(import_module(f"benchmarks.{name}").run(short="--short" in words), flush=True)
