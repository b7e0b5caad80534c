"""How much of every set is found: what is left out, what is said of it, and the same in every function."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import given, settings
from hypothesis import strategies as st

import modulae as mo
from modulae.__main__ import main
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, Bounds, match_sets

SMALL = {"n_latent": 3, "n_splits": 0, "max_epochs": 2, "device": "cpu", "progress": False}
SETS = mo.datasets.immune_signatures()
ALIKE = {genes[0] for genes in list(SETS.values())[:12]}
"""A gene each of a dozen sets, spelt alike in both species."""


@pytest.fixture(scope="module")
def human_once():
    adata = mo.datasets.pbmc68k()[::4].copy()
    adata.X = adata.X.tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        mo.tl.autoencoder(adata, **SMALL)
    return adata


@pytest.fixture
def human(human_once):
    return human_once.copy()


@pytest.fixture(scope="module")
def mouse_once():
    """Cells whose genes are written as those of mice, but for a dozen; and three sets in their own spelling."""
    names = [f"GENE{at}" for at in range(300)] + sorted({gene for genes in SETS.values() for gene in genes})
    counts = np.random.default_rng(0).poisson(1.0, (90, len(names))).astype(np.float32)
    adata = ad.AnnData(counts, obs={"side": pd.Categorical(np.tile(["a", "b", "c"], 30))})
    adata.obs_names = [f"c{at}" for at in range(90)]
    adata.var_names = [name if name in ALIKE else name.capitalize() for name in names]
    mo.tl.autoencoder(adata, **SMALL)
    return adata


@pytest.fixture
def mouse(mouse_once):
    return mouse_once.copy()


OWN = {f"own {at}": [f"Gene{gene}" for gene in range(at * 30, at * 30 + 20)] for at in range(6)}

FUNCTIONS = {
    "impact": mo.tl.pathway_impact,
    "impact of groups": lambda a, sets, **k: mo.tl.pathway_impact(a, sets, groupby="side", n_permutations=19, **k),
    "activity": lambda a, sets, **k: mo.tl.pathway_activity(a, sets, source="counts", n_random=9, **k),
    "enrichment": lambda a, sets, **k: mo.tl.enrich_units(a, sets, n_permutations=20, progress=False, **k),
    "summary": lambda a, sets, **k: mo.tl.unit_summary(a, sets, progress=False, **k),
    "sanity": lambda a, sets, **k: mo.tl.sanity(
        a, sets, n_seeds=1, n_draws=2, n_cells=60, max_epochs=1, progress=False, **k
    ),
}
RESULTS = {"impact": "ae_impact", "impact of groups": "ae_impact_side", "activity": "ae_pathways"}
RESULTS |= {"enrichment": "ae_enrichment", "summary": "ae_enrichment"}


def said(call):
    """What is said of gene sets; the other warnings of these tiny models are of no interest."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [warning for warning in caught if "gene sets" in str(warning.message)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_human_sets_on_mouse_symbols_warn_and_are_left_out(mouse, name):
    caught = said(lambda: FUNCTIONS[name](mouse, {**SETS, **OWN}))
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith(
        "20 of 26 gene sets are left out: 19 with less than 10% of their genes in adata (min_share=)"
    )
    assert f"{next(iter(SETS))} (1 of {len(next(iter(SETS.values())))})" in message
    assert "1 with fewer than 3 genes in the model (min_genes=): NK_CELL (2 of 20). The genes match" in message
    assert "only when case is ignored" in message
    assert caught[0].filename == __file__
    if name in RESULTS:
        entry = mouse.uns[RESULTS[name]]
        assert list(entry["sets"]) == list(OWN)
        assert list(entry["left_out"]) == list(SETS)
        assert list(entry["share_found"]) == [1.0] * 6
        assert list(entry["n_genes"]) == [20] * 6


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_left_is_an_error_with_the_step(mouse, name):
    before = set(mouse.uns), set(mouse.obsm), set(mouse.varm)
    with pytest.raises(ValueError, match=r"none of the 20 gene sets is left:.*case is ignored.* species of the data"):
        FUNCTIONS[name](mouse, SETS)
    assert (set(mouse.uns), set(mouse.obsm), set(mouse.varm)) == before


