"""Cells × sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.results import ACTIVITY, share_found
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

ActivityTable = Literal["cells", "sets"]


@public
def pathway_activity(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    percentile: bool = False,
    table: ActivityTable = "cells",
) -> pd.DataFrame:
    """How strongly every cell expresses every gene set.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_pathways}
    {percentile}
    table
        `"cells"`: the scores. `"sets"`: how much of each set was found.

    Returns
    -------
    `table="cells"`: cells × sets, `float32`
        Scores or percentiles, by name of the cell and of the set.

    `table="sets"`: one row per set

        `n_genes` : `int64`
            Genes of the set in the model.
        `share_found` : `float64`
            Share of the set's genes that `adata` has.

    Raises
    ------
    KeyError
        No such result.
    ValueError
        No such `table`.

    See Also
    --------
    modulae.tl.pathway_activity : Computes this result.
    modulae.pl.pathway_activity : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_activity(adata, mo.datasets.immune_signatures())
    >>> scores = mo.get.pathway_activity(adata)
    >>> scores.shape
    (700, 20)
    >>> adata.obs["interferon"] = scores["INTERFERON_RESPONSE"]
    """
    check_choice("table", table, ActivityTable)
    stored = ACTIVITY.find(adata, key=key, result=result)
    entry = stored.entry
    sets = [str(name) for name in np.asarray(entry["sets"])]
    if table == "sets":
        found = {"n_genes": np.asarray(entry["n_genes"]), "share_found": share_found(entry)}
        return pd.DataFrame(found, index=pd.Index(sets, name="set"))
    values = adata.obsm[Fields.percentile(stored.name) if percentile else stored.name]
    return pd.DataFrame(np.asarray(values), index=adata.obs_names, columns=pd.Index(sets, name="set"))
