"""Whether the genes that a unit weighs most are those of one programme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from modulae._adata.gene_names import gene_names
from modulae._adata.public import check_adata
from modulae._adata.stored.fields import Fields
from modulae._genes.gene_sets import read_gene_sets
from modulae._utils.by_name import by_name
from modulae._utils.text import choose, counted, listed

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray


@by_name
def programme_recovery(
    data: AnnData | pd.DataFrame,
    gene_sets: Mapping[str, Iterable[str]] | pd.DataFrame | str | os.PathLike[str],
    *,
    result: str = Fields().saliency(),
) -> pd.DataFrame:
    """Area under the precision-recall curve of every programme's genes in the gene weights of its unit.

    Genes are ranked by their weight in a unit, from either end, since the sign of a unit means nothing; the end that
    ranks the programme higher counts. The area is scikit-learn's average precision: 1 if the programme's genes all come
    first, about their share of the genes for a random ranking. Each programme has a unit of its own, so that the sum of
    the areas is largest (Hungarian matching); the best unit of all is given as well.

    Parameters
    ----------
    data
        An `AnnData` with genes × units in `varm`, such as saliencies or loadings; or genes × units as a table with
        the genes as its index. Genes that are NaN, outside the model, are left out.
    gene_sets
        The programmes: a dict of name → genes, such as `uns["gene_sets"]` of :func:`modulae.datasets.simulated`, or
        whatever :func:`modulae.read_gene_sets` reads.
    result
        `varm` field with the weights, where `data` is an `AnnData`.

    Returns
    -------
    One row for each programme.

    `unit` : text
        Its unit, missing if there are fewer units than programmes.
    `direction` : `int64`
        1 if the programme's genes have the highest weights in this unit, −1 if the lowest, 0 without a unit.
    `auprc` : `float64`
        Area for this unit; 0 without one.
    `best_unit` : text
        The unit with the largest area, which may also be another programme's.
    `best_auprc` : `float64`
        That area.
    `n_genes` : `int64`
        Genes of the programme among those with weights.
    `chance` : `float64`
        Their share of all genes with weights.

    Raises
    ------
    KeyError
        No such `varm` field.
    ValueError
        Weights that are not genes × units, no genes with weights, or a programme that has none or all of them.

    See Also
    --------
    modulae.datasets.simulated : Data with planted programmes.
    modulae.metrics.disentanglement : The same question for the activities.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200)
    >>> mo.tl.autoencoder(adata, n_splits=0, n_latent=8, max_epochs=2)
    >>> mo.metrics.programme_recovery(adata, adata.uns["gene_sets"], result="ae_loadings").shape
    (8, 7)
    """
    weights = _weights(data, result)
    programmes = read_gene_sets(gene_sets)
    members = np.array([weights.index.isin(genes) for genes in programmes.values()])  # programmes × genes
    n_genes = members.sum(axis=1)
    poor = [name for name, n in zip(programmes, n_genes, strict=True) if n in {0, len(weights)}]
    if poor:
        msg = (
            f"{counted(len(poor), 'programme has', 'programmes have')} none of the {len(weights)} genes with "
            f"weights, or all of them ({listed(poor)}). Leave out such programmes, or name the genes as the data do."
        )
        raise ValueError(msg)
    up = _areas(members, weights.to_numpy(dtype=np.float64))
    down = _areas(members, -weights.to_numpy(dtype=np.float64))
    areas = np.maximum(up, down)  # programmes × units
    rows, units = linear_sum_assignment(areas, maximize=True)
    names = weights.columns.to_numpy()
    unit = np.full(len(programmes), None, dtype=object)
    unit[rows] = names[units]
    direction = np.zeros(len(programmes), dtype=np.int64)
    direction[rows] = np.where(up[rows, units] >= down[rows, units], 1, -1)
    auprc = np.zeros(len(programmes))
    auprc[rows] = areas[rows, units]
    columns = {
        "unit": unit,
        "direction": direction,
        "auprc": auprc,
        "best_unit": names[areas.argmax(axis=1)],
        "best_auprc": areas.max(axis=1),
        "n_genes": n_genes,
        "chance": n_genes / len(weights),
    }
    return pd.DataFrame(columns, index=pd.Index(programmes, name="programme"))


def _weights(data: AnnData | pd.DataFrame, result: str) -> pd.DataFrame:
    """Genes × units, without the genes outside the model."""
    if isinstance(data, pd.DataFrame):
        weights = data
    else:
        check_adata(data, "data")
        if result not in data.varm:
            msg = f"adata.varm has no {result!r}. {choose(data.varm, 'run `mo.tl.saliency(adata)`')}"
            raise KeyError(msg)
        field = data.varm[result]
        if np.ndim(field) != 2:
            msg = f"adata.varm[{result!r}] is no genes × units. Choose one group of it with `mo.get.saliency`."
            raise ValueError(msg)
        weights = pd.DataFrame(field).set_axis(gene_names(data), axis=0)
    if not weights.index.is_unique:
        msg = "a gene has more than one row of weights. Make the names of the genes unique first."
        raise ValueError(msg)
    weights = weights[weights.notna().all(axis=1)]
    if weights.empty:
        msg = "no gene has weights. Give genes × units with one unit or more, and numbers for some genes."
        raise ValueError(msg)
    return weights.set_axis(weights.columns.astype(str), axis=1)


def _areas(members: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average precision of each programme's genes in each unit, as programmes × units."""
    from sklearn.metrics import average_precision_score

    return np.array([[average_precision_score(genes, unit) for unit in weights.T] for genes in members])
