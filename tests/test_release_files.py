"""What runs on other machines is what runs here: workflows name nox sessions that there are, and the tested Pythons."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[1]
if not (TOP / ".github").is_dir():
    pytest.skip("the release files are in a clone, not in the sdist", allow_module_level=True)

WORKFLOWS = {path.stem: path for path in sorted((TOP / ".github" / "workflows").glob("*.yml"))}
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def is_session(node):
    return isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(mark) for mark in node.decorator_list)


def sessions():
    """The sessions of the noxfile, with the ids of those that have several."""
    for node in filter(is_session, ast.parse((TOP / "noxfile.py").read_text(encoding="utf-8")).body):
        ids = [
            ast.literal_eval(word.value)
            for mark in node.decorator_list
            if isinstance(mark, ast.Call)
            for word in mark.keywords
            if word.arg == "ids"
        ]
        yield from ([f"{node.name}({one})" for one in ids[0]] if ids else [node.name])


def filled(command, row):
    return re.sub(r"\$\{\{ *matrix\.(\w+) *\}\}", lambda match: str(row.get(match[1], "")), command)


def rows(job):
    """The combinations of a matrix of one list of values, or of rows under `include`."""
    matrix = job.get("strategy", {}).get("matrix", {})
    yield from matrix.get("include", [])
    yield from ({key: value} for key, values in matrix.items() if key != "include" for value in values)
    if not matrix:
        yield {}


def asked_for():
    """Yield (where, session, Python) for every call of nox in the workflows."""
    for name, path in WORKFLOWS.items():
        for job in read(path)["jobs"].values():
            for row in rows(job):
                python = next(
                    (
                        filled(step["with"]["python-version"], row)
                        for step in job.get("steps", ())
                        if "python-version" in step.get("with", {})
                    ),
                    None,
                )
                for step in job.get("steps", ()):
                    for words in re.findall(r'nox -s "?([^-#\n"]+)', filled(step.get("run", ""), row)):
                        yield from ((name, session, python) for session in words.split())


def test_workflows_call_nox_sessions_that_there_are():
    called = list(asked_for())
    assert {session for _, session, _ in called} - set(sessions()) == set()
    assert {
        "tests",
        "tests_newest",
        "tests_prereleases",
        "lint",
        "types",
        "docs",
        "demo",
        "build(floor)",
        "build(newest)",
    } == {session for _, session, _ in called}


def test_only_prereleases_may_fail():
    jobs = read(WORKFLOWS["test"])["jobs"]
    assert [row["session"] for job in jobs.values() for row in rows(job) if row.get("may_fail")] == [
        "tests_prereleases"
    ]


def test_classifiers_name_the_pythons_that_are_tested():
    classified = re.findall(r"Python :: (\d\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert sorted(classified) == sorted({python for _, session, python in asked_for() if session.startswith("tests")})


def test_the_ci_script_runs_sessions_that_there_are():
    script = (TOP / ".ci" / "run").read_text(encoding="utf-8")
    called = [word for words in re.findall(r"/nox .*?-s ([a-z_ ]+)", script) for word in words.split()]
    assert called == ["tests", "tests_newest", "lint", "types", "demo", "notebooks"]


@pytest.mark.parametrize(
    "path",
    [
        *sorted((TOP / ".github").rglob("*.y*ml")),
        TOP / ".readthedocs.yaml",
        TOP / ".codecov.yaml",
        TOP / ".pre-commit-config.yaml",
    ],
    ids=lambda path: path.name,
)
def test_yaml_files_can_be_read(path):
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("form", ["bug", "feature", "question"])
def test_forms_have_what_github_asks_for(form):
    content = read(TOP / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml")
    assert {"name", "description", "body"} <= content.keys()
    assert all(part["type"] in {"textarea", "input"} and part["attributes"]["label"] for part in content["body"])


def pins(name):
    lines = (TOP / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_both_stacks_pin_the_same_tools():
    """What tests need is pinned on both; what brings CUDA is not, so that another build of torch fits."""
    floor, newest = pins("constraints.txt"), pins("constraints-newest.txt")
    assert [name for name in newest if re.match(r"nvidia|cuda|triton|modulae", name)] == []
    groups = [need for group in ("test", "build") for need in PROJECT["dependency-groups"][group]]
    needed = {re.match(r"[\w-]+", need)[0] for need in (*groups, *PROJECT["project"]["dependencies"])}
    for there in (floor, newest):
        assert needed - there.keys() == set()
    assert [int(stack["pandas"].split(".")[0]) for stack in (floor, newest)] == [2, 3]


def test_the_registry_entry_says_what_the_package_says():
    entry = read(TOP / ".github" / "scverse-registry" / "meta.yaml")
    project = PROJECT["project"]
    assert (entry["name"], entry["license"]) == (project["name"], project["license"])
    assert entry["install"] == {"pypi": project["name"]}
    assert entry["project_home"] == project["urls"]["Source"]
    assert entry["test_command"] in (TOP / "README.md").read_text(encoding="utf-8")