@pytest.mark.parametrize("name", [name for name in RESULTS if name not in {"enrichment", "summary"}])
def test_who_asks_for_them_gets_them_and_is_told_all_the_same(mouse, name):
    caught = said(lambda: FUNCTIONS[name](mouse, SETS, min_share=0, min_genes=1))
    assert "only when case is ignored" in str(caught[0].message)
    entry = mouse.uns[RESULTS[name]]
    assert list(entry["sets"]) == [name for name, genes in SETS.items() if ALIKE & set(genes)]
    expected = [len(ALIKE & set(SETS[name])) for name in entry["sets"]]
    assert list(entry["n_genes"]) == expected
    np.testing.assert_allclose(
        entry["share_found"], [n / len(SETS[name]) for n, name in zip(expected, entry["sets"], strict=True)]
    )


def test_tables_say_how_much_was_found(human):
    mo.tl.pathway_impact(human, SETS)
    mo.tl.enrich_units(human, SETS, n_permutations=20, progress=False)
    mo.tl.pathway_activity(human, SETS, source="counts", n_random=9)
    share = {name: np.isin(genes, human.var_names).mean() for name, genes in SETS.items()}
    number = {name: np.isin(genes, human.var_names).sum() for name, genes in SETS.items()}
    for table in (mo.get.impact_table(human), mo.get.enrichment(human)):
        assert list(table)[list(table).index("set") : list(table).index("set") + 3] == ["set", "n_genes", "share_found"]
        assert (table["share_found"] == table["set"].map(share)).all()
        assert (table["n_genes"] == table["set"].map(number)).all()
    activity = mo.get.pathway_activity(human, table="sets")
    assert activity["share_found"].to_dict() == share
    del human.uns["ae_impact"]["share_found"]
    assert mo.get.impact_table(human)["share_found"].isna().all()  # made by an earlier version


def test_all_shipped_signatures_are_used_on_the_shipped_cells(human):
    for name in ("impact", "activity", "enrichment"):
        assert said(lambda name=name: FUNCTIONS[name](human, SETS)) == []
        assert list(human.uns[RESULTS[name]]["sets"]) == list(SETS)


def test_genes_outside_the_model_count_as_found(human):
    """They were left out on purpose; the number is that of the model, the share that of the data."""
    human.var["some"] = np.arange(human.n_vars) % 5 == 0
    mo.tl.autoencoder(human, mask_var="some", **SMALL)
    name, genes = "MINE", list(human.var_names[:40])
    model = human.var_names[human.var["some"]]
    with pytest.warns(UserWarning, match="may miss them") as caught:
        found = match_sets(
            human, {name: [*genes, *(f"absent{at}" for at in range(10))], "whole": list(model[:9])}, model, Bounds()
        )
    assert str(caught[0].message) == (
        "The model has less than 25% of the genes that adata has of 1 of 2 gene sets: MINE (8 of 40). It says little "
        "of these, and may miss them. A model trained on all genes, without mask_var=, tests them in full."
    )
    assert found.share.tolist() == [0.8, 1]
    assert len(found.sets[name]) == 8
    with pytest.warns(
        UserWarning,
        match=r"1 with fewer than 3 genes in the model \(min_genes=\): two \(2 of 10\).*leave out mask_var=",
    ):
        match_sets(human, {"two": genes[:10], name: genes}, model, Bounds())


@pytest.mark.filterwarnings("default")  # the command line prints them
def test_the_report_and_the_command_line_say_it(mouse, tmp_path, capsys):
    pytest.importorskip("bokeh", reason="needs modulae[report]")
    mouse.obsm["X_umap"] = np.random.default_rng(0).normal(size=(mouse.n_obs, 2))
    caught = said(lambda: mo.report(mouse, tmp_path / "page.html", gene_sets={**SETS, **OWN}, progress=False))
    assert len(caught) == 1
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "20 sets are left out, as too few of their genes are in the data" in page
    assert '"share_found"' in page

    mouse.write_h5ad(tmp_path / "trained.h5ad")
    gmt = tmp_path / "sets.gmt"
    gmt.write_text("".join(f"{name}\tna\t" + "\t".join(genes) + "\n" for name, genes in {**SETS, **OWN}.items()))
    words = [str(tmp_path / "trained.h5ad"), "--gene-sets", str(gmt)]
    assert main(["impact", *words, "--output", str(tmp_path / "out")]) == 0
    assert (
        "20 of 26 gene sets are left out: 19 with less than 10% of their genes in adata (--min-share)"
        in capsys.readouterr().err
    )
    assert len(pd.read_csv(tmp_path / "out" / "impact.csv")) == 6
    assert main(["impact", *words, "--output", str(tmp_path / "out"), "--min-share", "0", "--min-genes", "1"]) == 0
    assert len(pd.read_csv(tmp_path / "out" / "impact.csv")) == 6 + sum(
        bool(ALIKE & set(genes)) for genes in SETS.values()
    )
    assert main(["report", *words, "--output", str(tmp_path / "page.html")]) == 0
    assert "(--min-share)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"min_genes": 0}, "min_genes is 0; give a whole number of at least 1"),
        ({"min_genes": 2.5}, "min_genes is 2.5; give a whole number"),
        ({"min_share": 1.5}, "min_share is 1.5; give a share from 0"),
        ({"min_share": "0.1"}, "min_share is '0.1'; give a share"),
        ({"min_share": True}, "min_share is True; give a share"),
        ({"min_share": float("nan")}, "min_share is nan; give a share"),
    ],
)
def test_bounds_that_make_no_sense(human, bounds, message):
    with pytest.raises(ValueError, match=message):
        mo.tl.pathway_impact(human, SETS, **bounds)
    assert "ae_impact" not in human.uns


