"""Who is compared with whom: columns read and checked, before any number is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.columns.columns import obs_column, refuse_several
from modulae._adata.columns.groups import REST, contrasts, say_left_out
from modulae._adata.columns.labels import read_labels
from modulae._utils.reach import warn_out_of_reach
from modulae._utils.text import counted, listed
from modulae.core.statistics.differences.compare import Comparisons, Labels, Parts, plan_comparisons
from modulae.core.statistics.differences.moments import moments_of
from modulae.core.statistics.differences.ranks import smallest_rank_p
from modulae.tl._pathway_impact.plan import codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast

ALL_CELLS = "all cells"
LEAST_CELLS = 2
"""On a side: one cell has no variance."""
DONOR = re.compile(r"\(\s*1\s*\|\s*(.+?)\s*\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user has asked for."""

    groupby: str
    groups: Sequence[str] | None
    reference: str
    within: str | None
    donor_key: str | None
    covariates: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be compared."""

    labels: Labels
    parts: Parts
    comparisons: Comparisons
    categories: list[str]
    groups: list[str]
    reference: str

    @property
    def left_out(self) -> list[str]:
        """What is not compared, and why, in words."""
        return [
            f"{self.groups[group]!r} in {self.categories[category]!r} ({why})"
            for category, group, why in self.comparisons.left_out
        ]

    @property
    def compared(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Category and group of each comparison, as numbers."""
        return np.array(self.comparisons.categories, dtype=np.intp), np.array(self.comparisons.groups, dtype=np.intp)

    def n_cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Cells on both sides of each comparison."""
        nothing = np.zeros((len(self.labels.groups), 0))
        cells = moments_of(nothing, self.parts.of_cells, len(self.parts))
        own, reference = (side.n.astype(np.intp) for side in self.parts.all_sides(cells, *self.compared))
        return own, reference


def read_design(
    design: str | Sequence[str] | None, groupby: str, donor_key: str | None, columns: Sequence[str]
) -> tuple[list[str], str | None]:
    """Covariates and the column of donors, from a list of columns or from a formula.

    Raises
    ------
    ValueError, TypeError
        What is no sum of columns; two columns of donors; covariates without donors.
    """
    refuse_several(donor_key, "donor_key")
    terms = _terms(design)
    donors = [found.group(1) for term in terms if (found := DONOR.fullmatch(term))]
    covariates = [term for term in terms if not DONOR.fullmatch(term) and term not in {"1", groupby}]
    unknown = [term for term in covariates if term not in columns and re.search(r"[*:^|()~-]|^0$", term)]
    if unknown:
        msg = (
            f"design={design!r} has {unknown[0]!r}: a design is a sum of columns of adata.obs, and (1|donor) for the "
            f"donors. Write for example design='~ {groupby} + age + (1|donor)', or a list of columns: design=['age']."
        )
        raise ValueError(msg)
    named = list(dict.fromkeys([*donors, *([] if donor_key is None else [donor_key])]))
    if len(named) > 1:
        msg = f"design= and donor_key= name several columns of donors: {named}. Name one of them."
        raise ValueError(msg)
    if covariates and not named:
        msg = (
            "the covariates of design= are those of donors, and no column names these. Name it: "
            "donor_key=, or (1|donor) in the design."
        )
        raise ValueError(msg)
    return list(dict.fromkeys(covariates)), named[0] if named else None


def _terms(design: str | Sequence[str] | None) -> list[str]:
    if design is None:
        return []
    if not isinstance(design, Iterable):
        msg = f"design is {design!r}; give a list of columns, design=['age'], or a formula."
        raise TypeError(msg)
    if not isinstance(design, str):
        return [str(term) for term in design]
    return [term.strip() for term in design.strip().removeprefix("~").split("+") if term.strip()]


def make_plan(adata: AnnData, asked: Asked, *, min_cells: int) -> Plan:
    """Read the columns, and find what can be compared.

    Raises
    ------
    KeyError, ValueError
        Unknown columns or groups, one column in two roles, missing covariates; or nothing can be compared.
    """
    roles = [asked.groupby, *filter(None, (asked.within, asked.donor_key)), *asked.covariates]
    twice = next((name for name in roles if roles.count(name) > 1), None)
    if twice is not None:
        msg = f"the column {twice!r} is named twice, among groupby=, within=, donor_key= and design=. Name others."
        raise ValueError(msg)
    groups = read_labels(adata, asked.groupby, "groupby", what="groups", most_numbers=None)
    contrast = _contrast(groups.names, asked)
    within = None if asked.within is None else read_labels(adata, asked.within, "within", what="categories")
    donors = None if asked.donor_key is None else codes(adata, asked.donor_key, "donor_key")
    labels = Labels(
        np.zeros(adata.n_obs, dtype=np.intp) if within is None else within.codes,
        groups.codes,
        donors,
        np.column_stack([np.zeros((adata.n_obs, 0)), *(_covariate(adata, name) for name in asked.covariates)]),
        None if contrast.reference == REST else groups.names.index(contrast.reference),
    )
    parts = Parts(labels)
    wanted = [groups.names.index(name) for name in contrast.groups]
    comparisons = plan_comparisons(labels, parts, wanted, min_cells=min_cells)
    categories = [ALL_CELLS] if within is None else within.names
    plan = Plan(labels, parts, comparisons, categories, groups.names, contrast.reference)
    if not comparisons.groups:
        why = "; ".join(filter(None, (listed(plan.left_out, 3), _unlabelled(labels, asked))))
        msg = f"nothing can be compared: {why}. {_what_helps(plan, some=False)}"
        raise ValueError(msg)
    few_cells = any(why.endswith(" cells") for _, _, why in comparisons.left_out)
    limit = f" (min_cells={min_cells})" if few_cells else ""
    why = f"a side is missing or too small{limit}"
    say_left_out(plan.left_out, "left_out", why=why, helps=_what_helps(plan, some=True))
    if donors is None:
        smallest = float(smallest_rank_p(*plan.n_cells()).min())
        merge = "Merge groups, or categories of within=." if within is not None else "Merge groups."
        warn_out_of_reach(smallest, why="no comparison has more than a few cells", instead=merge)
    return plan


def _contrast(names: list[str], asked: Asked) -> Contrast:
    """The groups that are compared; each stands for its cells."""
    chosen = None if isinstance(asked.groups, str) and asked.groups == "all" else asked.groups
    return contrasts(
        names, np.eye(len(names), dtype=bool), groups=chosen, reference=asked.reference, groupby=asked.groupby
    )


def _covariate(adata: AnnData, name: str) -> NDArray[np.float64]:
    """Cells × columns: a number as it is, of a label who has which but for the first."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    column = obs_column(adata, name, "design")
    are_numbers = is_numeric_dtype(column) and not is_bool_dtype(column)
    absent = column.isna() | column.isin([np.inf, -np.inf]) if are_numbers else column.isna()
    if absent.any():
        known = f"adata.obs[{name!r}]"
        known = f"np.isfinite({known})" if np.isinf(column[absent].astype(float)).any() else f"{known}.notna()"
        msg = (
            f"adata.obs[{name!r}], a covariate of design=, is missing or infinite for "
            f"{counted(int(absent.sum()), 'cell')}. Leave out what is missing: `adata = adata[{known}].copy()`."
        )
        raise ValueError(msg)
    if are_numbers:
        numbers = column.to_numpy(dtype=np.float64)
        spread = numbers.std()
        return np.asarray((numbers - numbers.mean()) / (spread if spread > 0 else 1.0))[:, None]
    labels = read_labels(adata, name, "design", what="covariates")
    return np.asarray(labels.codes[:, None] == np.arange(1, len(labels.names)), dtype=np.float64)


