"""Sizes of blocks, seeds and counts of things: NumPy's whole numbers are whole, and nonsense is refused."""

import inspect

import numpy as np
import pytest

import modulae as mo
from modulae.core.model.config import Config, config_for


@pytest.fixture
def calls(trained):
    """Every function of `tl` that reads cells with a model, ready to be called."""
    trained.obs["kind"] = ["a", "b", "c"] * 30
    trained.uns["ae"]["history"]["gene_means_loss"] = 1e6  # as if it had learnt something worth borrowing
    names = trained.var_names[trained.var["chosen"]]
    sets = {f"set {i}": list(names[i : i + 6]) for i in range(6)}
    reference = trained.copy()
    mo.tl.transfer(trained, reference)
    given = {
        "classify": (reference, {"labels": "kind"}),
        "joint_embedding": (reference, {"labels": "kind"}),
        "enrich_units": (sets, {}),
        "pathway_activity": (sets, {}),
        "pathway_impact": (sets, {"groupby": "kind"}),
        "rank_units": ("kind", {}),
        "sanity": (sets, {"n_seeds": 1}),
        "transfer": (reference, {}),
    }

    def call(name, **more):
        second, named = given.get(name, (None, {}))
        return getattr(mo.tl, name)(trained, *([] if second is None else [second]), **named, **more)

    return trained, call


def having(parameter, *without):
    return sorted(
        name
        for name in mo.tl.__all__
        if parameter in inspect.signature(getattr(mo.tl, name)).parameters and name not in without
    )


@pytest.mark.parametrize("batch_size", [0, -3, 1.5])
@pytest.mark.parametrize("name", having("batch_size", "autoencoder"))
def test_a_block_has_at_least_one_cell(calls, name, batch_size):
    """A negative size once passed over all cells, and what was never written was returned."""
    adata, call = calls
    before = adata.copy()
    with pytest.raises(ValueError, match=r"batch_size is .*; give a whole number of at least 1"):
        call(name, batch_size=batch_size)
    for field in ("uns", "obsm", "varm", "layers", "obs"):
        assert list(getattr(adata, field)) == list(getattr(before, field))


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True, 2**32])
@pytest.mark.parametrize("name", having("seed", "search", "signatures", "autoencoder"))
def test_a_seed_is_a_whole_number(calls, name, seed):
    with pytest.raises(ValueError, match=r"seed is .*; give a whole number from 0"):
        calls[1](name, seed=seed)


@pytest.mark.parametrize("seed", [-1, None, "a"])
def test_a_seed_of_a_training_or_of_data_is_a_whole_number(untrained, seed):
    for call in (
        lambda: mo.tl.autoencoder(untrained, seed=seed),
        lambda: mo.tl.search(untrained, {"n_latent": [3]}, seed=seed),
        lambda: mo.datasets.simulated(seed=seed),
        lambda: mo.metrics.clustering_nmi(untrained, labels="group", seed=seed),
    ):
        with pytest.raises(ValueError, match=r"seed is .*; give a whole number from 0"):
            call()


def test_numpys_numbers_are_numbers():
    """Loops over `np.arange` and `np.logspace` give them; what is stored is Python's, which a JSON header takes."""
    given = {"n_latent": np.int64(4), "learning_rate": np.float32(0.5), "seed": np.int32(3)}
    config = config_for("orthogonal", schedule="cosine", size_factors="total", **given, snapshot_epochs=np.arange(2))
    assert config == Config(n_latent=4, learning_rate=0.5, seed=3, snapshot_epochs=(0, 1))
    assert {type(value) for value in (config.n_latent, config.seed, *config.snapshot_epochs)} == {int}
    assert type(config.learning_rate) is float


@pytest.mark.parametrize(
    ("name", "number"),
    [("pathway_impact", "n_permutations"), ("enrich_units", "n_permutations"), ("pathway_activity", "n_random")],
)
def test_numpys_whole_numbers_are_taken(calls, name, number):
    calls[1](name, **{number: np.int64(19)})


@pytest.mark.parametrize("epochs", [3, "3"])
def test_epochs_of_snapshots_are_a_list(untrained, epochs):
    with pytest.raises(TypeError, match=r"snapshot_epochs is .*; give a list of epochs"):
        mo.tl.autoencoder(untrained, snapshot_epochs=epochs)


@pytest.mark.parametrize("wrong", [{"n_neighbors": 1}, {"n_neighbors": 2.5}, {"n_pcs": 0}])
def test_embeddings_refuse_numbers_that_make_no_graph(trained, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; give a whole number of at least"):
        mo.tl.embeddings(trained, **wrong)


@pytest.mark.parametrize("sizes", [np.zeros(90), np.arange(90) % 2 == 0])
def test_size_factors_of_0_are_refused_before_anything_is_divided_by_them(untrained, sizes):
    """Where more than half of them are 0, so is their median."""
    untrained.obs["depth"] = sizes
    with pytest.raises(ValueError, match=r"'depth'\] is 0 for cells that have counts"):
        mo.tl.autoencoder(untrained, size_factors="depth")
