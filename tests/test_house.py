"""Promises about the whole package: checked here, so that nobody has to remember them."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import modulae

ROOT = Path(modulae.__file__).parent
REPOSITORY = Path(__file__).parents[1]
NAMESPACES = ("", "pp", "tl", "get", "pl", "metrics", "datasets")

PAGES = sorted(path for end in ("html", "css", "js") for path in ROOT.rglob(f"*.{end}"))
MAX_LINES_PER_FILE = 250
MAX_LINES_PER_FUNCTION = 50
SECOND_OBJECTS = {
    "gene_sets",
    "gates",
    "path",
    "labels",
    "second",
    "settings",
    "model",
    "reference",
}  # what a function brings to the first object needs no name either

# What takes long to import, or is not needed by everybody, comes in when a function needs it.
LATE = {"torch", "numba", "umap", "pynndescent", "gseapy", "igraph", "leidenalg", "bokeh", "jinja2"}
NOT_IN_CORE = {"anndata", "pandas", "matplotlib", "scanpy", "_anndata", "_fields", "pp", "tl", "get", "pl"}

FILES = sorted(ROOT.rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def namespace(name):
    return importlib.import_module(f"modulae.{name}".rstrip("."))


def public_functions():
    for space in NAMESPACES:
        for name in namespace(space).__all__:
            function = getattr(namespace(space), name, None)
            if inspect.isfunction(function):
                yield pytest.param(function, space, id=f"{space}.{name}".lstrip("."))


PUBLIC = list(public_functions())


def described_parameters(function):
    """Read the names in the Parameters section of a NumPy-style docstring."""
    _, *parts = re.split(r"^(\S.*)\n-{3,}$", inspect.getdoc(function) or "", flags=re.M)
    section = dict(zip(parts[::2], parts[1::2], strict=True)).get("Parameters", "")
    heads = re.findall(r"^(\S.*?)(?: :.*)?$", section, flags=re.M)
    return [name.strip(" *") for head in heads for name in head.split(",")]


def body_without_docstring(node):
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def assigned_name(node):
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None


def functions_in(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def run_python(code, given=None):
    """Run code in an interpreter that has imported nothing yet: JSON in, the last line of output is JSON."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("space", NAMESPACES, ids=lambda space: f"modulae.{space}".rstrip("."))
def test_every_name_in_all_exists(space):
    module = namespace(space)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert [name for name, n in Counter(module.__all__).items() if n > 1] == []


@pytest.mark.parametrize(("function", "space"), PUBLIC)
def test_every_parameter_is_described(function, space):
    parameters = list(inspect.signature(function).parameters)
    described = described_parameters(function)
    assert [name for name in parameters if name not in described] == [], "parameters without a description"
    assert [name for name in described if name not in parameters] == [], "descriptions without a parameter"


@pytest.mark.parametrize(("function", "space"), PUBLIC)
def test_no_shared_description_is_left_unfilled(function, space):
    assert re.findall(r"^ *\{\w+\} *$", function.__doc__ or "", flags=re.M) == []


@pytest.mark.parametrize(("function", "space"), PUBLIC)
def test_parameters_are_keyword_only(function, space):
    """One object goes first, in a plot and for a few functions also a second one; the rest is named in the call."""
    parameters = inspect.signature(function).parameters.values()
    positional = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    swallowed = [p.name for p in parameters if p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
    allowed = 2 if space == "pl" or SECOND_OBJECTS & set(positional[1:2]) else 1
    assert positional[allowed:] == [], f"put a `*` after {positional[:allowed]}"
    assert swallowed == [], "name every parameter"


@pytest.mark.parametrize(("function", "space"), PUBLIC)
def test_every_public_function_is_in_the_docs(function, space):
    name = f"{space}.{function.__name__}".lstrip(".")
    page = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^ *{re.escape(name)}$", page, flags=re.M), f"add {name} to a table in docs/api.md"


@pytest.mark.parametrize("name", [name for name in TREES if name.startswith("core/")])
def test_core_knows_only_arrays(name):
    imported = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            imported |= {part for alias in node.names for part in alias.name.split(".")[:2]}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            ours = node.level > 0 or module[0] == "modulae"
            imported |= {*module[:2], *(alias.name for alias in node.names if ours)}
    assert imported & NOT_IN_CORE == set()


@pytest.mark.parametrize("name", TREES)
def test_no_file_is_long(name):
    n_lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_LINES_PER_FILE, "split it by noun"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_part_of_a_page_is_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES_PER_FILE, "split it by noun"


@pytest.mark.parametrize("name", TREES)
def test_no_function_is_long(name):
    """Lines of code and comments; the docstring may be as long as it has to be."""
    long = {}
    for node in functions_in(TREES[name]):
        body = body_without_docstring(node)
        n_lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
        if n_lines > MAX_LINES_PER_FUNCTION:
            long[node.name] = n_lines
    assert long == {}


@pytest.mark.parametrize("name", [name for name in TREES if name.endswith("__init__.py")])
def test_init_files_are_lists_of_names(name):
    allowed = {"__all__", "__version__"} if name == "__init__.py" else {"__all__"}
    assert ast.get_docstring(TREES[name]), "a docstring says what the folder is for"
    other = [
        ast.unparse(node)
        for node in body_without_docstring(TREES[name])
        if not isinstance(node, ast.Import | ast.ImportFrom) and assigned_name(node) not in allowed
    ]
    assert other == []


def test_import_is_cheap():
    """What anndata itself loads, such as dask where it is installed, is not ours to change."""
    anyway, loaded = (
        set(run_python(f"import json, sys, {name}; print(json.dumps(list(sys.modules)))"))
        for name in ("anndata", "modulae")
    )
    assert {name.split(".")[0] for name in loaded - anyway} & LATE == set()


def test_import_leaves_logging_and_warnings_alone():
    """The libraries below modulae change the warning filters themselves: only what modulae adds is counted."""
    loaded = run_python("import json, sys, modulae; print(json.dumps(list(sys.modules)))")
    code = """
import contextlib, importlib, json, logging, sys, warnings

for name in json.load(sys.stdin):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)

def state():
    return [[str(entry) for entry in warnings.filters], [str(h) for h in logging.root.handlers], logging.root.level]

before = state()
import modulae
print(json.dumps([before, state()]))
"""
    before, after = run_python(code, [name for name in loaded if name.split(".")[0] != "modulae"])
    assert after == before
