"""Programmes as other tools write them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._genes.gene_sets import read_gene_sets
from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae._utils.text import counted
from modulae.core.checks import check_choice

from .layouts import GenesIn, from_file, from_sets, oriented
from .table import LAYOUT, SCALE, Scale, checked_scale, programme_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@by_name
@fill_docs
def read_programmes(
    source: str | os.PathLike[str] | pd.DataFrame | Mapping[str, Any] | NDArray[np.floating] | Any,  # noqa: ANN401
    *,
    scale: Scale | None = None,
    genes: Sequence[str] | None = None,
    genes_in: GenesIn = "auto",
) -> pd.DataFrame:
    """Read programmes that another tool has found, as a table of genes × programmes.

    `mo.tl.autoencoder(adata, loadings=programmes)` makes a model of them on your cells, and
    :func:`modulae.match_programmes` compares them with others. :doc:`/guide/exchange` shows it for each tool.

    The scale of the numbers goes with the table, in `programmes.attrs["scale"]`; nothing is converted here. It is known
    for the files of cNMF and starCAT by their names. Weights below 0 are kept, and so are all genes.

    Parameters
    ----------
    source
        One of

        - the path of a CSV or TSV file, also gzipped: programmes × genes, as cNMF and starCAT write them, or genes ×
          programmes, as LinearSCVI, DRVI and GeneNMF have them; a list with one row for each gene of each programme
          (columns such as `program`, `gene` and, if there are any, `weight`); or columns of gene names;
        - the path of a MuData file (`.h5mu`) for IGVF's evaluation, or of an Excel workbook (`.xlsx`): its sheet
          `loadings`, or the first;
        - the path of a GMT file, or a dict of name → genes, each with weight 1, or → gene → weight;
        - a table of either direction, such as `model.get_loadings()` of LinearSCVI;
        - a fitted decomposition of scikit-learn, such as `NMF`, or an array of programmes × genes.
    scale
        What the numbers are, where it is not known: `"weights"` (if `None`), that say which genes matter more;
        `"log1p"`, what a programme adds to log1p of the rate; `"counts"` or `"tpm"`, expression by the programme;
        `"scaled"`, counts over their standard deviation over cells; `"z_score"`.
    genes
        Names of the genes, for an array or a decomposition that was fitted to one.
    genes_in
        Whether the genes are `"rows"` or `"columns"` of a table. `"auto"`: told by names such as `1`, `GEP1` and `Z_1`,
        which are those of programmes; else there are more genes than programmes.

    Returns
    -------
    Genes × programmes, `float64`, with `attrs["scale"]`, and in `attrs["layout"]` how it was read. Genes that have no
    number in some programme are left out.

    Raises
    ------
    FileNotFoundError
        No such file.
    ImportError
        A workbook without the package `openpyxl`.
    TypeError
        What holds no programmes.
    ValueError
        The same gene or programme twice, a table that can be read either way, or a file of another kind.

    See Also
    --------
    modulae.tl.autoencoder : Makes a model of them, with `loadings=`.
    modulae.match_programmes : Which of them are which of others.
    modulae.write_programmes : Writes the units of a model.

    Examples
    --------
    >>> programmes = mo.read_programmes({"T cell": ["CD3D", "CD3E"], "B cell": ["CD79A"]})
    >>> programmes.shape, programmes.attrs["scale"]
    ((3, 2), 'weights')
    """
    if scale is not None:
        checked_scale(scale)
    check_choice("genes_in", genes_in, GenesIn)
    if isinstance(source, str | os.PathLike):
        return from_file(Path(source).expanduser(), scale, genes_in)
    if isinstance(source, Mapping):
        if source and all(isinstance(genes, Mapping) and _are_numbers(genes.values()) for genes in source.values()):
            weights = pd.DataFrame({str(name): dict(genes) for name, genes in source.items()}).fillna(0.0)
            return programme_table(weights.to_numpy(), weights.index, weights.columns, scale or "weights", "weights")
        return from_sets(read_gene_sets(source), scale)
    if isinstance(source, pd.DataFrame):
        if source.attrs.get(LAYOUT) is not None and source.attrs.get(SCALE) is not None:  # one of ours
            said = scale or source.attrs[SCALE]
            return programme_table(source.to_numpy(), source.index, source.columns, said, source.attrs[LAYOUT])
        return oriented(source, scale, genes_in)
    return _from_array(source, scale, genes)


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int | float | np.number) for value in values)


def _from_array(source: Any, scale: str | None, genes: Sequence[str] | None) -> pd.DataFrame:  # noqa: ANN401
    parts = getattr(source, "components_", source)
    if np.ndim(parts) != 2 or isinstance(source, type):
        msg = (
            f"programmes can't be read from {type(source).__name__}. Give the path of a file, a table of genes × "
            "programmes, a dict of name → genes, or a fitted NMF of scikit-learn."
        )
        raise TypeError(msg)
    names = genes if genes is not None else getattr(source, "feature_names_in_", None)
    n_programmes, n_genes = np.shape(parts)
    if names is None or len(names) != n_genes:
        of = "no names" if names is None else counted(len(names), "name")
        msg = (
            f"the array has {counted(n_genes, 'column')}, and there are {of} of genes. Name the genes: "
            "genes=adata.var_names."
        )
        raise ValueError(msg)
    layout = "scikit-learn" if parts is not source else "array"
    return programme_table(np.asarray(parts).T, names, range(n_programmes), scale or "weights", layout)
