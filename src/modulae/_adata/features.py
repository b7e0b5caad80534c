"""Features that are no genes: antibodies, hashtags, guides and peaks beside the RNA of the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

FEATURE_TYPE_COLUMNS = ("feature_types", "feature_type", "modality")
"""Columns of `var` that may say what a feature is: the first is what scanpy reads from Cell Ranger's files."""

GENES = frozenset({"gene expression", "gene", "genes", "gex", "rna", "mrna", "transcriptome"})
"""What genes are called there, in small letters."""

OTHERS = frozenset(
    {
        *("antibody capture", "antibody", "antibodies", "protein", "proteins", "adt", "protein expression"),
        *("multiplexing capture", "cell multiplexing oligo", "hto", "hashtag", "protein scaling counts"),
        *("crispr guide capture", "crispr", "guide", "grna", "sgrna", "antigen capture", "custom"),
        *("peaks", "peak", "atac", "chromatin accessibility", "vdj"),
        *("negative control probe", "negative control codeword", "unassigned codeword", "deprecated codeword"),
        *("blank codeword", "genomic control"),
    }
)
"""Kinds that are no genes. A column with none of all these names says something else, such as the biotype."""


UNNAMED = "Gene Expression"
"""What genes are called where only the other kinds have a name."""


def feature_kinds(adata: AnnData) -> tuple[str, NDArray[np.str_]] | None:
    """The column of `var` that tells several kinds of features apart, and each feature's kind.

    A feature without a kind counts as a gene.
    """
    for column in FEATURE_TYPE_COLUMNS:
        if column not in adata.var:
            continue
        values = adata.var[column]
        values = values if isinstance(values, pd.Series) else values.to_series()  # `var` may lie on disk too
        known = values.dropna().astype(str)
        kinds = {_plain(kind) for kind in known.unique()}
        only_others = bool(kinds) and kinds <= OTHERS
        if (len(kinds) > 1 and kinds & (GENES | OTHERS)) or (only_others and len(known) < len(values)):
            kind_of_genes = UNNAMED if only_others else _genes_among(known)
            return column, np.asarray(values.astype(object).where(values.notna(), kind_of_genes).astype(str), dtype=str)
    return None


def gene_features(adata: AnnData) -> NDArray[np.bool_]:
    """Which features are genes: all of them, where nothing says otherwise."""
    result = feature_kinds(adata)
    if result is None:
        return np.ones(adata.n_vars, dtype=bool)
    return np.asarray(result[1] == _genes_among(pd.Series(result[1])))


def of_their_kind(adata: AnnData, columns: NDArray[np.intp] | None) -> NDArray[np.bool_]:
    """Which features are of the kind of those asked for (all if `None`), and so belong to the total count of a cell.

    Raises
    ------
    ValueError
        Several kinds are asked for.
    """
    result = feature_kinds(adata)
    if result is None:
        return np.ones(adata.n_vars, dtype=bool)
    column, kinds = result
    asked = np.unique(kinds if columns is None else kinds[columns])
    if len(asked) > 1:
        genes = _genes_among(pd.Series(kinds))
        said = f"adata.var[{column!r}]"
        others = [str(kind) for kind in np.unique(kinds) if kind != genes]
        keep = f"~{said}.isin({others!r})" if adata.var[column].isna().any() else f"{said} == {genes!r}"
        msg = (
            f"{said} has {len(asked)} kinds of features ({', '.join(asked)}), and the "
            f"model and its size factors would take them all for genes. Keep the genes: "
            f"`adata = adata[:, {keep}].copy()`, or name a column that marks genes only: "
            "mask_var=."
        )
        raise ValueError(msg)
    return np.asarray(np.isin(kinds, asked))


def _genes_among(kinds: pd.Series[str]) -> str:
    """What genes are called here; the most frequent kind, where none of the known names is there."""
    counted = kinds.value_counts()
    return next((str(kind) for kind in counted.index if _plain(str(kind)) in GENES), str(counted.index[0]))


def _plain(kind: str) -> str:
    return kind.strip().lower().replace("_", " ")
