"""The benchmarks still run; nothing here looks at a time."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_short_run_prints_its_tables_and_writes_nothing():
    root = Path(__file__).parents[1]
    before = {path: path.stat().st_mtime_ns for path in (root / "docs" / "benchmarks").glob("*")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--short"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "# Import time" in done.stdout
    assert "# Physical truth" in done.stdout
    assert "| pbmc68k | default |" in done.stdout
    for name in ("clustering", "orthogonality"):
        assert f"# The paper's {name} experiment" in done.stdout
    assert "| packaged | several populations | `log_fold_change` |" in done.stdout
    assert "| sorted progenitors | 2 | Table 1 |" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (root / "docs" / "benchmarks").glob("*")} == before
