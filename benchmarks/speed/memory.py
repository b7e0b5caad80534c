"""The most memory that a process takes, from a moment on."""

from __future__ import annotations

import resource
from pathlib import Path

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_of_peak() -> None:
    """Forget the peak so far, where the system can: on Linux."""
    if REFERENCES.exists():
        REFERENCES.write_text("5")


def peak_mb() -> float:
    """The peak of this process in MB, since :func:`start_of_peak`, or since its start where nothing else is known."""
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
