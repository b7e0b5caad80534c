"""`pl.match_programmes`: what stands where, and what has a ring."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import modulae as mo

GENES = [f"gene_{number}" for number in range(200)]
QUICK = {"n_permutations": 199}


def catalogue(seed, blocks):
    """Programmes of 30 genes each; the name says which block of genes."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.gamma(1, 0.1, size=(200, len(blocks))), index=GENES, columns=list(blocks))
    for name in blocks:
        start = "ABCDEF".index(name.upper()) * 30
        table.loc[GENES[start : start + 30], name] += rng.gamma(3, 1, 30)
    return table


def texts(labels):
    return [label.get_text() for label in labels]


def drawn(ax):
    cells = next(one for one in ax.collections if one.get_gid() == "cells").get_array()
    rings = next(one for one in ax.collections if one.get_gid() == "found")
    return np.asarray(cells), {(int(row), int(column)) for column, row in rings.get_offsets()}, rings


def test_partners_stand_on_the_diagonal():
    first, second = catalogue(0, "abcd"), catalogue(1, "FDBAC")
    ax = mo.pl.match_programmes(first, second, names=("mine", "theirs"), **QUICK)
    rows, columns = texts(ax.get_yticklabels()), texts(ax.get_xticklabels())
    assert sorted(rows) == ["a", "b", "c", "d"]
    assert [name.upper() for name in rows] + ["F"] == columns
    values, found, _ = drawn(ax)
    expected = mo.match_programmes(first, second, of="similarity").loc[rows, columns]
    np.testing.assert_allclose(values, expected)
    assert (np.diff(np.diag(values)) <= 0).all()
    assert found == {(0, 0), (1, 1), (2, 2), (3, 3)}
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("mine", "theirs")
    assert ax.get_title().replace("\n", " ") == "4 of 4 programmes are found again"


def test_what_is_not_found_has_no_ring():
    first, second = catalogue(0, "abce"), catalogue(1, "ABDF")
    ax = mo.pl.match_programmes(first, second, **QUICK)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("first", "second")
    assert set(texts(ax.get_yticklabels())[:2]) == {"a", "b"}
    assert drawn(ax)[1] == {(0, 0), (1, 1)}


def test_a_column_for_each_of_several():
    others = {"s1": catalogue(1, "ABCD"), "s2": catalogue(2, "ABDF"), "s3": catalogue(3, "AEFD")}
    ax = mo.pl.match_programmes(catalogue(0, "cbda"), others, **QUICK)
    rows, values = texts(ax.get_yticklabels()), drawn(ax)[0]
    table = mo.match_programmes(catalogue(0, "cbda"), others, **QUICK)
    counted = table["found"].groupby("programme").sum()
    assert counted.to_dict() == {"a": 3, "b": 2, "c": 1, "d": 3}
    assert counted[rows].tolist() == [3, 3, 2, 1]
    assert texts(ax.texts) == ["3 of 3", "3 of 3", "2 of 3", "1 of 3"]
    assert texts(ax.get_xticklabels()) == ["s1", "s2", "s3"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("", "")  # what they are called stands at the columns
    for column, name in enumerate(others):
        np.testing.assert_allclose(values[:, column], table.loc[name].loc[rows, "similarity"])
    assert len(drawn(ax)[1]) == counted.sum()


def test_rings_are_seen_on_dark_cells():
    one = catalogue(0, "abcd")
    rings = drawn(mo.pl.match_programmes(one, one.rename(columns=str.upper), **QUICK))[2]
    assert {to_hex(colour) for colour in rings.get_edgecolors()} == {"#ffffff"}


def test_long_names_are_cut_and_stay_different():
    names = [f"{'a very long name of a programme ' * 3}{number}" for number in range(4)]
    one = catalogue(0, "abcd").set_axis(names, axis=1)
    labels = texts(mo.pl.match_programmes(one, catalogue(1, "abcd"), **QUICK).get_yticklabels())
    assert len(set(labels)) == 4
    assert max(map(len, labels)) < 60


def test_a_given_axes_is_drawn_into():
    import matplotlib.pyplot as plt

    ax = plt.subplots()[1]
    assert mo.pl.match_programmes(catalogue(0, "abcd"), catalogue(1, "abcd"), ax=ax, **QUICK) is ax


def test_genes_of_two_species_are_refused():
    other = catalogue(1, "abcd").set_axis([f"other_{number}" for number in range(200)])
    with pytest.raises(ValueError, match="0 genes in common"):
        mo.pl.match_programmes(catalogue(0, "abcd"), other)


def test_of_many_columns_partners_and_the_most_similar_are_drawn():
    rng = np.random.default_rng(5)
    others = pd.DataFrame(rng.gamma(1, 0.3, size=(200, 40)), GENES, [f"other {number}" for number in range(40)])
    many = pd.concat([others, catalogue(1, "CAB")], axis=1)
    ax = mo.pl.match_programmes(catalogue(0, "abc"), many, names=("mine", "theirs"), **QUICK)
    columns = texts(ax.get_xticklabels())
    assert len(columns) == 25
    assert sorted(columns[:3]) == ["A", "B", "C"]
    similarity = mo.match_programmes(catalogue(0, "abc"), many, of="similarity").max()
    assert columns[3:] == similarity.drop(["A", "B", "C"]).nlargest(22).index.tolist()
    assert drawn(ax)[1] == {(0, 0), (1, 1), (2, 2)}
    assert ax.get_xlabel() == "theirs\n(25 of 43)"
    every = mo.pl.match_programmes(catalogue(0, "abc"), many, n_columns=None, **QUICK)
    assert (len(texts(every.get_xticklabels())), every.get_xlabel()) == (43, "second")
    assert ax.figure.get_figwidth() < every.figure.get_figwidth()
    assert len(texts(mo.pl.match_programmes(catalogue(0, "abc"), many, n_columns=2, **QUICK).get_xticklabels())) == 2
    with pytest.raises(ValueError, match="n_columns is 0"):
        mo.pl.match_programmes(catalogue(0, "abc"), many, n_columns=0, **QUICK)
