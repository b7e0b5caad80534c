"""What a developer runs: `nox -l` lists it, `nox -s tests` runs one, `nox -s tests -- -k saliency` passes words on."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"  # the second run starts at once; `nox -r never` builds everything anew
nox.options.error_on_missing_interpreters = True  # a stack that was not tried has not passed

PYPROJECT = nox.project.load_toml("pyproject.toml")
FLOOR = "constraints.txt"
NEWEST = "constraints-newest.txt"


def install(session: nox.Session, *groups: str, package: str | None = ".", versions: str | None = FLOOR) -> None:
    """Install dependency groups at the pinned versions, and the package as a user gets it: built, not editable.

    An editable install would also find files that the wheel forgets (`py.typed`, data). pip builds a folder each time
    anew, also where an environment that was kept has an older build of the same version.
    """
    what = (*nox.project.dependency_groups(PYPROJECT, *groups), *([package] if package else []))
    session.install(*(["--constraint", versions] if versions else []), *what)


def run_tests(session: nox.Session) -> None:
    """Two at a time, each with one thread, and each with one half of the files: what a file prepares is made once."""
    args = ("-n", "2", "--dist", "worksteal", "--durations=20", *session.posargs)
    session.run("pytest", *args, env={"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"})


@nox.session
def demo(session: nox.Session) -> None:
    """Train on real cells and show what comes out."""
    install(session)
    session.run("python", "-m", "modulae", "demo", *session.posargs, env={"MPLBACKEND": "Agg"})


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with the oldest versions that we hold ourselves to."""
    install(session, "test", package=".[report]")
    run_tests(session)


@nox.session(python="3.13")
def tests_newest(session: nox.Session) -> None:
    """Run the tests with the versions that pip installs today."""
    install(session, "test", package=".[report]", versions=NEWEST)
    run_tests(session)


@nox.session(python="3.13")
def tests_prereleases(session: nox.Session) -> None:
    """Run the tests with what comes next: may fail, and says early why."""
    session.env["PIP_PRE"] = "1"
    session.env["PIP_UPGRADE"] = "1"
    install(session, "test", package=".[report]", versions=None)
    run_tests(session)


@nox.session
@nox.parametrize("python,versions", [("3.11", FLOOR), ("3.13", NEWEST)], ids=["floor", "newest"])
def build(session: nox.Session, versions: str) -> None:
    """Make the sdist and from it the wheel in dist/, check them, and train with the wheel in a new environment."""
    install(session, "build", package=None, versions=versions)
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    user = Path(session.create_tmp(), "user")
    session.run("python", "-m", "venv", "--clear", str(user))
    python, wheels = str(user / "bin" / "python"), map(str, Path("dist").glob("*.whl"))
    session.run(python, "-m", "pip", "install", "--constraint", versions, *wheels, external=True)
    session.run(python, "-m", "modulae", "demo", *session.posargs, env={"MPLBACKEND": "Agg"}, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    install(session, "lint", package=None)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    install(session, "types", package=".[report,scale]")
    session.run("mypy", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into docs/_build/html; a warning is an error."""
    install(session, "docs")
    args = ("-W", "--keep-going", "-b", "html", *session.posargs, "docs", "docs/_build/html")
    session.run("sphinx-build", *args, env={"MPLBACKEND": "Agg"})


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run every notebook from top to bottom; `-- --inplace` also keeps the new outputs."""
    install(session, "notebooks", package=".[report]")
    session.run("python", "notebooks/run.py", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure; `-- --short` for a quick look."""
    install(session, "test", package=".[report]")
    session.run("python", "-m", "benchmarks", *session.posargs, env={"MPLBACKEND": "Agg"})
