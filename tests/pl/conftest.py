"""Results written by hand: a picture's test must not depend on a lucky seed."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import modulae as mo

SCORED = ["HALLMARK_ALPHA", "HALLMARK_BETA", "HALLMARK_GAMMA"]
SETS = ["zeta", "alpha", "mid"]
ALL = np.array([[0.0, 0.9, 0.3, 0.1], [1.0, 0.2, 0.5, 0.0], [0.6, 0.7, 0.4, 0.2]], dtype=np.float32)
STIM = np.array([[-1.0, 0.2, 0.0, 0.1], [0.8, 0.4, 0.1, -0.3], [0.5, -0.6, 0.0, 0.0]], dtype=np.float32)


def history():
    return {
        "epoch": np.arange(5),
        "train_loss": np.array([0.9, 0.5, 0.4, 0.3, 0.2]),
        "test_loss": np.array([0.95, 0.6, 0.45, 0.41, 0.43]),
        "orthogonality": np.array([8.0, 4.0, 2.0, 1.0, 0.5]),
        "best_epoch": 3,
        "stopped": "patience",
    }


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(1.0, size=(30, 5)).astype(np.float32), var=pd.DataFrame(index=list("edcba")))
    adata.obs["kind"] = pd.Categorical(["z", "m", "a"] * 10, categories=["z", "m", "a"])
    adata.obs["depth"] = np.arange(30.0)
    adata.obsm["X_ae"] = np.outer(np.arange(30), [0.1, 5, 1, 3]).astype(np.float32)
    for i, name in enumerate(("X_ae_umap_input", "X_ae_umap", "X_ae_umap_epoch10")):
        adata.obsm[name] = np.column_stack([np.arange(30) + 100 * i, np.arange(30) % 7]).astype(np.float32)
    adata.uns["ae"] = {
        "params": {},
        "model": {},
        "history": history(),
    }
    adata.varm["ae_saliency"] = np.array([[np.nan, 3, -5, 1, -2], [1, 2, 3, 4, 5]], np.float32).T
    adata.uns["ae_saliency"] = {"of_model": "ae", "method": "gradient", "signed": True, "groups": []}
    adata.varm["ae_loadings"] = np.array([[2, 0, 1, 4, np.nan], [2, 1, 3, 0, np.nan]], np.float32).T
    common = {"of_model": "ae", "sets": np.array(SETS, dtype=object), "n_genes": np.array([3, 2, 4])}
    adata.uns["ae_impact"] = {**common, "all": ALL.copy(), "all_unscaled": ALL * 7}
    adata.uns["ae_impact_kind"] = {
        **common,
        "all": ALL.copy(),
        "all_unscaled": ALL * 7,
        "groups": np.array(["z", "m", "a"], dtype=object),
        "references": np.array(["rest"] * 3, dtype=object),
        "reference": "rest",
        "impact": np.stack([STIM, -STIM, STIM / 2]),
        "unscaled": np.stack([STIM, -STIM, STIM / 2]) * 3,
        "within": np.stack([ALL / 2, ALL, ALL[::-1]]),
        "within_unscaled": np.stack([ALL / 2, ALL, ALL[::-1]]) * 7,
    }
    adata.uns["ae_pathways"] = {"of_model": "ae", "sets": np.array(SCORED, dtype=object), "model_cells": 3.0}
    adata.obsm["ae_pathways"] = (rng.normal(size=(30, 3)) * [1, 5, 2]).astype(np.float32)
    adata.obsm["ae_pathways_percentile"] = rng.uniform(0, 100, size=(30, 3)).astype(np.float32)
    adata.uns["ae_sanity"] = sanity_by_hand()
    q = np.array([[0.5, 1e-4, 0.3, 0.9], [0.04, 0.01, 1.0, 0.8], [0.2, 0.6, 0.7, 0.06]])
    z = np.array([[1.0, -5.0, 1.5, 0.1], [2.5, 3.5, 0.0, -0.2], [1.6, 0.5, -0.3, 2.4]])
    adata.uns["ae_enrichment"] = {
        **common,
        "q": q,
        "z": z,
        "p": q / 10,
        "q_prerank": q[::-1],
        "p_prerank": q[::-1] / 10,
        "nes": np.where(z == 0, np.nan, z / 2),
        **dict.fromkeys(("es", "effect", "null_mean"), z),
        **{name: np.ones_like(q) for name in ("p_correlated", "q_correlated")},
        "genes": np.array(list("abcabdcab"), dtype=object),
        "leading_edge": np.zeros((9, 4), dtype=np.uint8),
    }
    return adata


def sanity_by_hand():
    """Four units, one control a kind but for the seeds; every number is different."""
    kinds = ["other seeds", "other seeds", "shuffled counts", "untrained, same start", "last layer redrawn"]
    kinds.append("expression alone")
    levels = ["units", "sets", "set strength", "groups", "group strength"]
    units = np.linspace(-0.2, 0.9, 24).reshape(4, 6).astype(np.float32)
    agreement = np.linspace(0.95, 0.1, 30).reshape(5, 6).astype(np.float32)
    agreement[0] = np.median(units, axis=0)
    steps = np.array([0, 1, 4, 10])
    top = np.array([[1, 0.8, 0.4, 0.1]]) * np.array([[1.0], [0.9], [0.7], [0.6]])
    return {
        "of_model": "ae",
        "n_genes": 100,
        "verdict": np.array([*(f"{level}: words" for level in levels), "deletion: words"], dtype=object),
        "levels": np.array(levels, dtype=object),
        "passed": np.array([False, True, False, True, False]),
        "seeds": agreement[:, :2].mean(axis=1),
        "control": agreement[:, 2],
        "control_kind": np.array(["shuffled counts"] * 5, dtype=object),
        "controls": np.array([f"control {at}" for at in range(6)], dtype=object),
        "kinds": np.array(kinds, dtype=object),
        "agreement": agreement,
        "unit_agreement": units,
        "unit_activity": np.full((4, 6), 0.95, np.float32),
        "unit_partner": np.tile(np.arange(4)[:, None], 6),
        "deletion": {
            "n_deleted": steps,
            "top": top.astype(np.float32),
            "random": (1 - steps[None, :] / np.array([[20.0], [30], [40], [50]])).astype(np.float32),
            "score": np.full(4, 0.3, np.float32),
            "beaten": np.ones(4, np.float32),
        },
    }


def replication_by_hand(n_units):
    """Reproducibility falls from unit to unit; the last half of the units is below the level."""
    sizes = np.array([4, 8, 12, 16, 24, 32])
    found = np.ones((n_units, 5, 2), dtype=bool)
    found[-1, 0, 1] = False
    return {
        "found": found,
        "similarity": np.where(found.all(axis=2), 0.8, np.nan).astype(np.float32),
        "reproducibility": np.linspace(0.95, 0.45, n_units).astype(np.float32),
        "level": 0.7,
        "sizes": sizes,
        "n_units": np.minimum(sizes, n_units - 1),
        "explained": np.array([0.2, 0.3, 0.4, 0.45, 0.46, 0.455]),
        "size": 16,
        "min_likeness": 0.5,
    }


GROUPS = "cell_type_of_the_atlas"


def long_names(n, *, sets):
    if sets:
        return [f"REACTOME_A_LONG_NAME_OF_A_PATHWAY_THAT_GOES_ON_AND_ON_AND_ENDS_IN_{at}" for at in range(n)]
    places = ("bone marrow", "spleen")
    return [f"CD{n - at}+ effector memory cells of the {places[at % 2]} ({n - at})" for at in range(n)]


@pytest.fixture(scope="session")
def example():
    """Everything that can be drawn, of so many groups and units; names are long, and groups not in alphabetical order.

    Five cells have no group, and no cell is in the group "nobody". `named` makes other names of them.
    """

    def make(n_groups, n_units, n_sets=24, n_cells=300, named=str):
        rng = np.random.default_rng(0)
        groups, genes = [named(name) for name in long_names(n_groups, sets=False)], [f"GENE{at}" for at in range(20)]
        sets = np.array([named(name) for name in long_names(n_sets, sets=True)], dtype=object)
        codes = np.arange(n_cells) % n_groups
        labels = np.array(groups, dtype=object)[codes]
        labels[:5] = None
        counts = rng.poisson(1.0, (n_cells, 20)).astype(np.float32)
        adata = ad.AnnData(counts, var=pd.DataFrame(index=[named(gene) for gene in genes]))
        adata.obs[GROUPS] = pd.Categorical(labels, categories=[*groups, "nobody"])
        found = np.where(rng.random(n_cells) < 0.2, "unknown", np.where(pd.isna(labels), groups[0], labels))
        adata.obs["ae_label"] = pd.Categorical(found, categories=[*groups, "unknown"])
        cells(adata, codes, n_units, sets)
        results(adata, groups, n_units, sets)
        more_results(adata, groups, n_units, sets)
        return adata

    return make


def cells(adata, codes, n_units, sets):
    rng = np.random.default_rng(1)
    points = rng.normal(scale=6, size=(codes.max() + 1, 2))[codes] + rng.normal(size=(len(codes), 2))
    for name in ("X_ae_umap_input", "X_ae_umap", "X_ae_joint"):
        adata.obsm[name] = points.astype(np.float32)
    adata.obsm["X_ae"] = rng.gamma(1, 1, (len(codes), n_units)).astype(np.float32)
    adata.obsm["ae_pathways"] = rng.normal(size=(len(codes), len(sets))).astype(np.float32)
    adata.obsm["ae_pathways_percentile"] = rng.uniform(0, 100, (len(codes), len(sets))).astype(np.float32)
    adata.uns["ae_pathways"] = {"of_model": "ae", "sets": sets, "model_cells": 3.0}
    adata.uns["X_ae_joint"] = {
        "of_model": "ae",
        "reference": points[::2].astype(np.float32) + 1,
        "cells": np.array([f"r{at}" for at in range(len(points[::2]))], dtype=object),
        "labels": GROUPS,
        "names": np.array(list(adata.obs[GROUPS].cat.categories[:-1]), dtype=object),
        "codes": codes[::2],
    }


def results(adata, groups, n_units, sets):
    rng = np.random.default_rng(2)
    reliability = np.linspace(0.95, 0.4, n_units)
    adata.uns["ae"] = {
        "params": {},
        "model": {},
        "history": history(),
        "replication": replication_by_hand(n_units),
        "transfer": {
            "coverage": rng.uniform(0.2, 1, n_units),
            "reliability": reliability,
            "trusted": reliability >= 0.6,
            "share_of_genes": 0.25,
            "n_model_genes": 2000,
            "missing": "model",
            "min_reliability": 0.6,
        },
    }
    adata.varm["ae_saliency"] = rng.normal(size=(adata.n_vars, n_units)).astype(np.float32)
    adata.varm["ae_loadings"] = np.abs(rng.normal(size=(adata.n_vars, n_units))).astype(np.float32)
    adata.uns["ae_saliency"] = {"of_model": "ae", "method": "integrated_gradients", "signed": True, "groups": []}
    common = {"of_model": "ae", "sets": sets, "n_genes": np.full(len(sets), 9)}
    overall = rng.uniform(0, 1, (len(sets), n_units)).astype(np.float32)
    differences = rng.uniform(-1, 1, (len(groups), len(sets), n_units)).astype(np.float32)
    adata.uns["ae_impact"] = {**common, "all": overall, "all_unscaled": overall}
    adata.uns[f"ae_impact_{GROUPS}"] = {
        **adata.uns["ae_impact"],
        "groups": np.array(groups, dtype=object),
        "references": np.array(["rest"] * len(groups), dtype=object),
        "reference": "rest",
        **dict.fromkeys(("impact", "unscaled"), differences),
        **dict.fromkeys(("within", "within_unscaled"), np.abs(differences)),
    }
    q, z = 10 ** -rng.gamma(1, 1.0, overall.shape), rng.normal(0, 2.5, overall.shape)
    adata.uns["ae_enrichment"] = {
        **common,
        **dict.fromkeys(("q", "p", "q_prerank", "p_prerank", "q_correlated", "p_correlated"), q),
        **dict.fromkeys(("z", "nes", "es", "effect", "null_mean"), z),
        "genes": np.array(["GENE0"] * (9 * len(sets)), dtype=object),
        "leading_edge": np.zeros((9 * len(sets), n_units), np.uint8),
    }


def ranking(groups, n_units, group):
    """One group against the rest in each category."""
    rng = np.random.default_rng(4)
    shape = len(groups), n_units
    names = ("mean", "mean_reference", "share_on", "share_on_reference", "effect_from_more_cells")
    numbers = dict.fromkeys((*names, "effect_from_more_in_cells", "auc", "ci_low", "ci_high"), np.zeros(shape))
    q = 10 ** -rng.gamma(1, 2.0, shape)
    return {
        "of_model": "ae",
        "groupby": "condition",
        "within": GROUPS,
        "over": "cells",
        "categories": np.array(groups, dtype=object),
        "groups": np.array([group] * len(groups), dtype=object),
        "references": np.array(["rest"] * len(groups), dtype=object),
        "n_cells": np.full(len(groups), 20),
        "n_cells_reference": np.full(len(groups), 30),
        "statistics": {**numbers, "effect": rng.normal(0, 2, shape), "p": q / 2, "q": q},
        "left_out": np.array([], dtype=object),
    }


def more_results(adata, groups, n_units, sets):
    rng = np.random.default_rng(3)
    adata.uns["ae_rank_condition"] = ranking(groups, n_units, groups[-1])
    effect = np.sort(rng.gamma(1, 1, n_units))[::-1]
    adata.uns["ae_sanity"] = sanity_by_hand()
    texts = {
        **{name: [""] * n_units for name in ("redundant_with", "top_genes_down", "saliency_down", "sets")},
        "direction": [("up", "down")[at % 2] for at in range(n_units)],
        **{name: ["GENE1;GENE2;GENE3"] * n_units for name in ("top_genes_up", "saliency_up")},
        "name": [f"GENE1, GENE2, GENE3 · {groups[at % len(groups)]}" for at in range(n_units)],
        "set": [sets[at % len(sets)] for at in range(n_units)],
        "group": [groups[at % len(groups)] for at in range(n_units)],
        "caveats": ["library_size" if at % 4 == 0 else "" for at in range(n_units)],
    }
    states = ("library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation")
    numbers = {
        "effect": effect,
        "effect_share": effect / effect.sum(),
        "redundant_r": np.full(n_units, np.nan),
        "direction_r": np.full(n_units, 0.5),
        "set_q": np.full(n_units, 0.01),
        **{name: rng.uniform(0, 1, n_units) for name in ("group_difference", "group_auc", "stability")},
        "reproducibility": np.linspace(0.95, 0.45, n_units),
        **{name: rng.uniform(-0.9, 0.9, n_units) for name in states},
    }
    table = {name: np.array(values, dtype=object) for name, values in texts.items()} | numbers
    table |= {name: np.zeros(n_units, dtype=bool) for name in ("dead", "below_level")}
    adata.uns["ae_units"] = {"of_model": "ae", "table": table, "caveat_above": 0.5}


def catalogue(adata):
    """At most eight programmes as a table, fewer than it has genes, with the long names of units."""
    table, names = mo.get.loadings(adata), adata.uns["ae_units"]["table"]["name"]
    return table.set_axis([f"{name} {at}" for at, name in enumerate(names)], axis=1).iloc[:, :8]


def samples(adata):
    """Half of the programmes under the name of each group."""
    return {str(name): catalogue(adata).iloc[:, ::2] for name in adata.obs[GROUPS].cat.categories}


@pytest.fixture(scope="session")
def pictures():
    """How each function of `pl` is called, by name; a function that draws in two ways stands here twice."""
    found = pd.DataFrame({"n_latent": [8, 16], "loss": [0.2, 0.1], "loss_sd": [0.02, 0.01], "stability": [0.9, 0.7]})
    kind = f"ae_impact_{GROUPS}"
    return {
        "confusion": lambda a: mo.pl.confusion(a, truth=GROUPS),
        "embeddings": lambda a: mo.pl.embeddings(a, color=GROUPS),
        "enrichment": mo.pl.enrichment,
        "history": mo.pl.history,
        "impact": mo.pl.impact,
        "impact, a group": lambda a: mo.pl.impact(a, result=kind, group=str(a.uns[kind]["groups"][0])),
        "impact, overlay": lambda a: mo.pl.impact(a, result=kind, group=str(a.uns[kind]["groups"][0]), overlay=True),
        "impact_groups": lambda a: mo.pl.impact_groups(a, groupby=GROUPS, value="impact", n_sets=10),
        "joint_embedding": mo.pl.joint_embedding,
        "match_programmes": lambda a: mo.pl.match_programmes(catalogue(a), catalogue(a), n_permutations=9),
        "match_programmes, several": lambda a: mo.pl.match_programmes(catalogue(a), samples(a), n_permutations=9),
        "pathway_activity": lambda a: mo.pl.pathway_activity(a, n=2),
        "rank_units": mo.pl.rank_units,
        "replication": mo.pl.replication,
        "sanity": mo.pl.sanity,
        "search": lambda _: mo.pl.search(found),
        "top_genes": lambda a: mo.pl.top_genes(a, 1),
        "top_genes, read": lambda a: mo.pl.top_genes(a, 1, by="saliency"),
        "transfer": mo.pl.transfer,
        "unit_summary": mo.pl.unit_summary,
        "units": lambda a: mo.pl.units(a, n=2, color=GROUPS),
    }
