"""Every table of `mo.get`, whatever was run before: it is there, or the message has a call that makes it."""

import inspect
import traceback
from dataclasses import dataclass

import pytest

import modulae as mo

SMALL = {"n_latent": 4, "max_epochs": 2, "device": "cpu", "progress": False}
GIVEN = {"confusion": {"truth": "group"}}


def simulated(seed):
    return mo.datasets.simulated(n_cells=90, n_genes=60, n_programmes=3, genes_per_programme=10, seed=seed)


@pytest.fixture(scope="module", params=["parts", "orthogonal"])
def trained_alone(request):
    adata = simulated(0)
    once = {"n_splits": 0} if request.param == "parts" else {}
    mo.tl.autoencoder(adata, architecture=request.param, **SMALL, **once)
    return adata


@pytest.fixture(params=["trained", "transferred", "transferred from a file"])
def adata(request, trained_alone, tmp_path):
    if request.param == "trained":
        return trained_alone.copy()
    adata, model = simulated(1), trained_alone
    if request.param == "transferred from a file":
        mo.save_model(trained_alone, tmp_path / "model.safetensors")
        model = mo.load_model(tmp_path / "model.safetensors")
    mo.tl.transfer(adata, model, device="cpu")
    return adata


@dataclass
class Refusal:
    message: str
    traceback: traceback.StackSummary


def refusal(function, *args, **given):
    """What it is refused with, if it is."""
    try:
        function(*args, **given)
    except (KeyError, ValueError) as error:
        return Refusal(str(error.args[0]), traceback.extract_tb(error.__traceback__))
    return None


@pytest.mark.parametrize("name", [name for name in mo.get.__all__ if inspect.isfunction(getattr(mo.get, name))])
def test_a_table_is_there_or_the_message_says_what_makes_it(adata, name):
    said = refusal(getattr(mo.get, name), adata, **GIVEN.get(name, {}))
    assert said is None or (said.traceback[-1].line.startswith("raise") and "`mo." in said.message), said


def test_the_summary_of_units_after_a_transfer(adata):
    if "transfer" not in adata.uns["ae"]:
        pytest.skip("of transferred models")
    with pytest.raises(KeyError, match=r"no summary of units.*Run `mo\.tl\.unit_summary\(adata\)` first"):
        mo.get.unit_summary(adata)
    mo.tl.unit_summary(adata, device="cpu", progress=False)
    assert len(mo.get.unit_summary(adata)) == 4


def test_of_several_rankings_one_has_to_be_named(adata):
    adata.obs["half"] = ["one", "other"] * 45
    for column in ("group", "half"):
        mo.tl.rank_units(adata, column)
    for function in (mo.get.rank_units, mo.pl.rank_units):
        with pytest.raises(KeyError, match=r"several results, \['ae_rank_group', 'ae_rank_half'\].*result=") as caught:
            function(adata)
    call = str(caught.value.args[0]).split("`")[1]
    assert call == "mo.get.rank_units(adata, result='ae_rank_group')"
    assert len(eval(call, {"mo": mo, "adata": adata}))  # noqa: S307 (the call that the message says to run)
