"""Which unit is meant by a number or a name."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import modulae as mo
from modulae._adata.stored.unit_labels import unit_number, unit_numbers

NAMES = {"0": "T cells", "2": "B cells", "3": "B cells", "4": "1"}


@pytest.mark.parametrize(
    ("given", "number"), [(1, 1), ("0", 0), (np.int64(3), 3), (np.str_("2"), 2), ("T cells", 0), (4, 4)]
)
def test_a_number_as_number_or_text_and_a_name(given, number):
    assert unit_number(given, 5, NAMES) == number


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (5, KeyError, "unit 5 does not exist: there are 5, counted from 0. Choose one up to 4"),
        (-1, KeyError, "unit -1 does not exist"),
        ("9", KeyError, "unit '9' does not exist"),
        ("B cells", KeyError, "2 units are called 'B cells': 2, 3. Give the number"),
        ("1", KeyError, "number of a unit, and the name of another, unit 4. .* not as text: 1 or 4"),
        ("T cell", KeyError, "no unit is called 'T cell'. The units with a name are 0: 'T cells', .* from 0 to 4"),
        (1.0, TypeError, "give its number or its name"),
        (True, TypeError, "give its number or its name"),
        (None, TypeError, "give its number or its name"),
    ],
)
def test_what_is_no_unit(given, error, match):
    with pytest.raises(error, match=match):
        unit_number(given, 5, NAMES)


def test_a_name_of_digits_that_is_no_number_here_is_a_name():
    """As cNMF counts from 1: of nine programmes only the last has no other's number."""
    names = {str(unit): str(unit + 1) for unit in range(9)}
    assert unit_number("9", 9, names) == 8
    assert unit_number(9 - 1, 9, names) == 8
    with pytest.raises(KeyError, match="not as text: 3 or 2"):
        unit_number("3", 9, names)


def test_where_no_unit_has_a_name_numbers_are_asked_for():
    with pytest.raises(KeyError, match="None has a name yet: give its number, from 0 to 4"):
        unit_number("T cells", 5, {})


def test_of_many_names_those_most_alike_come_first():
    names = {str(unit): f"{letter * 5} programme" for unit, letter in enumerate("abcdefghijklmnopqrstu")}
    with pytest.raises(KeyError, match=r"with a name are 20: 'uuuuu programme', .* \(9 more\)"):
        unit_number("uuuu programme", 30, names)


def test_a_list_has_each_unit_once_in_its_order():
    assert unit_numbers([3, "T cells", 0, "3"], 5, NAMES) == [3, 0]
    for given, error in (("T cells", TypeError), (3, TypeError), ([], ValueError)):
        with pytest.raises(error, match="units is"):
            unit_numbers(given, 5, NAMES)


@pytest.fixture(scope="module")
def named():
    adata = mo.datasets.simulated(n_cells=200, n_genes=300, n_programmes=4, seed=0)
    mo.tl.autoencoder(adata, n_splits=0, n_latent=4, max_epochs=2, device="cpu", progress=False)
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(200, 2))
    sets = adata.uns["gene_sets"]
    mo.tl.saliency(adata, device="cpu")
    mo.tl.enrich_units(adata, sets, n_permutations=99, device="cpu", progress=False)
    mo.tl.pathway_impact(adata, sets, null=None, device="cpu")
    mo.tl.pathway_impact(adata, sets, groupby="group", null=None, device="cpu")
    mo.tl.rank_units(adata, "group")
    mo.tl.edit_units(adata, rename={"2": "Interferon", "1": "Stress"})
    return adata


def ticks(axis):
    return [label.get_text().split(":")[0] for label in axis.get_ticklabels()]


PICKS = {
    "get.top_genes": lambda a, units: set(mo.get.top_genes(a, unit=units[0])["unit"]),
    "get.enrichment": lambda a, units: set(mo.get.enrichment(a, unit=units[0])["unit"]),
    "pl.top_genes": lambda a, units: {mo.pl.top_genes(a, units[0]).get_title().split(":")[0].removeprefix("unit ")},
    "pl.top_genes, saliency": lambda a, units: {
        mo.pl.top_genes(a, units[0], by="saliency").get_title().split(":")[0].removeprefix("unit ")
    },
    "pl.units": lambda a, units: list(mo.pl.units(a, units)),
    "pl.enrichment": lambda a, units: ticks(mo.pl.enrichment(a, units=units, max_q=1.0).xaxis),
    "pl.impact": lambda a, units: ticks(mo.pl.impact(a, units=units).xaxis),
    "pl.impact_groups": lambda a, units: ticks(
        [*mo.pl.impact_groups(a, groupby="group", units=units).values()][-1].xaxis
    ),
    "pl.rank_units": lambda a, units: ticks(mo.pl.rank_units(a, units=units).yaxis),
}


@pytest.mark.parametrize("function", PICKS)
def test_every_function_takes_names(named, function):
    found = PICKS[function](named, ["Interferon", 1])
    assert found == ({"2"} if isinstance(found, set) else ["2", "1"])
    assert PICKS[function](named, ["2", 1]) == found
    with pytest.raises(KeyError, match="no unit is called 'Interferom'"):
        PICKS[function](named, ["Interferom"])
    plt.close("all")


def test_an_export_takes_names(named, tmp_path):
    mo.write_programmes(named, tmp_path / "a.gmt", units=["Interferon", 0, "2"])
    assert list(mo.read_programmes(tmp_path / "a.gmt").columns) == ["Interferon", "unit 0"]
    with pytest.raises(TypeError, match=r"units is the text '12'; give a list"):
        mo.write_programmes(named, tmp_path / "a.gmt", units="12")
