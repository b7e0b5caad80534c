"""Programmes on the genes of some cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.gene_names import identifiers
from modulae._genes.explain_names import explain_mismatch
from modulae._genes.matching import match_genes
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed, verb

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

MUCH = 0.5
"""Share of the weight of a programme that the genes at hand should carry."""


def weights_on(adata: AnnData, genes: NDArray[np.str_], table: pd.DataFrame) -> NDArray[np.float64]:
    """Programmes × genes, ≥ 0; a gene that the table does not have is 0.

    Raises
    ------
    KeyError
        No gene of the table is among the genes.
    ValueError
        A programme of which nothing is left.
    """
    theirs = [genes.tolist()]
    if (ids := identifiers(adata, genes, None)) is not None:
        theirs.append(ids.tolist())
    ours = [str(gene) for gene in table.index]
    match = match_genes([ours], theirs)
    if not match.found.any():
        reason = explain_mismatch({"programmes": ours}, theirs[0]).replace("gene sets", "programmes") or (
            f"They name genes such as {listed(ours, 3)}, the data such as {listed(theirs[0], 3)}: rename one of them."
        )
        msg = f"adata has no gene of the programmes. {reason}"
        raise KeyError(msg)
    given = table.to_numpy(dtype=np.float64).T
    positive = np.maximum(given, 0)
    weights = np.zeros((len(given), len(genes)))
    weights[:, match.columns[match.found]] = positive[:, match.found]
    total = positive.sum(axis=1)
    share = weights.sum(axis=1) / np.where(total > 0, total, 1)
    names = table.columns.astype(str)
    nothing = names[share == 0]
    if len(nothing):
        msg = (
            f"of {counted(len(nothing), 'programme')} no gene with a weight above 0 is in the data "
            f"({listed(nothing)}). Leave out what the data lack: `programmes = "
            f"programmes.drop(columns={list(nothing)!r})`."
        )
        raise ValueError(msg)
    _say_what_is_lost(given, match.found, share, names, match.ambiguous)
    return weights


def _say_what_is_lost(
    given: NDArray[np.float64],
    found: NDArray[np.bool_],
    share: NDArray[np.float64],
    names: pd.Index,
    ambiguous: list[str],
) -> None:
    if ambiguous:
        _warn(
            f"{counted(len(ambiguous), 'gene of the programmes has', 'genes of the programmes have')} several rows "
            f"in adata, and {verb(len(ambiguous))} taken as missing ({listed(ambiguous)}). Keep one row of each "
            "gene to have it used."
        )
    below = np.maximum(-given, 0).sum(axis=1)
    lost = below / np.abs(given).sum(axis=1)
    if below.any():
        _warn(
            f"a unit can raise genes but not lower them: weights below 0 are set to 0, in {(below > 0).sum()} of "
            f"{len(given)} programmes, with {lost.mean():.0%} of the absolute weight of a programme in the mean "
            f"(at most {lost.max():.0%}, {names[int(lost.argmax())]})."
        )
    if not found.all() and (share < MUCH).any():
        few = names[share < MUCH]
        _warn(
            f"adata has {found.mean():.0%} of the genes of the programmes. They carry less than half of the weight of "
            f"{len(few)} of {len(names)} programmes ({listed(few)}), which may be read as something else. Use data "
            "with all genes, or leave such programmes out."
        )


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=user_stacklevel())
