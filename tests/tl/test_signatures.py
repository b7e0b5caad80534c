"""Gene sets from a reference: the planted genes come back, in the order of the statistic."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

import modulae as mo

# `sc.get.rank_genes_groups_df` of scanpy 1.12 drops columns in place, which pandas 3.1 asks not to
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.drop:DeprecationWarning")

MARKERS = {"A": ["g0", "g1", "g2"], "B": ["g3", "g4", "g5"], "C": ["g6", "g7", "g8"]}


def reference_of(values, labels):
    obs = pd.DataFrame({"population": labels}, index=[f"sample {i}" for i in range(len(labels))])
    return AnnData(
        np.asarray(values, dtype=float), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(np.shape(values)[1])])
    )


@pytest.fixture
def reference():
    """Four samples of each population; its own three genes are eightfold up; g9 is down in A."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["A", "B", "C"], 4)
    values = 7 + 0.2 * rng.standard_normal((12, 40))
    for number, population in enumerate("ABC"):
        values[np.ix_(labels == population, range(3 * number, 3 * number + 3))] += 3
    values[labels == "A", 9] -= 4
    made = reference_of(values, labels)
    return made[:, rng.permutation(made.n_vars)].copy()


@pytest.mark.parametrize("method", ["t-test_overestim_var", "t-test", "log_fold_change"])
def test_the_planted_genes_come_back(reference, method):
    found = mo.tl.signatures(reference, groupby="population", n_genes=3, method=method)
    assert list(found) == ["A", "B", "C"]
    assert {name: sorted(genes) for name, genes in found.items()} == MARKERS


def test_down_finds_the_gene_that_is_down(reference):
    found = mo.tl.signatures(reference, groupby="population", groups=["A"], n_genes=1, direction="down")
    assert found == {"A": ["g9"]}


@pytest.mark.parametrize("method", ["t-test_overestim_var", "t-test", "log_fold_change"])
def test_down_is_up_of_the_opposite(reference, method):
    ask = {"groupby": "population", "n_genes": 1000, "method": method}
    opposite = reference.copy()
    opposite.X = -opposite.X
    assert mo.tl.signatures(reference, **ask, direction="down") == mo.tl.signatures(opposite, **ask)


def test_a_gene_that_is_the_same_everywhere_is_in_no_set(reference):
    reference.X[:, 5] = 7.25
    same = reference.var_names[5]
    for direction in ("up", "down"):
        found = mo.tl.signatures(reference, groupby="population", n_genes=1000, direction=direction)
        assert not any(same in genes for genes in found.values())


def test_order_is_that_of_welchs_t(reference):
    """Against scipy's own test on the two sides."""
    inside = (reference.obs["population"] == "B").to_numpy()
    t, _ = stats.ttest_ind(reference.X[inside], reference.X[~inside], equal_var=False)
    expected = reference.var_names[np.argsort(-t)][: (t > 0).sum()]
    found = mo.tl.signatures(reference, groupby="population", groups=["B"], n_genes=1000, method="t-test")
    assert found["B"] == list(expected)


def test_order_of_the_careful_test_takes_the_others_for_as_few(reference):
    """Welch's t with the number of samples of the population on both sides."""
    inside = (reference.obs["population"] == "B").to_numpy()
    own, others = reference.X[inside], reference.X[~inside]
    t = (own.mean(axis=0) - others.mean(axis=0)) / np.sqrt((own.var(axis=0, ddof=1) + others.var(axis=0, ddof=1)) / 4)
    expected = reference.var_names[np.argsort(-t)][: (t > 0).sum()]
    ask = {"groupby": "population", "groups": ["B"], "n_genes": 1000}
    assert mo.tl.signatures(reference, **ask, method="t-test_overestim_var")["B"] == list(expected)


