"""Which programmes are the same ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from modulae._adata.gene_names import identifiers
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._genes.matching import match_genes
from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae._utils.text import counted, listed
from modulae.core.checks import check_choice, check_integer, check_number
from modulae.core.scores.matching import match_loadings
from modulae.core.statistics.multiple_tests import false_discovery_rates
from modulae.get._loadings import loadings

from .read_programmes import read_programmes
from .table import LAYOUT, scale_of
from .write_programmes import programme_names

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

MatchTable = Literal["best", "similarity"]

FEWEST = 20
"""Genes that both sides need to have: over fewer, many pairs are alike by chance."""

LISTS = ("gene sets", "list of genes")
"""Layouts that say which genes a programme has, so that it has no others."""


@dataclass(frozen=True, slots=True)
class Side:
    """Programmes, and what is known of their genes."""

    loadings: pd.DataFrame  # genes × programmes
    ids: list[str] | None
    listed: bool  # genes that are not named are not in it


@dataclass(frozen=True, slots=True)
class How:
    """Settings of a comparison; without permutations only similarities are wanted."""

    max_q: float
    n_permutations: int
    seed: int


@by_name
@fill_docs
def match_programmes(
    first: AnnData | pd.DataFrame | Mapping[str, Any] | str | os.PathLike[str],
    second: Any,  # noqa: ANN401
    *,
    of: MatchTable = "best",
    max_q: float = 0.05,
    n_permutations: int = 999,
    seed: int = 0,
    key: str = DEFAULT_KEY,
) -> pd.DataFrame:
    """Match the programmes of a model or a catalogue with those of another, or of several others.

    Programmes are compared by the scores of their genes, loading times share as in :func:`modulae.get.top_genes`, over
    the genes that both sides have. p says how often the best partner would be as similar if the genes of the partners
    were exchanged for others of the same level. The best of all partners counts, so having many partners does not by
    itself give a match. A gene set has no genes but its own. :doc:`/guide/exchange` has an example over samples.

    Parameters
    ----------
    first
        A model (its `AnnData`), or what :func:`modulae.read_programmes` reads or has read. Units of a model that are
        dead, below the level of reproducibility or technical take no part.
    second
        The same; or several of them, as a list or by name in a dict.
    of
        `"best"`: the partner of each programme; `"similarity"`: that of all pairs, `first` × `second`.
    {max_q_found}
    n_permutations
        How often genes are exchanged. The smallest p is 1 / (`n_permutations` + 1).
    {seed}
    {key}

    Returns
    -------
    `"best"`: one row for each programme of `first` (index `programme`), of several others for each of them and
    programme (index `other`, `programme`). `table["found"].groupby("programme", sort=False).agg(["sum", "size"])` then
    says in how many of them a programme is found.

        `partner` : text
            The most similar programme.
        `similarity` : `float64`
            Pearson's correlation of the roots of their scores; of three programmes or more, of what is above a gene's
            mean.
        `p`, `q` : `float64`
            See above; q is the false discovery rate over the programmes of `first` (Benjamini–Hochberg).
        `reciprocal` : `bool`
            Whether the programme is the most similar to its partner, too.
        `found` : `bool`
            Whether it is, and q is at most `max_q`.
        `n_genes` : `int64`
            Genes that both sides have.

    `"similarity"`: `float64`, programmes of `first` × programmes of `second`.

    Raises
    ------
    KeyError
        No such model.
    ValueError
        Fewer than 20 genes that both sides have, or no second.

    See Also
    --------
    modulae.pl.match_programmes : Draws the pairs.
    modulae.read_programmes : Reads programmes of other tools.
    modulae.metrics.unit_stability : Compares units of two models by the same cells.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata)
    >>> table = mo.match_programmes(adata, adata.uns["gene_sets"])
    >>> sorted(table.loc[table["found"], "partner"])
    ['programme_0', 'programme_1', 'programme_2', 'programme_3']
    """
    check_choice("of", of, MatchTable)
    check_integer("n_permutations", n_permutations, minimum=1)
    check_number("max_q", max_q, minimum=0, maximum=1, give="a rate from 0 to 1, such as 0.05")
    how = How(max_q, n_permutations if of == "best" else 0, seed)
    mine = _side(first, key)
    others = _several(second)
    if others is None:
        return _match(mine, _side(second, key), how)
    if not others:
        msg = "second holds nothing to compare with. Give one model or catalogue at least."
        raise ValueError(msg)
    sides = {name: _side(other, key) for name, other in others.items()}
    tables = {name: _match(mine, side, how) for name, side in sides.items()}
    return pd.concat(tables, names=["other"], axis="columns" if of == "similarity" else "index")


def _several(given: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Several models or catalogues by name; `None` where it is one."""
    from anndata import AnnData

    if isinstance(given, Mapping):
        catalogues = all(
            isinstance(one, AnnData | pd.DataFrame | Mapping | str | os.PathLike) and not _is_weights(one)
            for one in given.values()
        )
        return {str(name): one for name, one in given.items()} if catalogues else None
    if isinstance(given, Sequence) and not isinstance(given, str):
        return {str(number): one for number, one in enumerate(given)}
    return None


