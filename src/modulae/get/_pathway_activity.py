"""Cells × sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.results import activity_entry, share_found
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

ActivityTable = Literal["cells", "sets"]


@public
def pathway_activity(
    adata: AnnData, *, key: str = Fields().pathways, percentile: bool = False, table: ActivityTable = "cells"
) -> pd.DataFrame:
    """How strongly every cell expresses every gene set.

    A column can be put into `adata.obs` for scanpy's plots:
    `adata.obs["interferon"] = mo.get.pathway_activity(adata)["HALLMARK_INTERFERON_ALPHA_RESPONSE"]`.

    Parameters
    ----------
    {adata}
    key
        Name of the result in `adata.obsm`, such as `"ae_pathways"`.
    percentile
        The percentile among random sets of genes of the same expression (0 to 100), rather than the score.
    table
        `"cells"`: the scores. `"sets"`: how much of each set was found.

    Returns
    -------
    cells × sets, `float32`, by name. With `table="sets"` one row a set: `n_genes` (in the model) and `share_found` (of
    the set's genes, in `adata`).
    """
    check_choice("table", table, ActivityTable)
    entry = activity_entry(adata, key)
    sets = [str(name) for name in np.asarray(entry["sets"])]
    if table == "sets":
        result = {"n_genes": np.asarray(entry["n_genes"]), "share_found": share_found(entry)}
        return pd.DataFrame(result, index=pd.Index(sets, name="set"))
    values = adata.obsm[Fields.percentile(key) if percentile else key]
    return pd.DataFrame(np.asarray(values), index=adata.obs_names, columns=pd.Index(sets, name="set"))
