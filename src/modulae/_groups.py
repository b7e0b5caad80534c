"""Which groups of cells are compared with which others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def contrasts(
    names: list[str], members: NDArray[np.bool_], *, groups: Sequence[str] | None, reference: str
) -> Contrast:
    """Plan the comparisons of `groups` (all if `None`) with the rest of the labelled cells or one other group.

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
    wanted = [str(group) for group in groups] if groups is not None else [n for n in names if n != reference]
    unknown = [group for group in (*wanted, *([] if reference == REST else [reference])) if group not in names]
    if unknown:
        msg = f"there is no group {unknown[0]!r}. Choose from {names}" + (
            ", or reference='rest'." if groups is None else "."
        )
        raise KeyError(msg)
    if reference == REST and REST in names:
        msg = "a group is itself called 'rest', so reference='rest' has two meanings. Rename that category first."
        raise ValueError(msg)
    if reference in wanted:
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