def test_one_sample_each_is_ranked_by_the_difference_of_means():
    reference = reference_of([[5.5, 1.5, 9.5], [4.5, 8.5, 2.5], [4.5, 4.5, 7.5]], ["x", "y", "z"])
    found = mo.tl.signatures(reference, groupby="population")
    assert found == {"x": ["g2", "g0"], "y": ["g1"], "z": ["g2"]}


def test_a_steady_gene_leads_by_t_and_a_large_one_by_fold_change():
    """g0: small and the same in every sample; g1: larger, from one sample alone."""
    own = [[5.5, 4.0], [5.6, 4.1], [5.4, 16.2]]
    others = [[4.5, 4.2], [4.6, 3.9], [4.4, 4.0]]
    reference = reference_of(own + others, ["own"] * 3 + ["others"] * 3)
    ask = {"groupby": "population", "groups": ["own"]}
    assert mo.tl.signatures(reference, **ask)["own"] == ["g1", "g0"]
    for method in ("t-test", "t-test_overestim_var"):
        assert mo.tl.signatures(reference, **ask, method=method)["own"] == ["g0", "g1"]


def test_only_genes_that_change_enough(reference):
    found = mo.tl.signatures(reference, groupby="population", n_genes=1000, min_log_fold_change=2.5)
    assert {name: sorted(genes) for name, genes in found.items()} == MARKERS


@pytest.mark.parametrize("method", ["t-test", "log_fold_change"])
def test_samples_without_a_label_take_no_part(reference, method):
    ask = {"groupby": "population", "n_genes": 1000, "method": method}
    expected = mo.tl.signatures(reference[reference.obs["population"] != "C"], **ask)
    reference.obs["population"] = reference.obs["population"].where(reference.obs["population"] != "C")
    assert mo.tl.signatures(reference, **ask) == expected


def test_each_population_is_against_all_others_also_when_few_are_asked_for(reference):
    every = mo.tl.signatures(reference, groupby="population")
    assert mo.tl.signatures(reference, groupby="population", groups=["C"]) == {"C": every["C"]}


def test_sparse_and_layer_give_the_same_and_the_reference_stays(reference):
    ask = {"groupby": "population", "n_genes": 1000, "method": "t-test"}
    expected = mo.tl.signatures(reference, **ask)
    reference.layers["log"] = sparse.csr_matrix(reference.X)
    reference.X = np.zeros(reference.shape)
    before = reference.copy()
    assert mo.tl.signatures(reference, **ask, layer="log") == expected
    assert list(reference.obs) == list(before.obs)
    assert list(reference.uns) == list(before.uns)
    np.testing.assert_array_equal(reference.layers["log"].toarray(), before.layers["log"].toarray())


def test_sets_go_on_to_the_mask(reference):
    cells = AnnData(np.ones((3, reference.n_vars), dtype=np.float32), var=reference.var.copy())
    mo.pp.gene_set_mask(cells, mo.tl.signatures(reference, groupby="population", n_genes=3))
    assert set(cells.var_names[cells.var["in_gene_sets"]]) == {gene for genes in MARKERS.values() for gene in genes}


@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from(["up", "down"]))
@settings(max_examples=25, deadline=None)
def test_no_gene_stands_twice_or_goes_the_other_way(seed, n_genes, direction):
    rng = np.random.default_rng(seed)
    reference = reference_of(rng.normal(6, 1, (9, 12)), rng.permutation(np.repeat(["x", "y", "z"], 3)))
    found = mo.tl.signatures(reference, groupby="population", n_genes=n_genes, direction=direction)
    table = reference.to_df()
    for name, genes in found.items():
        inside = (reference.obs["population"] == name).to_numpy()
        change = table[inside].mean() - table[~inside].mean()
        assert len(set(genes)) == len(genes) <= n_genes
        assert ((change[genes] > 0) == (direction == "up")).all()


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_genes_and_samples_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(6, 1, (6, 9))
    values[:3, 0] += 5  # so that either has a gene
    values[3:, 1] += 5
    reference = reference_of(values, ["x"] * 3 + ["y"] * 3)
    mixed = reference[rng.permutation(6), rng.permutation(9)]
    ask = {"groupby": "population"}
    assert mo.tl.signatures(mixed, **ask) == mo.tl.signatures(reference, **ask)


