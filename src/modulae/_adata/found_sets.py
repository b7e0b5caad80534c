"""Which gene sets can be used: how much of each the data have, how much the model, and what is said of the others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._genes.explain_names import explain_mismatch
from modulae._genes.gene_sets import found_sets, genes_in_data, read_gene_sets
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed, verb
from modulae.core.checks import check_integer, check_number

from .features import of_their_kind
from .gene_names import gene_names

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

MIN_GENES = 3
"""Genes in the model. p-values hold for random sets of 3 genes; the shipped signatures have 4 or more in pbmc68k."""

MIN_SHARE = 0.1
"""Share of a set's genes in the data. Data with all genes have a quarter or more of every set of Hallmark and DMAP, the
2000 most variable genes a tenth of most; of human Hallmark in mouse symbols, 7 % at most is spelt alike."""

FEW = 0.25
"""A model with a smaller share of a set's genes than this says little of the set; 3000 variable genes have a quarter or
more of two Hallmark sets in three."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a set must be, and may be."""

    min_genes: int = MIN_GENES
    min_share: float = MIN_SHARE
    max_genes: int | None = None
    fewest: int = 1  # that a test can do with

    def check(self) -> None:
        """Refuse numbers that make no sense."""
        check_integer("min_genes", self.min_genes, minimum=self.fewest)
        if self.max_genes is not None:
            check_integer("max_genes", self.max_genes, minimum=self.min_genes)
        give = f"a share from 0 (however few are found) to 1 (all), such as {MIN_SHARE}"
        check_number("min_share", self.min_share, minimum=0, maximum=1, give=give)

    def most(self, n_genes: int) -> int:
        """Genes of a set at most, of a model of so many; a set of them all has none to be tested against."""
        return min(n_genes - (self.fewest > 1), n_genes if self.max_genes is None else self.max_genes)


@dataclass(frozen=True, slots=True)
class FoundSets:
    """The sets to use: positions of their genes in the model; and the names of the others."""

    sets: dict[str, NDArray[np.intp]]
    share: NDArray[np.float64]  # sets: share of the set's genes that the data have
    left_out: list[str]
    bounds: Bounds
    warning: str  # empty where there is nothing to say

    @property
    def positions(self) -> list[NDArray[np.intp]]:
        """Genes of each set, as positions in the model."""
        return list(self.sets.values())

    def warn(self) -> None:
        """Say which sets are left out, and what is written in another way than in the data."""
        if self.warning:
            warnings.warn(self.warning, UserWarning, stacklevel=user_stacklevel())

    def stored(self) -> dict[str, Any]:
        """What every result says of its sets."""
        return {
            "min_genes": self.bounds.min_genes,
            "min_share": self.bounds.min_share,
            "sets": np.array(list(self.sets), dtype=object),
            "n_genes": np.array([len(genes) for genes in self.sets.values()]),
            "share_found": self.share,
            "left_out": np.array(self.left_out, dtype=object),
        }


def tested_sizes(min_genes: int, min_share: float, max_genes: int | None) -> Bounds:
    """Of sets that are tested against other genes: two or more of their own, and not all."""
    return Bounds(min_genes, min_share, max_genes, fewest=2)


def match_sets(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | os.PathLike[str],
    genes: NDArray[np.str_],
    bounds: Bounds,
) -> FoundSets:
    """:func:`find_sets`, and warn the user."""
    result = find_sets(adata, read_gene_sets(gene_sets), genes, bounds)
    result.warn()
    return result


def find_sets(adata: AnnData, sets: Mapping[str, Sequence[str]], genes: NDArray[np.str_], bounds: Bounds) -> FoundSets:
    """Match sets to the genes of the data and the model, and leave out those of which too little is there.

    The share is that of the data: genes that the model was not trained on were left out on purpose, and say nothing of
    how the names fit. The number is that of the model: it is what a result is made of.

    Raises
    ------
    ValueError
        Bounds that make no sense, or no set is left.
    """
    bounds.check()
    columns = adata.var_names.get_indexer(genes) if adata.var_names.is_unique else np.arange(0)
    names = gene_names(adata)[of_their_kind(adata, columns[columns >= 0])].tolist()
    found_sets(sets, names)  # refuses sets of which the data have no gene
    in_data = {name: len(index) for name, index in genes_in_data(sets, names).items()}
    places = genes_in_data(sets, [str(gene) for gene in genes])
    in_model = {name: len(index) for name, index in places.items()}
    share = {name: n / len(sets[name]) for name, n in in_data.items()}
    most = bounds.most(len(genes))

    poor = {name: in_data[name] for name in sets if share[name] < bounds.min_share}
    small = {name: n for name, n in in_model.items() if name not in poor and n < bounds.min_genes}
    large = {name: n for name, n in in_model.items() if name not in poor and n > most}
    gone = poor | small | large
    left_out = [name for name in sets if name in gone]
    why = {
        f"less than {bounds.min_share:.0%} of their genes in adata (min_share=)": poor,
        f"fewer than {bounds.min_genes} genes in the model (min_genes=)": small,
        f"more than {most} genes in the model (max_genes=)": large,
    }
    said = "; ".join(f"{len(some)} with {what}: {_counted(some, sets)}" for what, some in why.items() if some)
    reason = explain_mismatch(sets, names)
    if len(left_out) == len(sets):
        msg = f"none of the {counted(len(sets), 'gene set')} is left: {said}. {reason or _step(poor, small, large)}"
        raise ValueError(msg)
    warning = ""
    if reason or poor or small or 2 * len(large) > len(sets):
        what = f"{len(left_out)} of {len(sets)} gene sets {verb(len(left_out))} left out: {said}. " if left_out else ""
        warning = what + (reason or _step(poor, small, large))
    thin = {name: n for name, n in in_model.items() if name not in gone and n < FEW * in_data[name]}
    if thin:
        warning = f"{warning} {_thin(thin, in_data, len(sets))}".lstrip()
    kept = {name: places[name] for name in sets if name not in gone}
    return FoundSets(kept, np.array([share[name] for name in kept]), left_out, bounds, warning)


def _counted(some: Mapping[str, int], sets: Mapping[str, Sequence[str]]) -> str:
    return listed(f"{name} ({n} of {len(sets[name])})" for name, n in some.items())


def _thin(thin: Mapping[str, int], in_data: Mapping[str, int], n_sets: int) -> str:
    """What to know of sets that lost most of their genes to the mask."""
    worst = sorted(thin, key=lambda name: thin[name] / in_data[name])
    return (
        f"The model has less than {FEW:.0%} of the genes that adata has of {len(thin)} of {n_sets} gene sets: "
        f"{listed(f'{name} ({thin[name]} of {in_data[name]})' for name in worst)}. It says little of these, and "
        "may miss them. A model trained on all genes, without mask_var=, tests them in full."
    )


def _step(poor: Mapping[str, int], small: Mapping[str, int], large: Mapping[str, int]) -> str:
    """What to do where the names are not to blame."""
    steps = [
        "lower min_share=, or use data with all genes" if poor else "",
        "lower min_genes=, or train on more of their genes, or all: leave out mask_var=" if small else "",
        "raise max_genes=, or train on more genes" if large else "",
    ]
    return f"To use them, {'; '.join(step for step in steps if step)}."
