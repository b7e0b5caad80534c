"""Words for messages."""

import pandas as pd
import pytest

import modulae as mo
from modulae._utils.text import choose


def test_names_to_choose_from_or_what_else_to_do():
    assert choose(["a", 1], "run `x`") == "Choose one of ['a', '1'], or run `x`."
    assert choose([], "run `x`") == "Run `x`."


@pytest.mark.parametrize(
    "call",
    [
        lambda adata: mo.metrics.clustering_nmi(adata, labels="kind", use_rep="X_no"),
        lambda adata: mo.metrics.disentanglement(adata, "kind", use_rep="X_no"),
        lambda adata: mo.metrics.programme_recovery(adata, pd.DataFrame({"p": [1.0] * 20}, index=adata.var_names)),
        lambda adata: mo.tl.autoencoder(adata, layer="no"),
        lambda adata: mo.pp.gate_cells(adata, {"a": {"CD4": "high"}}, markers="no"),
    ],
)
def test_nothing_is_offered_where_there_is_nothing(call):
    adata = mo.datasets.simulated(n_cells=20, n_genes=20, n_programmes=2, genes_per_programme=5)
    adata.obs["kind"] = ["a", "b"] * 10
    adata.obsm.clear()
    adata.varm.clear()
    with pytest.raises(KeyError) as caught:
        call(adata)
    said = str(caught.value.args[0])
    assert "[]" not in said
    assert "one of" not in said
    assert said.endswith(".")
