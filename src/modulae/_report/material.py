"""What the page is made of: the tables of `get`, and those that are missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae import get
from modulae._adata.columns.groups import membership
from modulae._adata.columns.labels import read_labels
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.layouts import placed, read_layout
from modulae._adata.stored.models import model_entry, read_model
from modulae._adata.stored.results import CALLS, ENRICHMENT, UNITS
from modulae._counts.layers import matrix_of
from modulae._model_io.model_file import model_fingerprint
from modulae._utils.text import choose
from modulae.core.scores.gene_ranking import gene_scores
from modulae.core.scores.impact import aggregate_sets
from modulae.core.statistics.calls.shares import shares_on
from modulae.core.statistics.group_pairs import GroupActivity
from modulae.pl._draw.palette import category_colours
from modulae.tl._unit_summary.table import sets_of_units

from .missing import Workplace, enrich, lay_out, layouts, read_saliency, sets_of, summarise
from .ranks import ranked_columns, read_rankings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from .ranks import Ranking

MAX_GROUPS = 100
"""Groups of a column that can still be picked from a list and told apart."""


@dataclass(frozen=True, slots=True)
class Column:
    """An `obs` column with groups of cells."""

    name: str
    groups: list[str]
    codes: NDArray[np.intp]  # cells; −1 where there is no label
    colours: list[str]
    activity: GroupActivity
    on: NDArray[np.float64] | None  # groups × units: share of the decided cells in which the unit is on, where called
    set_saliency: NDArray[np.float64] | None  # groups × sets × units
    tested: pd.DataFrame | None  # the stored comparison of groups, if it was tested


@dataclass(frozen=True, slots=True)
class Material:
    """Tables and arrays. Units are in the order of the model, but in `units` the largest effect is first."""

    key: str
    model: str  # its fingerprint
    parts: bool
    cells: pd.Index  # their names
    units: pd.DataFrame  # `get.unit_summary`
    caveat_above: float
    activity: NDArray[np.float32]  # cells × units
    saliency: pd.DataFrame  # genes of the model × units
    loadings: pd.DataFrame  # genes of the model × units
    scores: NDArray[np.float64]  # the same: by what genes are ranked
    sets: list[str]
    left_out: list[str]  # sets of which too little is there
    enrichment: pd.DataFrame | None
    layout: NDArray[np.float64]  # cells × 2; not finite for those without a place
    layout_name: str
    columns: list[Column]
    rankings: list[Ranking]
    replication: pd.DataFrame | None
    sanity: pd.DataFrame | None
    sanity_units: pd.DataFrame | None
    ran: list[str]  # what was not there and was worked out

    @property
    def placed(self) -> NDArray[np.intp]:
        """Cells that have a place in the layout."""
        return np.flatnonzero(placed(self.layout))


def check(
    adata: AnnData, *, key: str, groupby: str | Sequence[str] | None, basis: str | None, layer: str | None
) -> list[str]:
    """Refuse what can't be read, before any work; gives the columns to show."""
    model_entry(adata, key)
    get.representation(adata, key=key)
    matrix_of(adata, layer)
    if basis is not None and (basis not in adata.obsm or np.shape(adata.obsm[basis])[1:] < (2,)):
        available = [name for name, values in adata.obsm.items() if np.ndim(values) == 2 and np.shape(values)[1] >= 2]
        msg = f"basis={basis!r} is no layout in adata.obsm. {choose(available, 'give None for a UMAP')}"
        raise KeyError(msg)
    for layout in layouts(adata, key, basis)[:1]:
        read_layout(adata, layout)
    names = [groupby] if isinstance(groupby, str) else groupby
    if names is None:
        stored = adata.uns.get(Fields(key).units, {}).get("groupby")
        names = [] if stored is None or str(stored) not in adata.obs else [str(stored)]
        names += ranked_columns(adata, key, most=MAX_GROUPS)
    for name in names:
        n_groups = len(membership(adata, name)[0])
        if not 1 <= n_groups <= MAX_GROUPS:
            msg = (
                f"adata.obs[{name!r}] has {n_groups} groups with cells; the page shows 1 to {MAX_GROUPS}. "
                "Choose another column: groupby=."
            )
            raise ValueError(msg)
    return list(dict.fromkeys(names))


