"""What messages tell to run can be run: every call in them names a function and arguments that there are.

All texts in the source are looked through, whether a test meets them or not. What stands in a message while it is made
(`{name!r}`) is taken for a value. Messages that are made by `step`, and their calls run, are in `test_keys.py`.
"""

import ast
import builtins
import inspect
import re
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

import pytest

import modulae as mo
from modulae._cli.messages import in_options
from modulae._cli.parser import command_parser

ROOT = Path(mo.__file__).parent


UNKNOWN = "VALUE"
"""Stands for what is known only when a message is made."""

AT_HAND = {"adata", "mo", "sc", "ad", "pd", "np", "pandas", "gseapy", "mudata", "spatialdata"}
AT_HAND |= {"gene_sets", "reference", "others", "other", "model", "path", "sets", "table", "store", "counts", "genes"}
AT_HAND |= {"objects", "cells", "name", "list", "str", UNKNOWN}
"""What a reader who was told so has: modules under their usual names, and what was passed to the function."""

SPACES = ("", "pp", "tl", "get", "pl", "metrics", "datasets")


def public():
    for space in SPACES:
        module = getattr(mo, space) if space else mo
        for name in module.__all__:
            if inspect.isfunction(function := getattr(module, name)):
                yield f"{space}.{name}".lstrip("."), function


PUBLIC = dict(public())
PARAMETERS = {name for function in PUBLIC.values() for name in inspect.signature(function).parameters}


def as_text(node):
    """A text as it is written, with `VALUE` for what is put in; `None` for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else UNKNOWN for part in node.values)
    return None


def not_messages(tree):
    """Docstrings, texts that are documented as such, and the parts of other texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield from node.values
            yield from (part.value for part in node.values if isinstance(part, ast.FormattedValue))


@cache
def trees():
    """Every file of the source, parsed, by its name."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in sorted(ROOT.rglob("*.py"))
    }


def texts():
    for path, tree in trees().items():
        if path in {"_utils/docs.py", "_cli/messages.py"}:  # parts of docstrings; patterns of messages
            continue
        others = {id(node) for node in not_messages(tree)}
        for node in ast.walk(tree):
            text = as_text(node)
            if text and " " in text and id(node) not in others:
                yield f"{path}:{node.lineno}", text


@cache
def messages():
    """Every text that may be a message, by where it stands."""
    return dict(texts())


def in_backticks():
    """Pieces of code: what is in backticks and is more than a name."""
    for where, text in messages().items():
        for code in re.findall(r"`([^`]+)`", text):
            if re.search(r"[(=].|^del ", code) and not re.match(r"pip |--|modulae \w+", code):
                yield where, code


def steps():
    """Calls that `step` writes: its name, and the code as it will stand in a message."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "step" and node.args:
                name, *others = [as_text(argument) for argument in node.args]
                if name and UNKNOWN not in name and None not in others:
                    named = [keyword.arg for keyword in node.keywords if keyword.arg not in {"of", "key"}]
                    given = ["adata", *others, *(f"{argument}={UNKNOWN}" for argument in named)]
                    yield f"{path}:{node.lineno}", f"mo.{name}({', '.join(given)})"


def parsed(code):
    code = re.sub(rf"({UNKNOWN})+", UNKNOWN, code).replace(f"{UNKNOWN} ({UNKNOWN})", UNKNOWN)
    return ast.parse(code.replace("\\d", "d"))


