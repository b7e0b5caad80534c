"""Where to compute."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("driver", "loaded"), [("False", "False"), ("True", "True")])
def test_auto_asks_torch_for_a_gpu_only_where_one_may_be(driver, loaded):
    script = (
        "import sys\n"
        "from modulae.core import backend\n"
        f"backend._may_have_gpu = lambda: {driver}\n"
        "backend.pick_device('auto')\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == loaded
