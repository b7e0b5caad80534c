"""One row per unit: in how many cells it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.results import CALLS, unit_names
from modulae._adata.stored.unit_labels import name_column
from modulae.core.statistics.calls.shares import shares_on

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


@public
def unit_calls(adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None) -> pd.DataFrame:
    """In how many of these cells each programme is on, and how that was decided.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_on}

    Returns
    -------
    One row per unit, by number ("0", "1", …)

        `name` : text
            Name of the unit; NaN for one without a name.
        `share_on` : `float64`
            Share of the cells in which the unit is on, of those in which it is decided; NaN where these are less than
            half of the cells.
        `share_called` : `float64`
            Share of all cells in which it is called on.
        `share_undecided` : `float64`
            Share of all cells with too few counts for a call.
        `expected_fdr` : `float64`
            Expected share of false calls among those on; NaN for a unit that is never called.
        `threshold` : `float64`
            Evidence from which the unit is called on, in standard deviations of a Poisson count; infinite for a unit
            that is never called.
        `level_off`, `level_on` : `float64`
            Activity of the unit where it is off, and where it is on.
        `n_genes` : `int64`
            Genes that carry the unit.
        `likeness` : `float64`
            Whether cells with the unit on have more of the genes that the model expects: the correlation of how much
            more with how much is expected. Below 0.25 in new cells, it may be another programme. NaN where fewer than
            five cells have the unit on, or do not, and in calls of an older version.

    Raises
    ------
    KeyError
        No such result.
    ValueError
        The result is of another model, or the calls are not those that were written.

    See Also
    --------
    modulae.tl.call_units : Computes this result.
    modulae.get.units_adata : The calls beside the activities.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata, n_latent=4, n_splits=0)
    >>> mo.tl.call_units(adata)
    >>> mo.get.unit_calls(adata).shape
    (4, 10)
    """
    stored = CALLS.find(adata, key=key, result=result)
    on = np.asarray(adata.obsm[stored.name])
    known = np.asarray(adata.obsm[Fields.callable(stored.name)])
    names = unit_names(on.shape[1])
    columns: dict[str, NDArray[Any]] = {
        "name": name_column(adata, stored.key, names),
        "share_on": shares_on(on.sum(axis=0), known.sum(axis=0), len(on)),
        "share_called": on.mean(axis=0),
        "share_undecided": 1 - known.mean(axis=0),
    }
    for name in ("expected_fdr", "threshold", "level_off", "level_on", "n_genes"):
        columns[name] = np.asarray(stored.entry[name])
    columns["likeness"] = np.asarray(stored.entry.get("likeness", np.full(len(names), np.nan)))
    return pd.DataFrame(columns, index=pd.Index(names, name="unit"))
