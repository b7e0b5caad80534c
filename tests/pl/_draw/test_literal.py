"""Names are drawn as they are written, also those that matplotlib would take for mathematics."""

from functools import cache
from xml.etree import ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.text import Text

import modulae as mo

SVG = "{http://www.w3.org/2000/svg}"
WORDS = ("A$B", "$x", "a_b$", "100% $$", "$x$", r"$\alpha$ \beta", r"5\$ $\frac$", r"C:\new\table", "^{$_$}")
WITH_NAMES = (
    *("confusion", "embeddings", "enrichment", "impact", "impact, a group", "impact, overlay", "impact_groups"),
    *("joint_embedding", "match_programmes", "match_programmes, several", "pathway_activity"),
    *("top_genes", "rank_units", "unit_summary", "units"),
)


CASES = [(word, name) for word in ("A$B", r"$\alpha$ \beta") for name in WITH_NAMES]
CASES += [(word, "top_genes") for word in WORDS if (word, "top_genes") not in CASES]


@pytest.fixture(scope="module")
def named(example):
    """The word stands before the end of every name, by which names differ."""
    return cache(lambda word: example(2, 5, named=lambda name: f"{word} {name[-5:]}"))


def figure_of(drawn):
    return (next(iter(drawn.values())) if isinstance(drawn, dict) else drawn).figure


def words_in(path):
    """What can be read in a vector file."""
    tree = ET.parse(path).getroot()  # noqa: S314  (matplotlib has just written it)
    return [" ".join("".join(node.itertext()).split()) for node in tree.iter(f"{SVG}text")]


@pytest.mark.parametrize(("word", "name"), CASES)
def test_every_picture_shows_names_as_they_are(pictures, named, tmp_path, word, name):
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure = figure_of(pictures[name](named(word)))
        figure.savefig(tmp_path / "picture.svg")
    found = words_in(tmp_path / "picture.svg")
    assert sum(word in text for text in found) >= 2
    figure.savefig(tmp_path / "picture.pdf")  # its own way of drawing text
    figure.savefig(tmp_path / "picture.png", dpi=30)


def test_pictures_without_names_are_the_others(pictures):
    assert set(pictures) - set(WITH_NAMES) == {
        "history",
        "replication",
        "sanity",
        "search",
        "transfer",
        "top_genes, read",
    }


@pytest.mark.parametrize("word", WORDS)
def test_names_of_columns_genes_and_settings(example, tmp_path, word):
    few = example(2, 5)
    few.obs[word] = few.obs["cell_type_of_the_atlas"].to_numpy()
    few.obs[f"{word} number"] = range(few.n_obs)
    table = pd.DataFrame({word: [f"{word} 1", f"{word} 2"], "loss": [0.2, 0.1], "loss_sd": 0.01, "stability": 0.9})
    drawn = [
        mo.pl.embeddings(few, color=word),
        mo.pl.embeddings(few, color=f"{word} number"),
        mo.pl.units(few, [0], color=f"{word} number"),
        mo.pl.confusion(few, truth=word),
        mo.pl.search(table, x=word),
    ]
    for one in drawn:
        with mpl.rc_context({"svg.fonttype": "none"}):
            figure_of(one).savefig(tmp_path / "picture.svg")
        assert any(word in text for text in words_in(tmp_path / "picture.svg"))


def test_what_others_have_written_stays_mathematics(example, tmp_path):
    """Beside the picture, and in the axes that it is drawn in."""
    few = example(2, 5, named=lambda name: f"$x$ {name[-5:]}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    left.set_title(r"$\alpha$")
    right.set_title(r"$\beta$")
    left.set_xlabel("$x$ of nothing")
    mo.pl.confusion(few, truth="cell_type_of_the_atlas", ax=left)
    assert [left.title.get_parse_math(), right.title.get_parse_math()] == [True, True]
    names = [label for label in left.get_yticklabels() if label.get_text()]
    assert [label.get_parse_math() for label in names] == [False] * 2
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(tmp_path / "picture.svg")
    found = words_in(tmp_path / "picture.svg")
    assert "α" in found
    assert sum("$x$" in text for text in found) == 4  # two rows, and two of three columns


def test_powers_of_ten_stay_powers(pictures, example):
    """They are mathematics of matplotlib's own."""
    figure = figure_of(pictures["history"](example(2, 5)))
    figure.canvas.draw()
    powers = [text for text in figure.findobj(Text) if r"\mathdefault" in text.get_text()]
    assert powers
    assert all(text.get_parse_math() for text in powers)
