"""Promises about the whole package: checked here, so that nobody has to remember them."""

from __future__ import annotations

import ast
import graphlib
import importlib
import inspect
import re
from collections import Counter
from functools import cache
from pathlib import Path

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
    "groupby",
    "path",
    "labels",
    "second",
    "settings",
    "model",
    "reference",
}  # what a function brings to the first object needs no name either

NOT_IN_CORE = {"anndata", "pandas", "matplotlib", "scanpy"}
MAX_MODULES = 12

# The order of the folders, from the ground up: each imports those before it, never one after it.
ORDER = (
    "core.checks",
    "core.threads",
    "core.plain_torch",
    "core.array_backend",
    "core.fallback",
    "core.compiled",
    "core.processes",
    "core.data",
    "core.factorisation",
    "core.model",
    "core.inference",
    "core.scores",
    "core.statistics",
    "core.training",
    "core.sanity",
    "_utils",
    "_genes",
    "_counts",
    "_adata",
    "_model_io",
    "datasets",
    "pp",
    "presets",
    "get",
    "metrics",
    "_programmes",
    "pl",
    "tl",
    "_report",
    "_cli",
)

FILES = sorted(ROOT.rglob("*.py"))


@cache
def trees():
    """Every file of the source, parsed, by its name."""
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def namespace(name):
    return importlib.import_module(f"modulae.{name}".rstrip("."))


def public_functions():
    for space in NAMESPACES:
        for name in namespace(space).__all__:
            function = getattr(namespace(space), name, None)
            if inspect.isfunction(function):
                yield f"{space}.{name}".lstrip("."), function


PUBLIC = dict(public_functions())
SHORT_NAMES = {name.rpartition(".")[2] for name in PUBLIC}


MAX_LINES_OF_TEXT = 10  # of a docstring, between its summary and its parameters


def sections(docstring):
    """The sections of a NumPy-style docstring by name; what stands before them is `""`."""
    head, *parts = re.split(r"^(\S.*)\n-{3,}$", docstring, flags=re.M)
    return {"": head, **dict(zip(parts[::2], parts[1::2], strict=True))}


def described_parameters(function):
    """Read the names in the Parameters section."""
    section = sections(inspect.getdoc(function) or "").get("Parameters", "")
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


def offenders(found):
    """Those of whom there is something to say, by name."""
    return {name: what for name, what in found if what}


def test_every_name_in_all_exists():
    for space in NAMESPACES:
        module = namespace(space)
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
        assert [name for name, n in Counter(module.__all__).items() if n > 1] == []


def test_every_parameter_is_described():
    def parameters(function):
        return list(inspect.signature(function).parameters)

    undescribed = offenders((name, set(parameters(f)) - set(described_parameters(f))) for name, f in PUBLIC.items())
    unknown = offenders((name, set(described_parameters(f)) - set(parameters(f))) for name, f in PUBLIC.items())
    assert undescribed == {}, "parameters without a description"
    assert unknown == {}, "descriptions without a parameter"


def test_no_shared_description_is_left_unfilled():
    unfilled = (
        (name, re.findall(r"^ *\{\w+(?:=.*)?\} *$|<>", f.__doc__ or "", flags=re.M)) for name, f in PUBLIC.items()
    )
    assert offenders(unfilled) == {}


def test_no_brace_is_doubled():
    assert offenders((name, re.findall(r"\{\{\w+\}\}", f.__doc__ or "")) for name, f in PUBLIC.items()) == {}


def test_every_public_function_has_examples_and_says_what_to_read_next():
    def missing(docstring):
        return {"Examples", "See Also"} - set(sections(docstring))

    assert offenders((name, missing(inspect.getdoc(f))) for name, f in PUBLIC.items()) == {}


def test_what_is_said_before_the_parameters_is_short():
    def lines(docstring):
        return [line for line in sections(docstring)[""].splitlines()[1:] if line]

    lengths = {name: len(lines(inspect.getdoc(f))) for name, f in PUBLIC.items()}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES_OF_TEXT} == {}, "link a page of docs/ with :doc:"


def test_no_summary_has_a_footnote():
    """Tables of functions show the summary without its references."""
    assert (
        offenders((name, re.findall(r"\[\d\]_", inspect.getdoc(f).splitlines()[0])) for name, f in PUBLIC.items()) == {}
    )


def test_see_also_names_what_there_is():
    """One name in each line: Sphinx reads no others."""
    known = {*(f"modulae.{name}" for name in PUBLIC), *(f"modulae.presets.{name}" for name in modulae.presets.__all__)}

    def absent(docstring):
        lines = sections(docstring)["See Also"].strip().splitlines()
        names = [line.partition(" : ")[0] for line in lines]
        return [name for name in names if name not in known and not name.startswith("scanpy.")]

    assert offenders((name, absent(inspect.getdoc(f))) for name, f in PUBLIC.items()) == {}


def test_pages_that_docstrings_link_exist():
    def absent(docstring):
        pages = re.findall(r":doc:`/([\w/]+)`", docstring)
        return [page for page in pages if not (REPOSITORY / "docs" / f"{page}.md").exists()]

    assert offenders((name, absent(f.__doc__ or "")) for name, f in PUBLIC.items()) == {}


