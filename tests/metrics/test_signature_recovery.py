"""Ranks of expected sets, on a result made by hand."""

import anndata as ad
import numpy as np
import pytest

import modulae as mo

UNSCALED = np.array([[[1, 1], [5, -6], [0.5, 0.6]], [[0, -1], [2, 2], [3, 3]]])  # groups × sets × units


@pytest.fixture
def adata():
    found = ad.AnnData(np.ones((2, 2), dtype=np.float32))
    found.uns["ae_impact_kind"] = {
        "sets": np.array(["a", "b", "c"], dtype=object),
        "groups": np.array(["one", "two"], dtype=object),
        "unscaled": UNSCALED,
        "all_unscaled": UNSCALED[0],
    }
    found.uns["ae_impact"] = {"sets": np.array(["a", "b", "c"], dtype=object), "all_unscaled": UNSCALED[0]}
    return found


def test_ranks_by_the_sum_over_units_or_by_the_best_unit(adata):
    by_sum = mo.metrics.signature_recovery(adata, expected={"one": "b", "two": ["a", "b"]}, result="ae_impact_kind")
    assert by_sum.loc["one"].tolist() == [3, 3, "a"]
    assert by_sum.loc["two"].tolist() == [2, 3, "c"]
    by_unit = mo.metrics.signature_recovery(
        adata, expected={"one": "b", "three": "a"}, result="ae_impact_kind", per_unit=True
    )
    assert by_unit["rank"].to_dict() == {"one": 1}


@pytest.mark.parametrize(
    ("expected", "key", "error", "message"),
    [
        ({"one": "d"}, "ae_impact_kind", KeyError, r"expected set 'd' of group 'one' is not in .* Choose from \['a'"),
        ({"three": "a"}, "ae_impact_kind", ValueError, r"none of the expected groups .* has \['one', 'two'\]"),
        ({"one": "a"}, "ae_impact", ValueError, "compares no groups. Run"),
        ({"one": "a"}, "nothing", KeyError, "there is no impact 'nothing'"),
    ],
)
def test_mistakes_get_the_next_step(adata, expected, key, error, message):
    with pytest.raises(error, match=message):
        mo.metrics.signature_recovery(adata, expected=expected, result=key)