@pytest.mark.parametrize("factor", [20, "whole"])
def test_what_is_no_logarithm_gets_a_warning(reference, factor):
    reference.X = np.rint(reference.X) if factor == "whole" else reference.X * factor
    with pytest.warns(UserWarning, match="sc.pp.log1p"):
        mo.tl.signatures(reference, groupby="population")


def test_a_population_without_genes_is_left_out_with_a_warning():
    reference = reference_of([[8.5, 2.5], [8.4, 2.5], [2.5, 2.5], [2.5, 2.5], [2.5, 2.5], [2.5, 2.5]], list("aabbcc"))
    with pytest.warns(UserWarning, match=r"2 populations .* b, c.*min_log_fold_change"):
        assert mo.tl.signatures(reference, groupby="population", min_log_fold_change=1) == {"a": ["g0"]}
    with pytest.raises(ValueError, match="Lower min_log_fold_change"):
        mo.tl.signatures(reference, groupby="population", min_log_fold_change=9)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"groupby": "nothing"}, KeyError, "Choose one of"),
        ({"groups": ["D"]}, KeyError, "Choose from"),
        ({"groups": "A"}, TypeError, "give a list"),
        ({"layer": "log"}, KeyError, "Take None for"),
        ({"n_genes": 0}, ValueError, "such as 100"),
        ({"n_genes": True}, ValueError, "such as 100"),
        ({"n_genes": 1.5}, ValueError, "such as 100"),
        ({"method": "limma"}, ValueError, "choose one of"),
        ({"direction": "both"}, ValueError, "choose one of"),
        ({"min_log_fold_change": -1}, ValueError, "direction='down'"),
        ({"min_log_fold_change": float("nan")}, ValueError, "give 0 or more"),
        ({"min_log_fold_change": "1"}, ValueError, "twofold"),
    ],
)
def test_settings_that_cannot_be(reference, wrong, error, message):
    with pytest.raises(error, match=message):
        mo.tl.signatures(reference, **{"groupby": "population", **wrong})


@pytest.mark.parametrize("method", ["t-test", "t-test_overestim_var"])
def test_a_single_sample_has_no_t(reference, method):
    ask = {"groupby": "population", "method": method}
    with pytest.raises(
        ValueError, match=r"needs two samples on both sides, and there are fewer for A\..*log_fold_change"
    ):
        mo.tl.signatures(reference[3:], **ask)
    assert list(mo.tl.signatures(reference[3:], **ask, groups=["B"])) == ["B"]
    with pytest.raises(ValueError, match="two samples on both sides"):
        mo.tl.signatures(reference[3:8], **ask, groups=["B"])


def test_one_population_has_no_others(reference):
    with pytest.raises(ValueError, match="two groups or more"):
        mo.tl.signatures(reference[:4], groupby="population")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_missing(reference, value):
    reference.X[2, 3] = value
    with pytest.raises(ValueError, match="Fill them in"):
        mo.tl.signatures(reference, groupby="population")


def test_a_gene_that_is_there_twice(reference):
    reference.var_names = ["g0", *reference.var_names[1:-1], "g0"]
    with pytest.raises(ValueError, match="var_names_make_unique"):
        mo.tl.signatures(reference, groupby="population")


def test_no_values_and_no_numbers(reference):
    with pytest.raises(ValueError, match="name a layer"):
        mo.tl.signatures(AnnData(obs=reference.obs, var=reference.var), groupby="population")
    reference.layers["text"] = reference.X.astype(str).astype(object)
    with pytest.raises(TypeError, match="not numbers"):
        mo.tl.signatures(reference, groupby="population", layer="text")
