"""Run the benchmarks: all, or those named; `--short` takes seconds and writes nothing."""

from __future__ import annotations

import argparse
from importlib import import_module

FOLDERS = {
    "paper": (
        "paper_clustering",
        "paper_gates",
        "paper_orthogonality",
        "paper_signatures",
    ),
    "quality": (
        "activity",
        "batches",
        "blood_model",
        "calls",
        "denoising",
        "drawn_cells",
        "enrichment",
        "explanations",
        "false_positives",
        "missing_genes",
        "mixtures",
        "modules",
        "parts",
        "rank_units",
        "replication",
        "reproducibility_curve",
        "sanity",
        "search",
        "settings",
        "simulator",
        "transfer",
    ),
    "speed": (
        "engines",
        "gpu",
        "growth",
        "import_time",
        "parts_speed",
        "ranks",
        "report",
        "saliency",
        "scale",
    ),
}
"""The benchmarks, by the folder they stand in."""

BENCHMARKS = {name: f"benchmarks.{folder}.{name}" for folder, names in FOLDERS.items() for name in names}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(BENCHMARKS)}")
    parser.add_argument("--short", action="store_true", help="take seconds and write nothing")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    for name in asked.names or BENCHMARKS:
        print(import_module(BENCHMARKS[name]).run(short=asked.short), flush=True)
