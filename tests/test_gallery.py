"""The gallery has every picture, drawn; and what the README and the landing page show is there."""

import importlib.util
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

import modulae as mo

REPOSITORY = Path(__file__).parents[1]
NOTEBOOK = REPOSITORY / "notebooks" / "05_gallery.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
LARGEST = 2_300_000  # bytes


def source(cell):
    return "".join(cell["source"])


def code():
    return [cell for cell in CELLS if cell["cell_type"] == "code"]


def draws(cell):
    return re.findall(r"\bmo\.pl\.(\w+)\(", source(cell))


def test_every_function_is_drawn():
    assert {name for cell in code() for name in draws(cell)} == set(mo.pl.__all__)
    headings = [line for cell in CELLS for line in source(cell).splitlines() if line.startswith("### ")]
    assert {name for line in headings for name in re.findall(r"`pl\.(\w+)`", line)} == set(mo.pl.__all__)


def test_its_pictures_are_stored_and_small():
    for cell in code():
        pictures = [output for output in cell["outputs"] if "image/png" in output.get("data", {})]
        assert bool(pictures) == bool(draws(cell)), source(cell)
        assert "error" not in [output["output_type"] for output in cell["outputs"]]
    assert NOTEBOOK.stat().st_size < LARGEST


def test_every_function_has_a_picture_for_its_page():
    place = REPOSITORY / "docs" / "_extensions" / "pictures.py"
    spec = importlib.util.spec_from_file_location("pictures", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stored = module.stored(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    assert set(stored) == set(mo.pl.__all__)
    assert {picture[:4] for picture in stored.values()} == {b"\x89PNG"}


def test_every_picture_is_followed_by_how_to_read_it():
    for cell, following in pairwise(CELLS):
        if cell["cell_type"] == "code" and draws(cell):
            assert following["cell_type"] == "markdown"
            assert not source(following).startswith("#")


def test_it_needs_no_data():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert json.loads(text)["metadata"]["modulae"]["needs"] == []
    assert "MODULAE_DATA" not in text


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_what_a_page_shows_is_there(page):
    path = REPOSITORY / page
    text = path.read_text(encoding="utf-8")
    links = [*re.findall(r"\]\(([^)#\s]+)", text), *re.findall(r"^```\{image\} (\S+)$", text, flags=re.M)]
    local = [link for link in links if not re.match(r"\w+:", link)]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_pages_show_a_picture(page):
    assert "images/overview.png" in (REPOSITORY / page).read_text(encoding="utf-8")
