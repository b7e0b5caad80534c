"""Promises about the whole package: checked here, so that nobody has to remember them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
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


def is_list_of_names(node):
    """Imports that only type checkers read, `__all__`, and what imports these names when they are used."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=[]):
            return all(isinstance(line, ast.Import | ast.ImportFrom) for line in body)
        case ast.If(test=ast.UnaryOp(op=ast.Not(), operand=ast.Name(id="TYPE_CHECKING")), body=[only], orelse=[]):
            return ast.unparse(only).startswith("__getattr__, __dir__ = on_first_use(")
    return assigned_name(node) == "__all__"


@pytest.mark.parametrize("name", [name for name in TREES if name.endswith("__init__.py")])
def test_init_files_are_lists_of_names(name):
    assert ast.get_docstring(TREES[name]), "a docstring says what the folder is for"
    body = body_without_docstring(TREES[name])
    assert [ast.unparse(node) for node in body if not is_list_of_names(node)] == []
