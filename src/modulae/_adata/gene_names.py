"""Names of genes as they can be matched: each once, each a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modulae._genes.gene_sets import listed

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray


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
            f"{len(twice)} gene names appear more than once ({listed(twice)}). "
            "Run `adata.var_names_make_unique()` first."
        )
        raise ValueError(msg)
    return np.asarray(names, dtype=str)


def _refuse_no_text(names: pd.Index[str]) -> None:
    absent = int(np.count_nonzero(names.isna()))
    if absent:
        msg = (
            f"{absent} of {len(names)} genes have no name: adata.var_names is missing there. Leave them out: "
            "`adata = adata[:, adata.var_names.notna()].copy()`."
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
        f"{len(others)} gene names are no text but {type(others[0]).__name__} ({listed(map(repr, others), 3)}), and "
        f"genes are matched by name. Name the genes: {step}."
    )
    raise ValueError(msg)
