"""Public names are imported when they are first used: everybody sees them, and nobody waits for what is not used."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

NAMESPACES = ("", "pp", "tl", "get", "pl", "metrics", "datasets")

# What takes long to import, or is not needed by everybody, comes in when a function needs it.
LATE = {"torch", "numba", "umap", "pynndescent", "gseapy", "igraph", "leidenalg", "bokeh", "jinja2"}


def namespace(name):
    return importlib.import_module(f"modulae.{name}".rstrip("."))


def run_python(code, given=None):
    """Run code in an interpreter that has imported nothing yet: JSON in, the last line of output is JSON."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def names_for_type_checkers(space):
    """The imports under `if TYPE_CHECKING`: name → the module that it is imported from."""
    for block in ast.parse(Path(namespace(space).__file__).read_text(encoding="utf-8")).body:
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            for line in block.body:
                yield from ((alias.name, line.module) for alias in line.names)


@pytest.mark.parametrize("space", NAMESPACES, ids=lambda space: f"modulae.{space}".rstrip("."))
def test_type_checkers_and_users_see_the_same_names(space):
    module, read = namespace(space), dict(names_for_type_checkers(space))
    assert sorted(read) == sorted(module.__all__) == dir(module)
    for name, home in read.items():
        where = importlib.import_module(".".join(filter(None, (module.__name__, home or name))))
        assert getattr(module, name) is (getattr(where, name) if home else where)
    with pytest.raises(AttributeError, match=rf"^module '{module.__name__}' has no attribute 'no_such_name'$"):
        _ = module.no_such_name


USE_ALL = f"""
import importlib, json, sys, modulae

for space in {NAMESPACES}:
    module = importlib.import_module(f"modulae.{{space}}".rstrip("."))
    for name in module.__all__:
        getattr(module, name)
"""


def loaded_by(code):
    return set(run_python(f"import json, sys\n{code}\nprint(json.dumps(list(sys.modules)))"))


def test_import_brings_no_other_package():
    before, loaded = loaded_by(""), loaded_by("import modulae")
    assert {name.split(".")[0] for name in loaded - before} - sys.stdlib_module_names == {"modulae"}
    assert "modulae.tl" not in loaded


def test_names_come_without_what_is_slow():
    """What anndata itself loads, such as dask where it is installed, is not ours to change."""
    anyway, loaded = loaded_by("import anndata"), loaded_by(USE_ALL)
    assert "modulae.tl._autoencoder.autoencoder" in loaded
    assert {name.split(".")[0] for name in loaded - anyway} & LATE == set()


def test_import_leaves_logging_and_warnings_alone():
    """The libraries below modulae change the warning filters themselves: only what modulae adds is counted."""
    loaded = loaded_by(USE_ALL)
    code = f"""
import contextlib, importlib, json, logging, sys, warnings

for name in json.load(sys.stdin):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

def state():
    return [[str(entry) for entry in warnings.filters], [str(h) for h in logging.root.handlers], logging.root.level]

before = state()
{USE_ALL}
print(json.dumps([before, state()]))
"""
    before, after = run_python(code, sorted(name for name in loaded if name.split(".")[0] != "modulae"))
    assert after == before
