"""Which programme is which: models, catalogues and gene sets."""

import numpy as np
import pandas as pd
import pytest

import modulae as mo

GENES = [f"gene_{number}" for number in range(300)]


def catalogue(seed, names, weights=None):
    rng = np.random.default_rng(seed)
    own = rng.gamma(1, 0.1, size=(300, len(names)))
    for column in range(len(names)):
        own[column * 30 : column * 30 + 30, column] += rng.gamma(3, 1, 30)
    return pd.DataFrame(own if weights is None else weights, index=GENES, columns=names)


FIRST = catalogue(0, ["a", "b", "c", "d"])
SECOND = catalogue(1, ["C", "A", "D", "B"])[["C", "A", "D", "B"]].set_axis(["A", "B", "C", "D"], axis=1)
QUICK = {"n_permutations": 199}


def test_each_programme_has_its_partner():
    table = mo.match_programmes(FIRST, SECOND.sample(frac=1, random_state=0)[["D", "B", "A", "C"]], **QUICK)
    assert table.index.name == "programme"
    assert table["partner"].to_dict() == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert table["found"].all()
    np.testing.assert_allclose(table["p"], 1 / 200)
    np.testing.assert_allclose(table["q"], 1 / 200)
    assert (table["n_genes"] == 300).all()
    similarity = mo.match_programmes(FIRST, SECOND, of="similarity")
    np.testing.assert_allclose(table["similarity"], np.diag(similarity), rtol=1e-9)
    assert (similarity.index.name, similarity.columns.name) == ("programme", "partner")


def test_the_size_of_programmes_and_genes_that_one_side_lacks_change_no_partner():
    fewer = (SECOND * [1, 100, 0.01, 7]).iloc[::2]
    table = mo.match_programmes(FIRST, fewer, **QUICK)
    assert table["partner"].tolist() == ["A", "B", "C", "D"]
    assert table["found"].all()
    assert (table["n_genes"] == 150).all()


def test_only_the_better_of_two_is_found():
    twice = FIRST.assign(noisy=FIRST["a"] + np.random.default_rng(0).gamma(1, 1, 300))
    table = mo.match_programmes(twice, SECOND, **QUICK)
    assert table["partner"][["a", "noisy"]].tolist() == ["A", "A"]
    assert table["found"][["a", "noisy"]].tolist() == [True, False]


def test_a_gene_set_has_no_genes_but_its_own():
    sets = {name.lower(): GENES[at * 30 : at * 30 + 20] for at, name in enumerate(["a", "b", "c", "d"])}
    for table in (mo.match_programmes(FIRST, sets, **QUICK), mo.match_programmes(sets, FIRST, **QUICK)):
        assert table["partner"].tolist() == ["a", "b", "c", "d"]
        assert table["found"].all()
        assert (table["n_genes"] == 80).all()
    inside = mo.match_programmes(FIRST, mo.read_programmes(sets), of="similarity")
    scaled = FIRST / np.sqrt((FIRST**2).mean())
    roots = np.sqrt(scaled**2).div(np.sqrt(scaled.sum(axis=1)), axis=0)
    roots = roots / np.sqrt((roots**2).mean())
    member = pd.DataFrame({name: FIRST.index.isin(genes) for name, genes in sets.items()}, index=GENES).astype(float)
    sides = [side.sub(side.mean(axis=1), axis=0).clip(lower=0)["a"] for side in (roots, member)]
    expected = np.corrcoef(*sides)[0, 1]  # over all genes, in a set or not
    np.testing.assert_allclose(inside.loc["a", "a"], expected, rtol=1e-9)


def test_found_in_n_of_several():
    others = {"s1": SECOND, "s2": SECOND[["A", "B"]], "s3": SECOND[["A", "C", "D"]]}
    table = mo.match_programmes(FIRST, others, **QUICK)
    assert table.index.names == ["other", "programme"]
    counted = table["found"].groupby("programme", sort=False).agg(["sum", "size"])
    assert counted.to_numpy().tolist() == [[3, 3], [2, 3], [2, 3], [2, 3]]
    pd.testing.assert_frame_equal(table.loc["s2"], mo.match_programmes(FIRST, others["s2"], **QUICK))
    listed = mo.match_programmes(FIRST, list(others.values()), **QUICK)
    assert listed.index.get_level_values("other").unique().tolist() == ["0", "1", "2"]
    pairs = mo.match_programmes(FIRST, others, of="similarity")
    assert pairs.shape == (4, 9)
    assert pairs.columns.names == ["other", "partner"]


@pytest.fixture(scope="module")
def cells():
    adata = mo.datasets.simulated(n_cells=200, n_genes=120, n_programmes=3, genes_per_programme=15, seed=3)
    mo.tl.autoencoder(adata, loadings=adata.uns["gene_sets"], max_epochs=3, device="cpu")
    return adata


def test_a_model_goes_by_the_names_of_its_units_and_by_ids(cells):
    table = mo.match_programmes(cells, cells.uns["gene_sets"], **QUICK)
    assert table.index.tolist() == table["partner"].tolist() == ["programme_0", "programme_1", "programme_2"]
    adata = cells.copy()
    adata.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(120)]
    loadings = mo.get.loadings(adata).set_axis(adata.var["gene_ids"].to_numpy(), axis=0)
    by_id = mo.match_programmes(adata, loadings, of="similarity")
    same = mo.match_programmes(adata, mo.get.loadings(adata), of="similarity")
    np.testing.assert_allclose(by_id, same, rtol=1e-6)


@pytest.mark.parametrize(
    ("second", "given", "error", "message"),
    [
        (
            SECOND.set_axis([f"other_{n}" for n in range(300)]),
            {},
            ValueError,
            "0 genes in common.*Name the genes alike",
        ),
        (SECOND.iloc[:10], {}, ValueError, "10 genes in common.*too few"),
        ([], {}, ValueError, "holds nothing"),
        (SECOND, {"max_q": 2}, ValueError, "max_q"),
        (SECOND, {"n_permutations": 0}, ValueError, "n_permutations"),
        (SECOND, {"of": "all"}, ValueError, "of"),
        (3, {}, TypeError, "can't be read from int"),
    ],
)
def test_what_is_refused(second, given, error, message):
    with pytest.raises(error, match=message):
        mo.match_programmes(FIRST, second, **given)
