"""`key` names the model in every function, and what a message says to run can be copied and run."""

import inspect
import re
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

import modulae as mo

KEY = "consensus of mine"
SMALL = {"key": KEY, "device": "cpu"}
QUIET = {**SMALL, "progress": False}

MAKES = {
    "saliency": lambda a: mo.tl.saliency(a, **SMALL),
    "pathway_impact": lambda a: mo.tl.pathway_impact(a, a.uns["gene_sets"], groupby="half", null=None, **SMALL),
    "pathway_activity": lambda a: mo.tl.pathway_activity(a, a.uns["gene_sets"], **SMALL),
    "enrich_units": lambda a: mo.tl.enrich_units(a, a.uns["gene_sets"], n_permutations=20, **QUIET),
    "unit_summary": lambda a: mo.tl.unit_summary(a, groupby="half", **QUIET),
    "rank_units": lambda a: mo.tl.rank_units(a, "half", key=KEY),
    "sanity": lambda a: mo.tl.sanity(a, a.uns["gene_sets"], n_seeds=1, max_epochs=1, **QUIET),
    "embeddings": lambda a: mo.tl.embeddings(a, key=KEY),
    "denoise": lambda a: mo.tl.denoise(a, **SMALL),
    "call_units": lambda a: mo.tl.call_units(a, **SMALL),
    "novelty": lambda a: mo.tl.novelty(a, key=KEY),
    "classify": lambda a: mo.tl.classify(a, reference(a), labels="half", **SMALL),
    "joint_embedding": lambda a: mo.tl.joint_embedding(a, reference(a), labels="half", **SMALL),
}
"""What makes results."""

READS = (
    "get.history",
    "get.representation",
    "get.loadings",
    "get.top_genes",
    "get.units_adata",
    "get.transfer",
    "get.edits",
    "pl.history",
    "pl.transfer",
)
"""What needs the model only."""

NEEDS = {
    "get.saliency": {},
    "get.impact": {},
    "get.impact_table": {},
    "get.pathway_activity": {},
    "get.enrichment": {},
    "get.unit_summary": {},
    "get.rank_units": {},
    "get.unit_calls": {},
    "get.sanity": {},
    "get.joint_embedding": {},
    "pl.impact": {"min_unit_impact": 0},
    "pl.impact_groups": {"groupby": "half", "min_unit_impact": 0},
    "pl.top_genes": {"unit": 0, "by": "saliency"},
    "pl.pathway_activity": {},
    "pl.enrichment": {"max_q": 1.0},
    "pl.unit_summary": {},
    "pl.rank_units": {"max_q": 1.0},
    "pl.sanity": {},
    "pl.joint_embedding": {},
}
"""What reads a result, which a model may have several of."""

ALSO_NEEDS = {
    "get.confusion": {"truth": "half"},
    "pl.confusion": {"truth": "half"},
    "pl.embeddings": {},
    "pl.units": {},
}
"""What reads other fields of the model."""

ELSEWHERE = {"tl.search", "get.replication", "pl.replication", "tl.edit_units", "pl.match_programmes"}
"""Their models have halves, or no name; or they take more than one object, or change the model."""


def call(name, adata, **of):
    space, function = name.split(".")
    return getattr(getattr(mo, space), function)(adata, **{**NEEDS, **ALSO_NEEDS}.get(name, {}), **of)


def reference(adata):
    return adata.copy()


def read(adata):
    """Other cells, which the model has read."""
    cells = mo.datasets.simulated(n_cells=30, n_genes=40, n_programmes=5, genes_per_programme=7, seed=2)
    mo.tl.transfer(cells, adata, model_key=KEY, key_added=KEY, device="cpu")
    return cells


@pytest.fixture(scope="module")
def trained_once():
    adata = mo.datasets.simulated(n_cells=90, n_genes=40, n_programmes=5, genes_per_programme=7, seed=1)
    adata.obs["half"] = np.where(np.arange(adata.n_obs) % 2, "a", "b")
    settings = {"n_latent": 4, "n_splits": 0, "max_epochs": 4, "batch_size": 16, "device": "cpu"}
    mo.tl.autoencoder(adata, **settings, key_added=KEY)
    return adata


@pytest.fixture
def adata(trained_once):
    yield trained_once.copy()
    plt.close("all")


@pytest.fixture(scope="module")
def results_once(trained_once):
    """Every result; after the comparison also the impact over all cells."""
    adata = trained_once.copy()
    for make in MAKES.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few cells
            make(adata)
    mo.tl.pathway_impact(adata, adata.uns["gene_sets"], **SMALL)
    return adata


def test_every_function_with_a_key_is_tried():
    spaces = {"tl": mo.tl, "get": mo.get, "pl": mo.pl}
    every = {f"{space}.{name}": getattr(of, name) for space, of in spaces.items() for name in of.__all__}
    parameters = {name: set(inspect.signature(function).parameters) for name, function in every.items()}
    with_key = {name for name, given in parameters.items() if "key" in given}
    with_result = {name for name, given in parameters.items() if "result" in given}
    assert with_key - ELSEWHERE == {f"tl.{name}" for name in MAKES} | {*READS, *NEEDS, *ALSO_NEEDS}
    assert with_result == set(NEEDS)


