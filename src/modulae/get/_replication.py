"""How surely each unit would be found again, and how many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import replication_entry
from modulae._adata.stored.results import unit_names
from modulae._adata.stored.unit_labels import name_column
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

ReplicationTable = Literal["units", "sizes"]


@public
def replication(adata: AnnData, *, key: str = DEFAULT_KEY, of: ReplicationTable = "units") -> pd.DataFrame:
    """How surely each programme would be found again, and how many there are.

    Parameters
    ----------
    {adata}
    {key}
    of
        `"units"`, or `"sizes"`: the numbers of programmes that were looked for in each half.

    Returns
    -------
    `"units"`: one row per unit (index `unit`: "0", "1", …)

        `name` : text
            Its name, after :func:`modulae.tl.unit_summary`; else NaN.
        `reproducibility` : `float64`
            Probability that a model of as many new cells has the unit again (`|r| > 0.8`); of as many new donors,
            where halves are made of donors.
        `replicates` : `bool`
            Whether that is at least 0.7. The others may be chance.
        `share` : `float64`
            Share of the splits in which both halves have the unit.
        `similarity` : `float64`
            How alike the units of the two halves are, a mean over the splits (0 where a half has none).
        `few_cells` : `bool`
            Whether the unit was found beside the others, as it runs in few cells. Its `reproducibility` is less for the
            same `similarity`.

    `"sizes"`: one row per number of programmes that was looked for (index `size`)

        `n_units` : `int64`
            How many units halves find alike: with a `similarity` of at least 0.5. Where there is none with any number
            of parts, all that both halves find in most of the splits. Programmes of a smaller number that a larger one
            lacks are counted with it.
        `explained` : `float64`
            Share of the variance of held-out cells that these explain.
        `taken` : `bool`
            Whether the model has these: the fewest units that are enough, or those of a larger number of parts that
            explain more with hardly more units.

    Raises
    ------
    KeyError
        No such model, or one that was trained once.
    ValueError
        No such table.

    See Also
    --------
    modulae.pl.replication : Draws this result.
    modulae.tl.autoencoder : Computes it.
    modulae.metrics.unit_stability : Compares two models that are there.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata)
    >>> units = mo.get.replication(adata)
    >>> units.columns.tolist(), units["replicates"].all().item()
    (['name', 'reproducibility', 'replicates', 'share', 'similarity', 'few_cells'], True)
    >>> mo.get.replication(adata, of="sizes").index.tolist()[:3]
    [4, 8, 12]
    """
    check_choice("of", of, ReplicationTable)
    entry = replication_entry(adata, key)
    if of == "sizes":
        return _sizes(entry)
    table = _units(entry)
    table.insert(0, "name", name_column(adata, key, list(table.index)))
    return table


def _units(entry: dict[str, Any]) -> pd.DataFrame:
    share = np.asarray(entry["found"], dtype=bool).all(axis=2).mean(axis=1)
    merged = np.asarray(entry.get("merged", np.zeros(len(share), dtype=bool)))  # no half was asked for such a unit
    reproducibility = np.asarray(entry["reproducibility"], dtype=np.float64)
    similarity = np.nan_to_num(np.asarray(entry["similarity"], dtype=np.float64)).mean(axis=1)
    return pd.DataFrame(
        {
            "reproducibility": reproducibility,
            "replicates": reproducibility >= float(entry["level"]),
            "share": np.where(merged, np.nan, share),
            "similarity": np.where(merged, np.nan, similarity),
            "few_cells": np.asarray(entry.get("few_cells", np.zeros(len(share))), dtype=bool),
        },
        index=pd.Index(unit_names(len(share)), name="unit"),
    )


def _sizes(entry: dict[str, Any]) -> pd.DataFrame:
    sizes = np.asarray(entry["sizes"], dtype=np.int64)
    return pd.DataFrame(
        {
            "n_units": np.asarray(entry["n_units"], dtype=np.int64),
            "explained": np.asarray(entry["explained"], dtype=np.float64),
            "taken": sizes == int(entry["size"]),
        },
        index=pd.Index(sizes, name="size"),
    )
