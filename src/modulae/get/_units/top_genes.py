"""Units × genes, as a tidy table: which genes stand for a unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.unit_labels import name_column, names_of_units, unit_number, units_without_names
from modulae.core.checks import check_integer
from modulae.core.scores.gene_ranking import gene_scores, gene_shares, strongest_genes
from modulae.get._loadings import loadings

if TYPE_CHECKING:
    from anndata import AnnData


@public
def top_genes(adata: AnnData, *, unit: int | str | None = None, n: int = 10, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """The genes that stand for each programme: those that it makes and that distinguish it from the others.

    Genes are ordered by `score`, the loading times its `share`. This one order is that of names, pictures and the
    report; the genes that a unit is *read from* are in :func:`modulae.get.saliency`.

    Parameters
    ----------
    {adata}
    unit
        One unit, by number or name. If `None` all except those that are dead, below the level of reproducibility, or
        marked as technical (:func:`modulae.tl.edit_units`).
    n
        How many genes of each; fewer where it makes fewer.
    {key}

    Returns
    -------
    One row per unit and gene, the units in their order, the first gene first.

    `unit` : text
        "0", "1", …
    `name` : text
        Its name, after :func:`modulae.tl.unit_summary`; else NaN.
    `gene` : text
        Name of the gene.
    `loading` : `float64`
        As in :func:`modulae.get.loadings`.
    `share` : `float64`
        The unit's share in what all units make of the gene (with the same sign).
    `score` : `float64`
        Loading times share.

    Raises
    ------
    KeyError
        No such model or unit, or a model without loadings.
    ValueError
        `n` is not an integer above 0.

    See Also
    --------
    modulae.pl.top_genes : Draws the genes of one unit.
    modulae.get.loadings : All genes and units.
    modulae.tl.unit_summary : Names units by these genes.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.autoencoder(adata, n_splits=0, n_latent=8, max_epochs=2)
    >>> genes = mo.get.top_genes(adata, unit=3, n=5)
    >>> len(genes), genes.columns.tolist()
    (5, ['unit', 'name', 'gene', 'loading', 'share', 'score'])
    """
    check_integer("n", n, minimum=1)
    made = loadings(adata, key=key).dropna()
    values = made.to_numpy(dtype=np.float64)
    every, hidden = list(made.columns), units_without_names(adata, key)
    if unit is None:
        chosen = [at for at, name in enumerate(every) if name not in hidden]
    else:
        chosen = [unit_number(unit, len(every), names_of_units(adata, key))]
    scores = gene_scores(values)
    first = [strongest_genes(scores[:, at], n) for at in chosen]
    rows = np.concatenate([np.empty(0, dtype=np.intp), *first])
    columns = np.repeat(np.array(chosen, dtype=np.intp), [len(genes) for genes in first])
    units = [every[at] for at in columns]
    return pd.DataFrame(
        {
            "unit": np.array(units, dtype=object),
            "name": name_column(adata, key, units),
            "gene": made.index.to_numpy(dtype=object)[rows],
            "loading": values[rows, columns],
            "share": gene_shares(values)[rows, columns],
            "score": scores[rows, columns],
        }
    )
