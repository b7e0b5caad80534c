"""Which groups of cells are compared with which others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed

from .columns import refuse_several
from .labels import read_labels, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

REST = "rest"


@dataclass(frozen=True, slots=True)
class Contrast:
    """Groups and what each is compared with."""

    groups: list[str]
    references: list[str]  # as long as groups
    members: NDArray[np.bool_]  # groups × cells
    reference_members: NDArray[np.bool_]  # groups × cells
    reference: str  # as asked for

    def of(self, kept: NDArray[np.bool_]) -> Contrast:
        """Some of the comparisons."""
        groups, references = (
            [name for name, yes in zip(names, kept, strict=True) if yes] for names in (self.groups, self.references)
        )
        return Contrast(groups, references, self.members[kept], self.reference_members[kept], self.reference)


def membership(adata: AnnData, groupby: str) -> tuple[list[str], NDArray[np.bool_]]:
    """Groups of an `obs` column in the order of its categories, and groups × cells, who is in which.

    Cells without a label are in no group; categories without cells are left out.

    Raises
    ------
    KeyError, ValueError
        As :func:`modulae._adata.columns.labels.read_labels`.
    """
    labels = read_labels(adata, groupby, "groupby", what="groups")
    return labels.names, labels.members


def plan_groups(
    adata: AnnData, groupby: str | None, *, groups: Sequence[str] | None, reference: str | None
) -> Contrast | None:
    """Plan the comparisons that were asked for; `None` where no groups are compared.

    `reference` is `None` where nothing but all other cells can be it: then a group may be called "rest".

    Raises
    ------
    KeyError, ValueError
        As :func:`membership` and :func:`contrasts`; or groups are chosen of no column.
    """
    if groupby is None:
        if groups is not None or (reference is not None and written(reference) != REST):
            msg = "groups= and reference= choose among the groups of a column. Name it: groupby=."
            raise ValueError(msg)
        return None
    return contrasts(*membership(adata, groupby), groups=groups, reference=reference, groupby=groupby)


def contrasts(
    names: list[str],
    members: NDArray[np.bool_],
    *,
    groups: Sequence[str] | None,
    reference: str | None,
    groupby: str,
) -> Contrast:
    """Plan the comparisons of `groups` (all if `None`) with the rest of the labelled cells or one other group.

    `reference` is "rest" or a group; `None` where nothing but the rest can be it. `groupby` is named in messages.

    Raises
    ------
    KeyError
        A group that does not exist.
    ValueError
        Nothing to compare with.
    """
    if isinstance(groups, str):
        msg = f"groups is the text {groups!r}; give a list of names: groups=[{groups!r}]."
        raise TypeError(msg)
    refuse_several(reference, "reference", what="group")
    only_rest, reference = reference is None, REST if reference is None else written(reference)
    given = names if groups is None else list(dict.fromkeys(map(written, groups)))  # each is tested once
    if not given and names:
        msg = f"groups is empty, so there is nothing to compare. Choose from {names}, or leave it out."
        raise ValueError(msg)
    wanted = [name for name in given if name != reference or only_rest] if groups is None else given
    unknown = [group for group in (*wanted, *([] if reference == REST else [reference])) if group not in names]
    if unknown:
        msg = f"there is no group {unknown[0]!r}. Choose from {names}" + (
            ", or reference='rest'." if groups is None else "."
        )
        raise KeyError(msg)
    if reference == REST and REST in names and not only_rest:
        column = f"adata.obs[{groupby!r}]"
        msg = (
            f"a group of {column} is itself called 'rest', so reference='rest' has two meanings: that group, and all "
            "other cells. Name another group, reference=; or rename this one: "
            f"`{column} = {column}.astype(str).replace('rest', 'the rest')`."
        )
        raise ValueError(msg)
    if reference in wanted and not only_rest:
        msg = f"group {reference!r} cannot be compared with itself. Leave it out of groups=."
        raise ValueError(msg)
    if len(names) < 2 or not wanted:
        msg = (
            f"there is nothing to compare: the groups with cells are {names}. Choose a column with two groups or more."
        )
        raise ValueError(msg)
    rows = np.array([members[names.index(group)] for group in wanted])
    labelled = members.any(axis=0)
    against = labelled & ~rows if reference == REST else np.repeat(members[[names.index(reference)]], len(rows), axis=0)
    return Contrast(wanted, [reference] * len(wanted), rows, against, reference)


def large_enough(plan: Contrast | None, min_cells: int) -> tuple[Contrast | None, NDArray[np.object_]]:
    """The comparisons with so many cells on both sides; and what is left out, in words, of which a warning speaks.

    Raises
    ------
    ValueError
        None is left.
    """
    if plan is None:
        return plan, np.array([], dtype=object)
    n, n_reference = plan.members.sum(axis=1), plan.reference_members.sum(axis=1)
    kept = np.minimum(n, n_reference) >= min_cells
    left_out = [
        f"{group!r} ({own} and {others} cells)"
        for group, own, others, enough in zip(plan.groups, n, n_reference, kept, strict=True)
        if not enough
    ]
    if not kept.any():
        msg = (
            f"nothing can be compared, as a side has fewer than min_cells={min_cells} cells: {listed(left_out, 3)}. "
            f"Merge groups, or lower it: min_cells={int(np.minimum(n, n_reference).max())}."
        )
        raise ValueError(msg)
    why = f"a side is too small (min_cells={min_cells})"
    say_left_out(left_out, "groups_left_out", why=why, helps="To compare them, lower min_cells=.")
    return plan.of(kept), np.array(left_out, dtype=object)


def say_left_out(left_out: list[str], field: str, *, why: str, helps: str) -> None:
    """Warn of comparisons that are not made, which `field` of the result has."""
    if left_out:
        warnings.warn(
            f"left out, as {why}: {listed(left_out)}. {helps} adata.uns has all that is left out, in the entry of this "
            f"result, under {field!r}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
