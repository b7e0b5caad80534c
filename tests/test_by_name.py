"""Arguments that have to be named say so, with the call, where they are given by position."""

import importlib
import inspect
import re

import pytest

import modulae as mo

SPACES = ("", "pp", "tl", "get", "pl", "metrics", "datasets")
PUBLIC = {
    f"{space}.{name}".lstrip("."): function
    for space in SPACES
    for module in [importlib.import_module(f"modulae.{space}".rstrip("."))]
    for name in module.__all__
    if inspect.isfunction(function := getattr(module, name))
}


def kinds(function):
    """How many arguments go by position, and the names of the others."""
    parameters = inspect.signature(function).parameters.values()
    named = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    return len(parameters) - len(named), named


WITH_NAMES = {name: function for name, function in PUBLIC.items() if kinds(function)[1]}


@pytest.mark.parametrize("name", WITH_NAMES)
def test_every_function_says_what_to_name(name):
    function = WITH_NAMES[name]
    n, named = kinds(function)
    first = list(inspect.signature(function).parameters)[:n]
    with pytest.raises(TypeError) as refused:
        function(*first, "x")
    call = re.search(r"Write `(.*?)`\.", str(refused.value)).group(1)
    given = [*first, f"{named[0]}='x'"]
    assert call == f"mo.{name}({', '.join(given)})"
    with pytest.raises(TypeError) as refused:
        function(*first, object())
    assert f"one of these: {', '.join(named[:8])}" in str(refused.value)


def test_what_is_named_already_is_not_named_again():
    with pytest.raises(
        TypeError, match=r"^mo.get.top_genes takes adata by position, and the rest by name\."
    ) as refused:
        mo.get.top_genes("adata", 3, unit=0)
    assert "Write `mo.get.top_genes(adata, n=3)`. What else can be named: key." in str(refused.value)


def test_more_than_there_is_room_for_is_what_python_says():
    with pytest.raises(TypeError, match="takes 1 positional argument but 9 were given"):
        mo.get.top_genes(mo.datasets.pbmc68k(), *range(8))


def test_signatures_stay_what_they_were():
    assert len(WITH_NAMES) > 60
    assert str(inspect.signature(mo.read_gene_sets)).endswith("*, organism: 'str' = 'human') -> 'dict[str, list[str]]'")
    assert mo.metrics.unit_stability.__module__ == "modulae.metrics._unit_stability"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_function_refuses_a_name_that_it_has_not(name):
    first = next(iter(inspect.signature(PUBLIC[name]).parameters), None)
    says = rf"^mo\.{re.escape(name)} has no argument surely_none=\. It takes "
    with pytest.raises(TypeError, match=says) as refused:
        PUBLIC[name](surely_none=1)
    if first is None:
        return
    assert f"It takes {first}" in str(refused.value)
    with pytest.raises(TypeError, match=rf"^mo\.{re.escape(name)} has no argument {first}s=\. Did you mean {first}="):
        PUBLIC[name](**{f"{first}s": 1})


def test_the_name_that_is_meant_and_nothing_is_written():
    adata = mo.datasets.simulated(n_cells=20, n_genes=20, n_programmes=2, genes_per_programme=5)
    before = str(adata)
    says = r"^mo\.tl\.autoencoder has no argument n_latents=\. Did you mean n_latent="
    with pytest.raises(TypeError, match=says) as refused:
        mo.tl.autoencoder(adata, n_latents=4)
    assert "modulae." not in str(refused.value)
    assert str(adata) == before


def test_what_is_missing_is_named_with_the_public_function():
    adata = mo.datasets.simulated(n_cells=20, n_genes=20, n_programmes=2, genes_per_programme=5)
    with pytest.raises(
        TypeError, match=r"^mo\.get\.confusion needs truth=: `mo\.get\.confusion\(adata, truth=\.\.\.\)`\.$"
    ):
        mo.get.confusion(adata)
    with pytest.raises(TypeError, match=r"^mo\.tl\.rank_units needs groupby=: `mo\.tl\.rank_units\(adata, groupby="):
        mo.tl.rank_units(adata)
    with pytest.raises(TypeError, match=r"^mo\.tl\.pathway_impact needs adata=, gene_sets=: "):
        mo.tl.pathway_impact()
