"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir():
    """Find the folder of real data that is too large, or not ours, to ship."""
    folder = os.environ.get("MODULAE_DATA")
    if not folder:
        pytest.skip("needs real data: set MODULAE_DATA to the folder that has them")
    return Path(folder)
