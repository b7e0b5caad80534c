"""Technical units are not drawn unless they are named, and every picture says so."""

import numpy as np
import pytest

import modulae as mo


@pytest.fixture
def marked(adata):
    adata.uns["ae"]["params"] = {"seed": 0}
    model = {"genes": adata.var_names.to_numpy(dtype=object), "size_factor_unit": 1.0}
    adata.uns["ae"]["model"] = {**model, "technical": np.array([False, True, False, False])}
    others = ("ci_low", "ci_high", "mean", "mean_reference", "share_on", "share_on_reference", "auc")
    zeros = dict.fromkeys((*others, "effect_from_more_cells", "effect_from_more_in_cells"), np.zeros((1, 4)))
    texts = {"categories": ["all cells"], "groups": ["m"], "references": ["rest"]}
    adata.uns["ae_rank_kind"] = {
        **{name: np.array(one, dtype=object) for name, one in texts.items()},
        "of_model": "ae",
        "groupby": "kind",
        "within": None,
        "over": "cells",
        **dict.fromkeys(("n_cells", "n_cells_reference"), np.array([10])),
        "statistics": {**zeros, **dict.fromkeys(("effect", "q", "p"), np.full((1, 4), 0.01))},
    }
    return adata


def note(axes):
    return next(iter(axes.values())).figure.get_supxlabel()


PICTURES = {
    "impact": lambda a, **k: mo.pl.impact(a, min_unit_impact=0.0, **k).get_xlabel(),
    "impact_groups": lambda a, **k: note(mo.pl.impact_groups(a, groupby="kind", min_unit_impact=0.0, **k)),
    "enrichment": lambda a, **k: mo.pl.enrichment(a, max_q=1.0, **k).get_xlabel(),
    "rank_units": lambda a, **k: mo.pl.rank_units(a, **k).get_ylabel(),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_the_label_of_the_units_counts_technical_ones(marked, picture):
    label = PICTURES[picture]
    assert label(marked) == "programme (3 of 4)\n1 technical left out"
    assert label(marked, units=[0, 1]) == "programme (2 of 4)"
    assert label(marked, units=[0, 1, 2, 3]) == "programme"
    del marked.uns["ae"]["model"]["technical"]
    assert label(marked) == "programme"


def test_maps_say_below_them_what_is_not_drawn(marked):
    marked.obsm["X_umap"] = marked.obsm["X_ae_umap"]
    assert note(mo.pl.units(marked)) == "3 of 4 programmes, 1 technical left out; units=[...] draws others"
    assert note(mo.pl.units(marked, [1])) == ""
    del marked.uns["ae"]["model"]["technical"]
    assert note(mo.pl.units(marked, n=2)) == "2 of 4 programmes; units=[...] draws others"
    assert note(mo.pl.units(marked)) == ""


def test_units_of_too_few_genes_are_counted_apart(marked):
    marked.uns["ae"]["transfer"] = {
        **{name: np.full(4, 0.9) for name in ("coverage", "reliability")},
        "trusted": np.array([True, False, False, True]),
        "share_of_genes": 0.5,
        "n_model_genes": 10,
        "missing": "model",
        "min_reliability": 0.7,
    }
    words = "programme (2 of 4)\n1 technical and 1 with too few genes left out"
    assert mo.pl.rank_units(marked).get_ylabel() == words
