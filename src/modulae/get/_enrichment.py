"""Every unit and gene set in one tidy table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import ENRICHMENT, share_found, unit_names
from modulae._adata.stored.unit_labels import name_column, names_of_units, unit_number

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

ENRICHMENT_STATISTICS = (
    "es",
    "nes",
    "effect",
    "null_mean",
    "z",
    "p",
    "q",
    "p_correlated",
    "q_correlated",
    "p_prerank",
    "q_prerank",
)


@public
def enrichment(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, unit: int | str | None = None
) -> pd.DataFrame:
    """Which gene sets each programme responds to more than to other genes, as a tidy table.

    `p` and `q` are those to use; :func:`modulae.tl.enrich_units` says what the others mean.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_enrichment}
    unit
        One unit, by number or name; all if `None`.

    Returns
    -------
    One row per unit and set, the units in their order, the smallest `q` of each first.

    `unit` : text
        "0", "1", …
    `name` : text
        Name of the unit, after :func:`modulae.tl.unit_summary`; else NaN.
    `set` : text
        Name of the gene set.
    `n_genes` : `int64`
        Genes of the set in the model.
    `share_found` : `float64`
        Share of the set's genes that `adata` has.
    `es`, `nes` : `float64`
        Enrichment score, and normalised by its null.
    `effect` : `float64`
        Mean saliency of the set.
    `null_mean` : `float64`
        Mean saliency of genes like those of the set.
    `z` : `float64`
        The difference of the two, in standard deviations. Above 0: the genes raise the unit more than genes like them;
        below 0: they lower it.
    `p`, `p_correlated`, `p_prerank` : `float64`
        p-values.
    `q`, `q_correlated`, `q_prerank` : `float64`
        False discovery rates.
    `leading_edge` : text
        Genes of the leading edge, the most extreme first, separated by semicolons.

    Raises
    ------
    KeyError
        No such result or unit.

    See Also
    --------
    modulae.tl.enrich_units : Computes this result.
    modulae.pl.enrichment : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.enrich_units(adata, mo.datasets.immune_signatures(), n_permutations=20)
    >>> mo.get.enrichment(adata, unit=3).shape
    (20, 17)
    """
    found = ENRICHMENT.find(adata, key=key, result=result)
    entry = found.entry
    n_sets, n_units = np.shape(entry["nes"])
    chosen = list(range(n_units)) if unit is None else [unit_number(unit, n_units, names_of_units(adata, found.key))]
    table = pd.DataFrame(
        {
            "unit": np.repeat(np.array(unit_names(n_units), dtype=object)[chosen], n_sets),
            "set": np.tile([str(name) for name in entry["sets"]], len(chosen)),
            "n_genes": np.tile(np.asarray(entry["n_genes"]), len(chosen)),
            "share_found": np.tile(share_found(entry), len(chosen)),
            **{name: np.asarray(entry[name], dtype=np.float64)[:, chosen].T.ravel() for name in ENRICHMENT_STATISTICS},
            "leading_edge": [genes for index in chosen for genes in _leading_edges(entry, index)],
        }
    )
    table.insert(1, "name", name_column(adata, found.key, list(table["unit"])))
    by_unit = np.repeat(np.arange(len(chosen)), n_sets)
    order = np.lexsort((-table["z"].abs(), table["p"], by_unit))  # q rises with p
    return table.iloc[order].reset_index(drop=True)


def _leading_edges(entry: dict[str, Any], unit: int) -> list[str]:
    """For each set the genes of its leading edge, in their order."""
    genes = np.array([str(name) for name in entry["genes"]], dtype=object)  # zarr brings back another kind of text
    places: NDArray[np.unsignedinteger] = np.asarray(entry["leading_edge"])[:, unit]
    starts = np.cumsum(np.asarray(entry["n_genes"]))[:-1]
    edges = []
    for names, place in zip(np.split(genes, starts), np.split(places, starts), strict=True):
        inside = np.flatnonzero(place)
        edges.append(";".join(names[inside[np.argsort(place[inside])]]))
    return edges
