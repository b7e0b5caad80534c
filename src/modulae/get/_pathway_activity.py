"""Cells × sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._fields import Fields
from modulae._public import public
from modulae._read_results import activity_entry

if TYPE_CHECKING:
    from anndata import AnnData


@public
def pathway_activity(adata: AnnData, *, key: str = Fields().pathways, percentile: bool = False) -> pd.DataFrame:
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

    Returns
    -------
    cells × sets, `float32`, by name.
    """
    sets = [str(name) for name in np.asarray(activity_entry(adata, key)["sets"])]
    values = adata.obsm[Fields.percentile(key) if percentile else key]
    return pd.DataFrame(np.asarray(values), index=adata.obs_names, columns=pd.Index(sets, name="set"))
