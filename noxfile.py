"""What a developer runs: `nox -l` lists it, `nox -s tests` runs one, `nox -s tests -- -k saliency` passes words on."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"  # the second run starts at once; `nox -r never` builds everything anew

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str, package: str | None = ".") -> None:
    """Install dependency groups at the pinned versions, and the package as a user gets it: built, not editable.

    An editable install would also find files that the wheel forgets (`py.typed`, data).
    """
    what = (*nox.project.dependency_groups(PYPROJECT, *groups), *([package] if package else []))
    session.install("--constraint", "constraints.txt", *what)


@nox.session
def demo(session: nox.Session) -> None:
    """Train on real cells and show what comes out."""
    install(session)
    session.run("python", "-m", "modulae", "demo", *session.posargs, env={"MPLBACKEND": "Agg"})


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, two at a time, each with one thread."""
    install(session, "test", package=".[report]")
    session.run("pytest", "-n", "2", *session.posargs, env={"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"})


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
    install(session, "notebooks")
    session.run("python", "notebooks/run.py", *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure; `-- --short` for a quick look."""
    install(session, "test", package=".[report]")
    session.run("python", "-m", "benchmarks", *session.posargs, env={"MPLBACKEND": "Agg"})