def _unlabelled(labels: Labels, asked: Asked) -> str:
    """The columns that leave cells out, in words; empty where none does."""
    columns = ((asked.groupby, labels.groups), (asked.within, labels.categories), (asked.donor_key, labels.donors))
    some = [
        f"{column!r} for {np.count_nonzero(codes < 0)}"
        for column, codes in columns
        if codes is not None and (codes < 0).any()
    ]
    return f"of {len(labels.groups)} cells a label is missing in {listed(some)}, which take no part" if some else ""


def _what_helps(plan: Plan, *, some: bool) -> str:
    """The next step where nothing, or only some, is compared: what it is that is too few."""
    reasons = [why for _, _, why in plan.comparisons.left_out]
    helps = []
    if any("covariates" in why or "coefficients" in why for why in reasons):
        helps.append("Leave covariates out of design=.")
    if any("a side needs" in why for why in reasons):
        helps.append(
            "One donor on a side cannot show what holds for people. Add donors; or leave out donor_key= to compare "
            "cells, whose p says nothing of other donors."
        )
    if some and any(why.endswith(" cells") for why in reasons):
        helps.append("To compare groups of fewer cells, lower min_cells=.")
    elif any(why.endswith(" cells") for why in reasons) or not helps:
        most = plan.comparisons.most_cells
        lower = f"Lower min_cells to {most} (min_cells={most}), or name" if most >= LEAST_CELLS else "Name"
        helps.append(f"{lower} other columns in groupby=, within= or donor_key=.")
    return " ".join(helps)
