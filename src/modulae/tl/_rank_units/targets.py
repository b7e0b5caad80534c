"""Genes that a group has lost: units read without them, and guides of one gene held against each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.labels import read_labels, written
from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.stored.models import read_model
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.array_backend import to_numpy
from modulae.core.model.config import KNOWN_GENES
from modulae.core.statistics.differences.compare import Reread, cells_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.model.network import Network

    from .plan import Plan

GIVE = "Give the genes of each group: target_genes={'guide': 'GENE', 'other guide': ['GENE', 'OTHER']}."

MOST = 0.9
"""Share of a cell's count that the genes may have, for its total without them to mean anything."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is needed to read the units without the genes of a group.

    The first layer is linear in x = log1p(count / size factor), so that what it reads of a gene can be taken away.
    Where the size factor is made of the total count, the genes are taken out of that too, as all others would seem
    to change otherwise: to first order in the logarithm of the size factor, of which x has the slope −(1 − exp(−x)).
    """

    genes: list[tuple[str, ...]]  # comparisons: the genes, none where there are none
    network: Network
    places: dict[str, int]  # genes that the model reads, and which column of `inputs` they are
    weights: NDArray[Any]  # sums × those genes
    inputs: sparse.csc_matrix  # cells × those genes
    sums: NDArray[Any]  # cells × what the first layer makes of all genes
    slopes: NDArray[Any]  # the same of 1 − exp(−x)
    total: float | None  # count of a cell of size factor 1; `None` where size factors are not made of totals
    units: NDArray[np.float32]  # cells × units, read from them

    def reread(self, plan: Plan) -> Iterator[Reread]:
        """The comparisons of the same genes, with the units of their cells in which any of these was counted."""
        for genes in dict.fromkeys(self.genes):
            columns = [self.places[gene] for gene in genes if gene in self.places]
            if not columns:
                continue
            comparisons = np.array([at for at, own in enumerate(self.genes) if own == genes], dtype=np.intp)
            cells = cells_of(plan.labels, plan.comparisons, comparisons)
            inputs = self.inputs[:, columns].toarray()[cells]
            counted = np.flatnonzero(inputs.any(axis=1))
            cells, inputs = cells[counted], inputs[counted]
            weights = self.weights[:, columns].T
            without = self.sums[cells] - inputs @ weights
            if self.total is not None:
                share = np.minimum(np.expm1(inputs).sum(axis=1, keepdims=True) / self.total, MOST)
                without -= np.log1p(-share) * (self.slopes[cells] + np.expm1(-inputs) @ weights)
            yield Reread(comparisons, cells, _units(self.network, without))

    @property
    def names(self) -> list[str]:
        """Comparisons: the genes in words."""
        return [", ".join(genes) for genes in self.genes]


def read_targets(
    adata: AnnData, plan: Plan, groupby: str, given: Mapping[str, str | Sequence[str]] | str, key: str
) -> Targets:
    """The genes of each comparison, and what the model reads of these.

    Raises
    ------
    KeyError, ValueError, TypeError
        No such column or group; several genes in a group; or the model reads none of the genes.
    """
    by_group = _genes_by_group(adata, groupby, given)
    _check_names(by_group, plan, groupby)
    genes = [by_group.get(plan.groups[group], ()) for group in plan.comparisons.groups]
    fitted = read_model(adata, key)
    known = {str(name): at for at, name in enumerate(fitted.genes)}
    named = list(dict.fromkeys(chain.from_iterable(genes)))
    read = [gene for gene in named if gene in known]
    if not read:
        what = f"of the genes {listed(named)} the model reads none" if named else "no group that is compared has a gene"
        example = f"{{{plan.groups[plan.comparisons.groups[0]]!r}: {str(fitted.genes[0])!r}}}"
        msg = (
            f"target_genes= changes nothing: {what}. Leave it out, or name genes as the model does, such as "
            f"target_genes={example}."
        )
        raise ValueError(msg)
    from scipy import sparse

    cells = read_cells(adata, fitted, layer=counts_layer(adata, key, None))
    network, columns = fitted.network, np.array([known[gene] for gene in read])
    weights = to_numpy(network.input_weights)
    of_totals = fitted.config.size_factors in {"total", KNOWN_GENES}
    inputs, sums, slopes = [], [], []
    for part in cells.portions():
        whole = part.sparse_inputs()
        inputs.append(whole[:, columns])
        sums.append(np.asarray(whole @ weights.T))
        slopes.append(np.asarray(-(-whole).expm1() @ weights.T) if of_totals else np.empty((0, 0)))
    every = np.concatenate(sums)
    return Targets(
        genes=genes,
        network=network,
        places={gene: at for at, gene in enumerate(read)},
        weights=weights[:, columns],
        inputs=sparse.vstack(inputs).tocsc(),
        sums=every,
        slopes=np.concatenate(slopes),
        total=float(fitted.size_factor_unit) if of_totals else None,
        units=_units(network, every),
    )


def guides(genes: list[str], categories: NDArray[np.intp], statistics: dict[str, Any]) -> dict[str, Any]:
    """Comparisons: guides of the same gene in the same category. And comparisons × units: how many of them agree.

    A guide agrees if its effect has the same sign, and its confidence interval is clear of 0.
    """
    clear = np.sign(statistics["effect"]) * ((statistics["ci_low"] > 0) | (statistics["ci_high"] < 0))
    number, agreeing = np.zeros(len(genes), dtype=np.intp), np.full(clear.shape, np.nan)
    pairs = list(zip(genes, categories.tolist(), strict=True))
    for pair in dict.fromkeys(pair for pair in pairs if pair[0]):
        same = np.array([at for at, one in enumerate(pairs) if one == pair])
        number[same] = len(same)
        for at in same:
            agreeing[at] = (clear[same] == np.sign(statistics["effect"][at])).sum(axis=0)
    return {"n_guides": number, "n_guides_agreeing": agreeing}


def _genes_by_group(
    adata: AnnData, groupby: str, given: Mapping[str, str | Sequence[str]] | str
) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, str):
        return _of_mapping(given)
    groups, genes = (
        read_labels(adata, name, argument, what=what, most_numbers=None)
        for name, argument, what in ((groupby, "groupby", "groups"), (given, "target_genes", "genes"))
    )
    pairs = np.unique(np.column_stack([groups.codes, genes.codes])[(groups.codes >= 0) & (genes.codes >= 0)], axis=0)
    several = np.flatnonzero(np.bincount(pairs[:, 0], minlength=1) > 1)
    if len(several):
        names = [genes.names[gene] for group, gene in pairs if group == several[0]]
        msg = (
            f"the cells of group {groups.names[several[0]]!r} have several genes in adata.obs[{given!r}]: "
            f"{listed(names)}. {GIVE}"
        )
        raise ValueError(msg)
    return {groups.names[group]: (genes.names[gene],) for group, gene in pairs}


def _of_mapping(given: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The mapping as text, without groups that have no gene."""
    if not hasattr(given, "items"):
        msg = f"target_genes is {given!r}, not a mapping from groups to genes. {GIVE}"
        raise TypeError(msg)
    lists = {group: [genes] if np.ndim(genes) == 0 else list(genes) for group, genes in given.items()}
    texts = {group: [gene for gene in genes if isinstance(gene, str)] for group, genes in lists.items()}
    return {written(group): tuple(sorted(set(genes))) for group, genes in texts.items() if genes}


def _check_names(by_group: dict[str, tuple[str, ...]], plan: Plan, groupby: str) -> None:
    """Refuse genes of groups that are not there, and warn where these may be misspelt."""
    unknown = [group for group in by_group if group not in plan.groups]
    if by_group and len(unknown) == len(by_group):
        msg = (
            f"target_genes= names no group of adata.obs[{groupby!r}], but {listed(unknown)}. Choose from "
            f"{listed(map(repr, plan.groups))}."
        )
        raise KeyError(msg)
    compared = list(dict.fromkeys(plan.groups[group] for group in plan.comparisons.groups))
    without = [group for group in compared if group not in by_group]
    if unknown and without:
        warnings.warn(
            f"target_genes= names {listed(unknown)}, which adata.obs[{groupby!r}] does not have, and no gene for "
            f"{listed(without)}, whose units are read with all genes. Write the names as the column has them.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def _units(network: Network, sums: NDArray[Any]) -> NDArray[np.float32]:
    each = [to_numpy(network.unit_from_preactivation(sums, unit)) for unit in range(network.n_units)]
    return np.stack(each, axis=1).astype(np.float32)
