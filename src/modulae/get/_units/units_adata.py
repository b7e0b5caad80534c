"""Units in the place of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.results import CALLS, UNITS, unit_names

if TYPE_CHECKING:
    from anndata import AnnData

    from modulae._adata.stored.results import Kind


@public
def units_adata(adata: AnnData, *, key: str = DEFAULT_KEY) -> AnnData:
    """The activities as an `AnnData` of their own, cells × units, for the functions of scanpy and others.

    `sc.pl.matrixplot`, `sc.pl.violin`, `sc.pl.umap` and `sc.tl.rank_genes_groups` then work on programmes. The values
    are activities, 0 or more: neither counts nor logarithms, so they need no normalisation. `rank_genes_groups` takes
    every cell for a replicate, and its fold changes mean nothing here: read its scores. The object is a copy: changing
    it does not change `adata`.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    Cells × units

    `.X` : :class:`numpy.ndarray` (`float32`)
        Activity of each unit in each cell.
    `.var`
        The columns of :func:`modulae.get.unit_summary`, where the units were summarised; units in their order, by
        number ("0", "1", …), or by name where they have names, with the number in a column `unit`.
    `.obs`, `.obsm`, `.obsp`
        As in `adata`: groups, embeddings and neighbours.
    `.uns`
        Colours of groups and settings of neighbours.
    `.layers['on']`, `.layers['callable']` : :class:`numpy.ndarray` (`bool`)
        What :func:`modulae.tl.call_units` said, where it did.

    Raises
    ------
    KeyError
        No representation, or no model that it is of.
    ValueError
        The values are not those that this model has written, as where objects with different models were joined.

    See Also
    --------
    modulae.get.representation : The activities as a table.
    modulae.tl.unit_summary : Describes the units.
    modulae.tl.call_units : Says where they are on.
    scanpy.pl.matrixplot : Draws groups × units.

    Examples
    --------
    >>> import scanpy as sc
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> units = mo.get.units_adata(adata)
    >>> units.shape
    (700, 32)
    >>> sc.tl.rank_genes_groups(units, "bulk_labels", method="wilcoxon")
    >>> units.uns["rank_genes_groups"]["names"].shape
    (32,)
    """
    from anndata import AnnData

    values = np.array(model_units(adata, key), dtype=np.float32)
    units = AnnData(values, obs=adata.obs.copy(), var=_described(adata, key, values.shape[1]))
    for name in adata.obsm:
        units.obsm[name] = adata.obsm[name].copy()
    for name in adata.obsp:
        units.obsp[name] = adata.obsp[name].copy()
    for name, value in adata.uns.items():
        if name.endswith("_colors") or (isinstance(value, dict) and "connectivities_key" in value):
            units.uns[name] = value.copy()
    if _is_there(adata, CALLS, Fields(key).on, key):
        name = CALLS.find(adata, key=key).name
        units.layers["on"] = np.array(adata.obsm[name], dtype=bool)
        units.layers["callable"] = np.array(adata.obsm[Fields.callable(name)], dtype=bool)
    return units


def _described(adata: AnnData, key: str, n_units: int) -> pd.DataFrame:
    """One row per unit, in the order of the units."""
    from modulae.get import unit_summary

    numbers = unit_names(n_units)
    if not _is_there(adata, UNITS, Fields(key).units, key):
        return pd.DataFrame(index=pd.Index(numbers))
    table = unit_summary(adata, key=key).loc[numbers]
    texts = table.select_dtypes(exclude=["number", "bool"]).columns
    table[texts] = table[texts].fillna("").astype(object)  # NaN among text can't be written to a file
    table.index.name = None
    if "name" not in table:
        return table
    table.insert(0, "unit", numbers)
    return table.set_index(pd.Index(_unique(table["name"], numbers)))


def _unique(names: pd.Series, numbers: list[str]) -> list[str]:
    """Names of units; the number where there is none, and behind a name that several have."""
    named = names.notna() & (names != "")
    twice = names.duplicated(keep=False)
    return [
        (f"{name} ({number})" if again else str(name)) if known else number
        for name, number, known, again in zip(names, numbers, named, twice, strict=True)
    ]


def _is_there(adata: AnnData, kind: Kind, name: str, key: str) -> bool:
    """Whether the usual result of this kind is there, and of this model."""
    entry = adata.uns.get(name)
    return (
        isinstance(entry, dict)
        and kind.fields <= set(entry)
        and name in getattr(adata, kind.store)
        and str(entry.get("of_model", key)) == key
        and bool(model_entry(adata, key))
    )
