"""Ask drvi-py for the scores that `metrics.disentanglement` is tested against, and store them with what they are of.

Runs in the environment of benchmarks/peers/requirements.txt, without modulae:

    .venv-peers/bin/python benchmarks/quality/reference_disentanglement.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from drvi.utils.metrics import DiscreteDisentanglementBenchmark, nn_alignment_score

TARGET = Path(__file__).parents[2] / "tests" / "metrics" / "reference_disentanglement.json"
N_SHUFFLES = 5000


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Cells × units and cells × labels: one category a cell, fewer units than labels, programmes that run together."""
    rng = np.random.default_rng(0)
    category = rng.permutation(np.arange(150) % 4)
    one_hot = np.eye(4)[category]
    mixed = one_hot @ rng.normal(size=(4, 6)) + 0.3 * rng.normal(size=(150, 6))
    few = np.eye(5)[rng.integers(0, 5, 120)]
    running = (rng.random((160, 6)) < rng.uniform(0.1, 0.7, 6)).astype(float)
    running[:, 5] = running[:, 0] * running[:, 1]
    activity = running * rng.gamma(4, 0.25, running.shape)
    noisy = np.c_[activity + 0.05 * rng.normal(size=activity.shape), rng.normal(size=(160, 3))]
    on_edges = np.clip(np.round(10 * activity[:, :2]), 0, 10)  # whole numbers from 0 to 10 lie between two bins
    return {
        "categories": (mixed, one_hot),
        "fewer units than labels": (few[:, :3] + 0.4 * rng.normal(size=(120, 3)), few),
        "programmes": (noisy, running),
        "ties": (np.c_[np.maximum(noisy - 0.2, 0), on_edges], running),
    }


def scores(units: np.ndarray, labels: np.ndarray, *, ties: bool) -> dict[str, Any]:
    """What drvi-py says; where units tie, the mean of its neighbours' score over many orders of the cells."""
    benchmark = DiscreteDisentanglementBenchmark(
        units, one_hot_target=labels, metrics=["SMI", "SPN"], aggregation_methods=["LMS", "MSAS", "MSGS"]
    )
    benchmark.evaluate()
    details = {name: matrix.to_numpy() for name, matrix in benchmark.get_results_details().items()}
    results = {name: float(value) for name, value in benchmark.get_results().items()}
    if ties:
        rng = np.random.default_rng(1)
        orders = (rng.permutation(len(units)) for _ in range(N_SHUFFLES))
        details["SPN"] = np.mean([nn_alignment_score(units[o], gt_one_hot=labels[o]) for o in orders], axis=0)
        results = {name: value for name, value in results.items() if name.endswith("SMI")}
    return {"results": results, "details": {name: matrix.tolist() for name, matrix in details.items()}}


def main() -> None:
    """Write the file that the tests read."""
    stored: dict[str, Any] = {
        "made_by": "benchmarks/quality/reference_disentanglement.py, with benchmarks/peers/requirements.txt installed",
        "versions": {package: version(package) for package in ("drvi-py", "numpy", "scikit-learn")},
        "cases": {},
    }
    for name, (units, labels) in cases().items():
        rounded = np.round(units, 5)
        stored["cases"][name] = {
            "units": rounded.tolist(),
            "labels": labels.astype(int).tolist(),
            **scores(rounded, labels, ties=name == "ties"),
        }
    TARGET.write_text(json.dumps(stored) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
