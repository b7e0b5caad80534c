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


def pytest_collection_modifyitems(items):
    """Leave out what needs a GPU where there is none."""
    of_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not of_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in of_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
