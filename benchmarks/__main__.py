"""Run the benchmarks: all, or those named; `--short` takes seconds and writes nothing."""

from __future__ import annotations

import argparse
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--short", action="store_true", help="take seconds and write nothing")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    for name in asked.names or BENCHMARKS:
        print(import_module(f"benchmarks.{name}").run(short=asked.short), flush=True)