def unfilled_parameters():
    """What docstrings in the files say of a parameter, name and all; shared fragments are not filled in yet."""
    for tree in trees().values():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name in SHORT_NAMES:
                section = sections(ast.get_docstring(node) or "").get("Parameters", "")
                yield from re.findall(r"^[^\s{].*\n(?: .*\n?|\n(?= ))+", f"{section}\n", flags=re.M)


def test_a_description_that_functions_share_stands_once():
    """Put it into `_utils/docs.py`."""
    said = Counter(" ".join(text.split()) for text in unfilled_parameters())
    assert len(said) > 100
    assert [text for text, n in said.items() if n > 1] == []


def test_parameters_are_keyword_only():
    """One object goes first, in a plot and for a few functions also a second one; the rest is named in the call."""

    def others(name, function):
        parameters = inspect.signature(function).parameters.values()
        positional = [p.name for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
        swallowed = [p.name for p in parameters if p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
        allowed = 2 if name.startswith("pl.") or SECOND_OBJECTS & set(positional[1:2]) else 1
        return positional[allowed:] + swallowed

    assert offenders((name, others(name, f)) for name, f in PUBLIC.items()) == {}, "put a `*` before them"


def test_every_public_function_is_in_the_docs():
    page = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    absent = [name for name in PUBLIC if not re.search(rf"^ *{re.escape(name)}$", page, flags=re.M)]
    assert absent == [], "add them to a table in docs/api.md"


def imported_names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split(".")[:2])
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            ours = node.level > 0 or module[0] == "modulae"
            yield from (*module[:2], *(alias.name for alias in node.names if ours))


def test_core_knows_only_arrays():
    core = {name: tree for name, tree in trees().items() if name.startswith("core/")}
    assert core
    assert offenders((name, NOT_IN_CORE & set(imported_names(tree))) for name, tree in core.items()) == {}


def test_no_file_is_long():
    lengths = {path.relative_to(ROOT).as_posix(): count_lines(path) for path in (*FILES, *PAGES)}
    assert {name: n for name, n in lengths.items() if n > MAX_LINES_PER_FILE} == {}, "split it by noun"


def count_lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_function_is_long():
    """Lines of code and comments; the docstring may be as long as it has to be."""

    def lines(node):
        body = body_without_docstring(node)
        return body[-1].end_lineno - body[0].lineno + 1 if body else 0

    lengths = [(name, node.name, lines(node)) for name, tree in trees().items() for node in functions_in(tree)]
    assert [(*name, n) for *name, n in lengths if n > MAX_LINES_PER_FUNCTION] == []


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


def test_init_files_are_lists_of_names():
    def other(name):
        return [ast.unparse(node) for node in body_without_docstring(trees()[name]) if not is_list_of_names(node)]

    inits = [name for name in trees() if name.endswith("__init__.py")]
    assert [name for name in inits if not ast.get_docstring(trees()[name])] == [], "a docstring says what it is for"
    assert offenders((name, other(name)) for name in inits) == {}


def module_name(path):
    """`core.data.cells`; of an `__init__` its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def imports_of(name):
    """Modules of ours that this one imports, anywhere in the file, also where only type checkers look."""
    path, found = MODULES[name], set()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(trees()[path.relative_to(ROOT).as_posix()]):
        if not isinstance(node, ast.ImportFrom):
            continue
        start = package[: len(package) - node.level + 1] if node.level else []
        words = [*start, *(node.module.split(".") if node.module else [])]
        if node.level == 0:
            if words[:1] != ["modulae"]:
                continue
            words = words[1:]
        for alias in node.names:
            full = ".".join([*words, alias.name])
            found.add(full if full in MODULES else ".".join(words))
    return found & set(MODULES) - {name}


IMPORTS = {name: imports_of(name) for name in MODULES}


def place(name):
    """Where a module stands in the order; the faces of the package and of `python -m` stand above all."""
    places = [at for at, folder in enumerate(ORDER) if name == folder or name.startswith(f"{folder}.")]
    return places[0] if places else len(ORDER)


def test_every_folder_has_its_place():
    loose = [name for name in MODULES if place(name) == len(ORDER)]
    assert sorted(loose) == ["", "__main__", "_on_first_use", "_version", "core"]


def test_no_folder_imports_one_above_it():
    known = {"", "_on_first_use", "_version", "core", "__main__"}
    climbs = [(name, other) for name in IMPORTS for other in IMPORTS[name] - known if place(other) > place(name)]
    assert climbs == []


def test_no_files_import_each_other_in_a_circle():
    # public names are imported when they are first used: the face of a package imports nothing
    sorter = graphlib.TopologicalSorter(
        {name: IMPORTS[name] for name in MODULES if MODULES[name].name != "__init__.py"}
    )
    sorter.prepare()  # raises CycleError, with the circle


def test_no_folder_is_crowded():
    folders = Counter(path.parent for path in FILES if path.name != "__init__.py")
    assert {folder: n for folder, n in folders.items() if n > MAX_MODULES} == {}, "find what belongs together"