NAMES = [f"G{at}" for at in range(30)]


@settings(deadline=None)
@given(
    sets=st.dictionaries(
        st.sampled_from("abcd"), st.lists(st.sampled_from([*NAMES, "x", "y", "z"]), min_size=1, unique=True), min_size=1
    ),
    model=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    min_genes=st.integers(1, 5),
    min_share=st.floats(0, 1),
)
def test_a_set_is_used_exactly_if_enough_of_it_is_there(sets, model, min_genes, min_share):
    adata = ad.AnnData(np.ones((2, 30), dtype=np.float32))
    adata.var_names = NAMES
    before = adata.copy()
    share = {name: sum(gene in NAMES for gene in genes) / len(genes) for name, genes in sets.items()}
    number = {name: sum(gene in model for gene in genes) for name, genes in sets.items()}
    thin = any(4 * number[name] < sum(gene in NAMES for gene in genes) for name, genes in sets.items())
    expected = [name for name in sets if share[name] >= min_share and number[name] >= min_genes]
    bounds = Bounds(min_genes, min_share)
    if not expected:
        with pytest.raises(ValueError, match=r"none of the|no gene of the"):
            match_sets(adata, sets, np.array(model), bounds)
    else:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = match_sets(adata, sets, np.array(model), bounds)
        assert list(found.sets) == expected
        assert found.left_out == [name for name in sets if name not in expected]
        assert bool(caught) == (bool(found.left_out) or thin)
        assert [sorted(np.array(model)[at]) for at in found.positions] == [
            sorted(set(sets[name]) & set(model)) for name in expected
        ]
        np.testing.assert_allclose(found.share, [share[name] for name in expected])
    pd.testing.assert_frame_equal(adata.var, before.var)


def test_what_the_defaults_rest_on(data_dir):
    """Data with all genes keep all of Hallmark; of the other species nothing is left, and the cause is named."""
    human = mo.read_gene_sets(data_dir / "hallmark_human_v2025.gmt")
    mice = mo.read_gene_sets(data_dir / "hallmark_mouse_v2025.gmt")
    for file in ("pbmc3k", "kang_ifnb_sub2000"):
        names = sc.read_h5ad(data_dir / f"{file}.h5ad", backed="r").var_names
        adata = ad.AnnData(np.ones((1, len(names)), dtype=np.float32), var=pd.DataFrame(index=names))
        found = match_sets(adata, human, names.to_numpy(), Bounds())
        assert (len(found.sets), found.warning) == (50, "")
        assert found.share.min() > 0.25 > MIN_SHARE
        alike = sorted({gene for genes in human.values() for gene in genes} & set(names))[:12]
        adata.var_names = [name if name in alike else name.capitalize() for name in names]
        with pytest.raises(ValueError, match=r"none of the 50 gene sets is left: .*only when case is ignored"):
            match_sets(adata, human, adata.var_names.to_numpy(), Bounds())
    both = {gene for genes in mice.values() for gene in genes}
    assert max(len(both & set(genes)) / len(genes) for genes in human.values()) < MIN_SHARE
    assert min(len(set(genes) & set(mo.datasets.pbmc68k().var_names)) for genes in SETS.values()) >= MIN_GENES
