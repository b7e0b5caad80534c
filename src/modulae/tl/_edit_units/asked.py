"""What was asked for: read, and refused before anything is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.unit_labels import unit_number
from modulae._utils.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

HOW = (
    'such as rename={"3": "Interferon"}, merge=[("4", "9")], drop=["7"], technical=["5"], or technical={"5": False} to '
    "remove a mark"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Edits, with units by number."""

    rename: dict[int, str]
    merge: tuple[tuple[int, ...], ...]
    drop: tuple[int, ...]
    technical: dict[int, bool]

    @property
    def changes_numbers(self) -> bool:
        """Whether units are put together or taken out."""
        return bool(self.merge or self.drop)

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what was not asked for."""
        every = {
            "rename": {str(unit): name for unit, name in self.rename.items()},
            "merge": [[str(unit) for unit in group] for group in self.merge],
            "drop": [str(unit) for unit in self.drop],
            "technical": {str(unit): mark for unit, mark in self.technical.items()},
        }
        return {name: value for name, value in every.items() if value}

    def became(self, n_units: int) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Units: the number of each after the edit, −1 where it is gone."""
        first = {unit: min(group) for group in self.merge for unit in group}
        kept = [unit for unit in range(n_units) if first.get(unit, unit) == unit and unit not in self.drop]
        place = {unit: at for at, unit in enumerate(kept)}
        return np.array([place.get(first.get(unit, unit), -1) for unit in range(n_units)], dtype=np.intp)


def read_asked(
    n_units: int,
    names: Mapping[str, str],
    *,
    rename: Any,  # noqa: ANN401
    merge: Any,  # noqa: ANN401
    drop: Any,  # noqa: ANN401
    technical: Any,  # noqa: ANN401
) -> Asked:
    """Read what was given; `names` are those of the units, by number.

    Raises
    ------
    KeyError
        A unit that is not there.
    TypeError
        Not the kind of thing that is asked for.
    ValueError
        Nothing, or what can't be done together.
    """

    def unit(given: Any) -> int:  # noqa: ANN401
        return unit_number(given, n_units, names)

    asked = Asked(
        {unit(one): _name(one, name) for one, name in _mapping(rename, "rename").items()},
        tuple(tuple(unit(one) for one in _list(group, "a group of merge")) for group in _list(merge, "merge")),
        tuple(dict.fromkeys(unit(one) for one in _list(drop, "drop"))),
        {unit(one): bool(mark) for one, mark in _marks(technical).items()},
    )
    if not asked.plain():
        msg = f"there is nothing to edit. Say what to do, {HOW}; or undo=True."
        raise ValueError(msg)
    if len(asked.rename) < len(rename or {}):
        msg = "rename= names a unit twice, once by its number and once by its name. Leave out one of them."
        raise ValueError(msg)
    _check_together(asked, n_units)
    return asked


def _name(unit: object, given: object) -> str:
    """A name with single spaces."""
    if not isinstance(given, str):
        msg = f"the new name of unit {unit!r} is {given!r}; give a text."
        raise TypeError(msg)
    name = " ".join(given.split())
    if not name or name.isdecimal():
        why = "a number, which would be taken for a unit's" if name else "empty"
        msg = f"the new name of unit {unit!r} is {why}. Give another, such as 'Interferon'; undo=True takes one back."
        raise ValueError(msg)
    return name


def _mapping(given: Any, what: str) -> Mapping[Any, Any]:  # noqa: ANN401
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        msg = f"{what} is {given!r}; give a dict of unit → name, {HOW}."
        raise TypeError(msg)
    return given


def _list(given: Any, what: str) -> list[Any]:  # noqa: ANN401
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        msg = f"{what} is {given!r}; give a list of units, {HOW}."
        raise TypeError(msg)
    return list(given)


def _marks(given: Any) -> Mapping[Any, bool]:  # noqa: ANN401
    marks = given if isinstance(given, Mapping) else dict.fromkeys(_list(given, "technical"), True)
    odd = [mark for mark in marks.values() if not isinstance(mark, bool | np.bool_)]
    if odd:
        msg = f"technical= has the mark {odd[0]!r}; give True, or False to take it away."
        raise TypeError(msg)
    return marks


def _check_together(asked: Asked, n_units: int) -> None:
    """Refuse edits that contradict each other."""
    merged = [unit for group in asked.merge for unit in group]
    short = [group for group in asked.merge if len(set(group)) < 2 or len(set(group)) < len(group)]
    if short:
        msg = f"merge= has the group {short[0]}; a group is two different units or more, such as (4, 9)."
        raise ValueError(msg)
    twice = _repeated(merged)
    if twice:
        msg = f"unit {twice[0]} is in two groups of merge=. Put all that become one into one group."
        raise ValueError(msg)
    for what, units in (("merged", merged), ("renamed", asked.rename), ("marked", asked.technical)):
        both = sorted(set(asked.drop) & set(units))
        if both:
            msg = f"unit {both[0]} is to be {what} and dropped. Leave it out of one of these."
            raise ValueError(msg)
    for group in asked.merge:
        named, marks = [unit for unit in group if unit in asked.rename], {asked.technical.get(u) for u in group}
        if len(named) > 1 or len(marks - {None}) > 1:
            msg = f"units {listed(group)} become one, with one name and one mark: give these for one of them only."
            raise ValueError(msg)
    if len(asked.drop) == n_units:
        msg = "all units are dropped, and nothing would be left. Keep some."
        raise ValueError(msg)


def _repeated(units: Sequence[int]) -> list[int]:
    return [unit for unit, n in Counter(units).items() if n > 1]
