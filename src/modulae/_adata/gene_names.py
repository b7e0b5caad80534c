"""Names of genes as they can be matched: each once, each a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._genes.explain_names import explain_spelling
from modulae._utils.text import counted, listed, verb

from .columns.columns import var_column
from .columns.labels import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.model.fitted import Fitted


def gene_names(adata: AnnData) -> NDArray[np.str_]:
    """The gene names, which must be unique: genes are matched by name, never by position.

    Raises
    ------
    ValueError
        A gene without a name, a name that is no text, or the same name twice.
    """
    names = adata.var_names
    _refuse_no_text(names)
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        msg = (
            f"{counted(len(twice), 'gene name appears', 'gene names appear')} more than once ({listed(twice)}). "
            "Run `adata.var_names_make_unique()` first."
        )
        raise ValueError(msg)
    return np.asarray(names, dtype=str)


def _refuse_no_text(names: pd.Index[str]) -> None:
    absent = int(np.count_nonzero(names.isna()))
    if absent:
        msg = (
            f"{absent} of {len(names)} genes {verb(absent, 'has', 'have')} no name: adata.var_names is missing "
            "there. Leave them out: `adata = adata[:, adata.var_names.notna()].copy()`."
        )
        raise ValueError(msg)
    others = [name for name in names if not isinstance(name, str)]
    if not others:
        return
    if all(isinstance(name, bytes) for name in names):
        step = "`adata.var_names = adata.var_names.str.decode('utf-8')`"
    else:
        step = (
            "`adata.var_names = adata.var_names.map(str)`, or with the column of adata.var that holds the names, such "
            "as `adata.var_names = adata.var['gene_symbols']`"
        )
    msg = (
        f"{counted(len(others), 'gene name is', 'gene names are')} no text but {type(others[0]).__name__} "
        f"({listed(map(repr, others), 3)}), and genes are matched by name. Name the genes: {step}."
    )
    raise ValueError(msg)


def check_genes(adata: AnnData, fitted: Fitted) -> None:
    """Refuse cells that lack genes of the model."""
    names = gene_names(adata)
    absent = np.setdiff1d(fitted.genes, names)
    if len(absent):
        reason = explain_spelling(fitted.genes.tolist(), names.tolist(), ours="the model's genes")
        msg = f"{len(absent)} of the model's {len(fitted.genes)} genes are not in adata ({listed(absent)}). " + (
            reason or "Use the AnnData with all the genes the model was trained on, or train again on these."
        )
        raise KeyError(msg)


def identifiers(adata: AnnData, genes: NDArray[np.str_], column: str | None) -> NDArray[np.str_] | None:
    """What a column of `adata.var` calls these genes; the usual column, or `None`, where none is named."""
    if column is None:
        if "gene_ids" not in adata.var:
            return None
        column = "gene_ids"
    values = var_column(adata, column, "gene_ids", others="Leave it out, or choose one of").astype(object)
    named = values.where(values.notna(), "").reindex(genes, fill_value="")
    return np.array([written(name) for name in named])


def place_by_name(adata: AnnData, genes: NDArray[np.str_], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Genes × … of the model → all genes of `adata` × …; NaN for a gene outside the model (0 would claim no effect)."""
    field = np.full((adata.n_vars, *values.shape[1:]), np.nan, dtype=np.float32)
    field[adata.var_names.get_indexer(genes)] = values
    return field


def columns_of_genes(adata: AnnData, genes: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    columns = adata.var_names.get_indexer(genes)
    if (columns < 0).any():
        absent = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
        msg = (
            f"{counted(len(absent), 'gene is', 'genes are')} not in adata ({listed(absent)}). Choose genes from "
            "adata.var_names."
        )
        raise KeyError(msg)
    return np.asarray(columns)