def test_results_bear_the_name_of_their_model(results_once):
    made = {name for name, entry in results_once.uns.items() if isinstance(entry, dict) and "of_model" in entry}
    assert len(made) > 10
    assert {results_once.uns[name]["of_model"] for name in made} == {KEY}
    for store in ("obsm", "varm", "layers"):
        assert all(KEY in name for name in getattr(results_once, store) if name and "truth" not in name)


@pytest.mark.parametrize("name", [*READS, *ALSO_NEEDS, *NEEDS])
def test_reading_takes_the_model(results_once, name):
    assert call(name, read(results_once) if "transfer" in name else results_once, key=KEY) is not None
    plt.close("all")


def test_no_model_of_the_name(results_once):
    for name in NEEDS:
        with pytest.raises(KeyError, match=rf"there is no model 'ae'.*Trained models here: \['{KEY}'\]"):
            call(name, results_once)


def follow(error, adata):
    """Run the code in a message, with what a reader has at hand."""
    code = re.findall(r"`(mo\.[^`]*\))`", error.args[0])
    assert code, error.args[0]
    at_hand = {"mo": mo, "adata": adata, "gene_sets": adata.uns["gene_sets"], "reference": reference(adata)}
    for line in code:
        assert f"key={KEY!r}" in line, line
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of so few cells
            exec(line.replace("=...", "='half'"), at_hand)  # noqa: S102


def try_until_it_works(name, adata, **of):
    """The first message, after which nothing else than what messages say was done."""
    said = []
    for _ in range(3):
        try:
            call(name, adata, **of)
        except KeyError as error:
            said.append(error.args[0])
            follow(error, adata)
        else:
            return said
    pytest.fail("\n".join(said))


@pytest.mark.parametrize("name", [*NEEDS, *ALSO_NEEDS])
def test_what_a_message_says_can_be_run(adata, name):
    assert try_until_it_works(name, adata, key=KEY)


@pytest.mark.parametrize("name", [name for name in NEEDS if name.startswith("get.") and name != "get.sanity"])
def test_what_a_message_says_makes_a_result_of_the_name(adata, name):
    said = try_until_it_works(name, adata, key=KEY, result="named")
    assert len(said) == 1
    assert "key_added='named'" in said[0]
    assert adata.uns["named"]["of_model"] == KEY


@pytest.mark.parametrize("name", ["get.saliency", "get.impact"])
def test_a_name_by_group_is_made_by_group(adata, name):
    named = f"{KEY}_{name.removeprefix('get.')}_half"
    said = try_until_it_works(name, adata, key=KEY, result=named, group="a")
    assert "groupby='half'" in said[0]


def test_a_result_is_of_the_model(results_once):
    adata = results_once.copy()
    mo.tl.saliency(adata, **SMALL, signed=False, key_added="absolute")
    other = mo.get.saliency(adata, key=KEY, result="absolute")
    assert not other.equals(mo.get.saliency(adata, key=KEY))
    assert mo.get.saliency(adata, result="absolute").equals(other)  # there is no model of the default name
    with pytest.raises(KeyError, match=rf"There are \['{KEY}_saliency', 'absolute'\]: name one in result="):
        mo.get.saliency(adata, result="x")
    adata.uns["ae"] = adata.uns[KEY]
    with pytest.raises(ValueError, match=rf"'absolute' is of the model '{KEY}', not of 'ae'.*: key='{KEY}'\."):
        mo.get.saliency(adata, result="absolute")
    with pytest.raises(ValueError, match=rf"'absolute' is of the model '{KEY}', not of 'other'"):
        mo.get.saliency(adata, key="other", result="absolute")
    with pytest.raises(KeyError, match=r"no saliency 'ae_saliency'.*Run `mo.tl.saliency\(adata\)` first"):
        mo.get.saliency(adata)


def test_a_usual_name_that_another_model_took(adata):
    adata.uns["ae"] = adata.uns[KEY]
    mo.tl.saliency(adata, **SMALL, key_added="ae_saliency")
    with pytest.raises(ValueError, match=rf"not of 'ae'. Name that model: key='{KEY}', result='ae_saliency'\."):
        mo.get.saliency(adata)
    assert mo.get.saliency(adata, key=KEY, result="ae_saliency").shape == (40, 4)


def test_a_group_of_a_result_over_all_cells_leads_to_those_by_group(results_once):
    with pytest.raises(KeyError, match=rf"leave out group=, or choose result= from \['{KEY}_impact_half'\]"):
        mo.get.impact(results_once, key=KEY, group="a")


@pytest.mark.parametrize("name", [*READS, *NEEDS, "pl.units"])
def test_without_a_model_the_step_makes_one_of_the_name(name):
    bare = mo.datasets.simulated(n_cells=20, n_genes=40, n_programmes=5, genes_per_programme=7)
    step = "transfer(adata, model" if "transfer" in name else "autoencoder(adata"
    with pytest.raises(KeyError, match=re.escape(f"Run `mo.tl.{step}, key_added={KEY!r})` first.")):
        call(name, bare, key=KEY)