def gather(
    work: Workplace, gene_sets: Mapping[str, Sequence[str]] | None, names: list[str], basis: str | None
) -> Material:
    """Run what is missing on the copy, and read everything."""
    adata, fields = work.adata, work.fields
    enrich(work, gene_sets)
    summarise(work, names[0] if names else None)
    read_saliency(work)
    layout_name = lay_out(work, basis)
    checked = fields.sanity in adata.uns
    tested = fields.enrichment in adata.uns
    sets = sets_of(work) if tested else {}
    genes = adata.uns[work.key]["model"]["genes"]
    loadings = get.loadings(adata, key=work.key).loc[genes]
    return Material(
        key=work.key,
        model=model_fingerprint(read_model(adata, work.key)),
        parts=str(adata.uns[work.key]["model"]["architecture"]) == "parts",
        cells=adata.obs_names,
        units=_units(work, tested=tested),
        caveat_above=float(UNITS.find(adata, key=work.key).entry["caveat_above"]),
        activity=get.representation(adata, key=work.key).to_numpy(),
        saliency=get.saliency(adata, key=work.key).loc[genes],
        loadings=loadings,
        scores=gene_scores(loadings.to_numpy()),
        sets=list(sets),
        left_out=[str(name) for name in ENRICHMENT.find(adata, key=work.key).entry["left_out"]] if tested else [],
        enrichment=get.enrichment(adata, key=work.key) if tested else None,
        layout=read_layout(adata, layout_name).astype(np.float64),
        layout_name=layout_name,
        columns=[_column(work, name, list(sets.values())) for name in names],
        rankings=read_rankings(adata, work.key, loadings.shape[1]),
        replication=get.replication(adata, key=work.key) if "replication" in adata.uns[work.key] else None,
        sanity=get.sanity(adata, key=work.key) if checked else None,
        sanity_units=get.sanity(adata, key=work.key, table="units") if checked else None,
        ran=work.ran,
    )


def _units(work: Workplace, *, tested: bool) -> pd.DataFrame:
    """The summary, with the sets of the enrichment that the page shows: the summary may be older."""
    table = get.unit_summary(work.adata, key=work.key)
    if tested:
        entry = ENRICHMENT.find(work.adata, key=work.key).entry
        silent = (table["dead"] | table["below_level"]).to_numpy()
        for name, values in sets_of_units(entry, len(table)).items():
            shown = pd.Series(values[table.index.astype(int)], index=table.index)
            table[name] = shown.where(~silent & (shown != ""), np.nan)
    return table


def _column(work: Workplace, name: str, sets: list[NDArray[np.intp]]) -> Column:
    groups, members = membership(work.adata, name)
    units = get.representation(work.adata, key=work.key).to_numpy()
    set_saliency = None
    if sets and len(groups) > 1:
        stored = read_saliency(work, name)
        genes = work.adata.uns[work.key]["model"]["genes"]
        by_group = [
            get.saliency(work.adata, key=work.key, result=stored, group=group).loc[genes].to_numpy() for group in groups
        ]
        set_saliency = aggregate_sets(np.stack(by_group), sets)
    codes = np.where(members.any(axis=0), members.argmax(axis=0), -1)
    return Column(
        name,
        groups,
        codes,
        _colours(work.adata, name, groups),
        GroupActivity.of(units, members),
        _shares_on(work, members),
        set_saliency,
        _tested(work, name),
    )


def _shares_on(work: Workplace, members: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Groups × units, from the stored calls of this model."""
    if work.fields.on not in CALLS.of_model(work.adata, work.key):
        return None
    called = CALLS.find(work.adata, key=work.key)
    fields = called.name, Fields.callable(called.name)
    on, known = (members.astype(np.float32) @ np.asarray(work.adata.obsm[name], dtype=np.float32) for name in fields)
    return shares_on(on, known, members.sum(axis=1)[:, None])


def _colours(adata: AnnData, name: str, groups: list[str]) -> list[str]:
    """Colours of the groups that have cells: those scanpy has stored count for all categories."""
    every = read_labels(adata, name, "groupby", what="groups", unused=True).names
    by_name = dict(zip(every, category_colours(adata, name, len(every)), strict=True))
    return [by_name[group][:7] for group in groups]


def _tested(work: Workplace, name: str) -> pd.DataFrame | None:
    """The stored comparison of these groups with p and q, if it is of the same kind as the page's own."""
    result = work.fields.impact(name)
    entry = work.adata.uns.get(result)
    if not isinstance(entry, dict) or "statistics" not in entry or entry.get("donor_key"):
        return None
    alike = {"of_model": work.key, "method": "gradient", "aggregate": "mean", "difference": "activity"}
    if any(str(entry.get(field)) != value for field, value in alike.items()) or not entry["signed"]:
        return None
    return get.impact_table(work.adata, key=work.key, result=result)
