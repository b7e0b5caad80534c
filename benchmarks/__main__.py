"""Run the benchmarks: all, or those named; `--short` takes seconds and writes nothing."""

from __future__ import annotations

import sys

from . import (
    activity,
    batches,
    consensus,
    denoising,
    engines,
    enrichment,
    explanations,
    false_positives,
    gpu,
    growth,
    import_time,
    missing_genes,
    modules,
    paper_clustering,
    paper_gates,
    paper_orthogonality,
    paper_signatures,
    parts,
    ranks,
    report,
    saliency,
    sanity,
    scale,
    search,
    settings,
    simulator,
    transfer,
)

BENCHMARKS = {
    "activity": activity.run,
    "batches": batches.run,
    "consensus": consensus.run,
    "denoising": denoising.run,
    "engines": engines.run,
    "enrichment": enrichment.run,
    "explanations": explanations.run,
    "false_positives": false_positives.run,
    "gpu": gpu.run,
    "growth": growth.run,
    "import_time": import_time.run,
    "missing_genes": missing_genes.run,
    "modules": modules.run,
    "paper_clustering": paper_clustering.run,
    "paper_gates": paper_gates.run,
    "paper_orthogonality": paper_orthogonality.run,
    "paper_signatures": paper_signatures.run,
    "parts": parts.run,
    "ranks": ranks.run,
    "report": report.run,
    "saliency": saliency.run,
    "sanity": sanity.run,
    "scale": scale.run,
    "search": search.run,
    "settings": settings.run,
    "simulator": simulator.run,
    "transfer": transfer.run,
}

if __name__ == "__main__":
    words = sys.argv[1:]
    for name in [word for word in words if not word.startswith("-")] or BENCHMARKS:
        print(BENCHMARKS[name](short="--short" in words), flush=True)