def problems(code):
    """What keeps a piece of code from running, as far as can be seen without running it."""
    try:
        tree = parsed(code)
    except SyntaxError as error:
        return [f"no Python: {error}"]
    made = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    made |= {argument.arg for node in ast.walk(tree) if isinstance(node, ast.Lambda) for argument in node.args.args}
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found = [f"{name} is not at hand" for name in sorted(read - made - AT_HAND - set(dir(builtins)))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.match(r"mo\.", name := ast.unparse(node.func)):
            found += wrong_call(name.partition(".")[2], node)
    return found


def wrong_call(name, call):
    if UNKNOWN in name:
        return []
    if name not in PUBLIC:
        return [f"there is no {name}"]
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg is not None}
    given = [argument for argument in call.args if ast.unparse(argument) != UNKNOWN]  # those may be any number
    signature = inspect.signature(PUBLIC[name])
    try:
        (signature.bind if len(given) == len(call.args) else signature.bind_partial)(*given, **named)
    except TypeError as error:
        return [f"{name}: {error}"]
    return []


def test_code_in_messages_can_be_run():
    pieces = list(in_backticks())
    assert len(pieces) > 60
    assert {where: (code, wrong) for where, code in pieces if (wrong := problems(code))} == {}


def test_steps_name_functions_and_arguments_that_there_are():
    pieces = list(steps())
    assert len(pieces) > 15
    assert {where: (code, wrong) for where, code in pieces if (wrong := problems(code))} == {}


def test_functions_in_messages_are_there():
    """Also those that are only named, without a call."""
    named = [
        (where, name)
        for where, text in messages().items()
        for name in re.findall(r"(?<![\w./])(?:mo|modulae)\.((?:\w+\.)?\w+)", text)
        if UNKNOWN not in name
    ]
    assert len(named) > 30
    known = {*PUBLIC, *SPACES, *(f"presets.{name}" for name in dir(mo.presets))}
    assert [(where, name) for where, name in named if name not in known] == []


def test_arguments_in_messages_are_there():
    """`layer=` and the like, outside of code, are arguments of some function."""
    named = [
        (where, name)
        for where, text in messages().items()
        for name in re.findall(r"(?<![\w.`-])([a-z]\w*)=(?!=)", re.sub(r"`[^`]*`", "", text))
    ]
    assert len(named) > 100
    assert [(where, name) for where, name in named if name not in PARAMETERS | NOT_OURS] == []


NOT_OURS = {"na_action", "regex", "index", "columns"}
"""Arguments of pandas that messages name."""


def commands():
    parser = command_parser()
    choices = next(action.choices for action in parser._actions if action.choices)
    return {"": parser, **choices}


def options_of(parser):
    return {option for action in parser._actions for option in action.option_strings}


def test_options_in_messages_are_there():
    every = {option for parser in commands().values() for option in options_of(parser)}
    every |= {"--nproc-per-node", "--upgrade", "--index-url"}  # of torchrun and pip
    named = [
        (where, option)
        for where, text in messages().items()
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)
    ]
    assert len(named) > 20
    assert [(where, option) for where, option in named if option not in every] == []


@pytest.mark.parametrize("command", ["demo", "train", "impact", "report"])
def test_arguments_become_options_that_there_are(command):
    needs = {"train": ["x"], "impact": ["x", "--gene-sets", "y"], "report": ["x"]}.get(command, [])
    options = command_parser().parse_args([command, *needs])
    of_command = options_of(commands()[command])
    for name in set(vars(options)) - {"command", "path"}:
        assert in_options(f"Leave out {name}=.", options).split()[-1].rstrip(".") in of_command


def test_extras_in_messages_are_there():
    extras = set(metadata("modulae").get_all("Provides-Extra"))
    named = {name for text in messages().values() for name in re.findall(r"modulae\[(\w+)\]", text)}
    assert named
    assert named <= extras


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("mo.tl.autoencode(adata)", "there is no tl.autoencode"),
        ("mo.tl.autoencoder(adata, key='mine')", "unexpected keyword argument 'key'"),
        ("adata = adatas.to_memory()", "adatas is not at hand"),
        ("adata = adata[", "no Python"),
        ("mo.tl.transfer(adata)", "missing a required argument"),
    ],
)
def test_what_can_not_be_run_is_found(code, said):
    assert any(said in wrong for wrong in problems(code))