def _is_weights(one: object) -> bool:
    """Whether it is a set with weights: gene → number."""
    return isinstance(one, Mapping) and all(isinstance(weight, int | float | np.number) for weight in one.values())


def _side(given: Any, key: str) -> Side:  # noqa: ANN401
    from anndata import AnnData

    if isinstance(given, AnnData):
        names = programme_names(given, key, None)
        table = loadings(given, key=key).dropna()[list(names)].set_axis([*names.values()], axis=1)
        ids = identifiers(given, table.index.to_numpy(dtype=str), None)
        return Side(table, None if ids is None else ids.tolist(), listed=False)
    table = read_programmes(given)
    values = table.to_numpy(dtype=np.float64)
    if scale_of(table) in {"counts", "tpm"}:
        values = np.log1p(np.maximum(values, 0) / np.maximum(values, 0).sum(axis=0) * 1e4)
    values = values / np.sqrt((values**2).mean(axis=0))  # programmes of a table may have any size
    return Side(pd.DataFrame(values, table.index, table.columns), None, listed=table.attrs[LAYOUT] in LISTS)


def _match(mine: Side, other: Side, how: How) -> pd.DataFrame:
    one, two, n_genes = _on_common_genes(mine, other)
    names, partners = mine.loadings.columns.rename("programme"), other.loadings.columns.rename("partner")
    similarity, p = match_loadings(one, two, n_permutations=how.n_permutations, seed=how.seed)
    if not how.n_permutations:
        return pd.DataFrame(similarity, index=names, columns=partners)
    best = similarity.argmax(axis=1)
    reciprocal = similarity.argmax(axis=0)[best] == np.arange(len(best))
    q = false_discovery_rates(p)
    columns = {
        "partner": partners.to_numpy(dtype=object)[best],
        "similarity": similarity.max(axis=1),
        "p": p,
        "q": q,
        "reciprocal": reciprocal,
        "found": reciprocal & (q <= how.max_q),
        "n_genes": np.full(len(best), n_genes),
    }
    return pd.DataFrame(columns, index=names)


def _on_common_genes(mine: Side, other: Side) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Loadings of both sides for the same genes, and how many of these both have.

    A list of genes has none of the other genes of the other side, while of others these are not known.
    """
    ours, theirs = (
        [side.loadings.index.astype(str).tolist(), *([] if side.ids is None else [side.ids])] for side in (mine, other)
    )
    columns = match_genes(ours, theirs).columns
    here, there = np.flatnonzero(columns >= 0), columns[columns >= 0]
    one, two = (side.loadings.to_numpy(dtype=np.float64) for side in (mine, other))
    only_here, only_there = np.flatnonzero(columns < 0), np.setdiff1d(np.arange(len(two)), there)
    parts = [(one[here], two[there])]
    if other.listed:
        parts.append((one[only_here], np.zeros((len(only_here), two.shape[1]))))
    if mine.listed:
        parts.append((np.zeros((len(only_there), one.shape[1])), two[only_there]))
    if not len(here) or sum(len(part) for part, _ in parts) < FEWEST:
        msg = (
            f"the two sides have {counted(len(here), 'gene')} in common ({listed(ours[0], 3)}; "
            f"{listed(theirs[0], 3)}), too few to compare programmes ({FEWEST}). Name the genes alike on both "
            "sides, such as by symbols."
        )
        raise ValueError(msg)
    return np.vstack([part for part, _ in parts]), np.vstack([part for _, part in parts]), len(here)
