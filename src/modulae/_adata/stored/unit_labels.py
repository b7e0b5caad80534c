"""What units are called, and which one is meant: the one place that tables, pictures and the report ask."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.text import listed
from modulae.core.checks import given_list, is_integer

from .fields import Fields
from .lazy_results import loaded
from .models import model_entry
from .ownership import is_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

SET_COLUMNS = {"set": object, "set_q": np.float64, "sets": object}
"""What the summary says of the gene sets of a unit."""

MOST_NAMED = 12
"""Units that a message lists; of more, those whose names are most like the one that was given come first."""


def unit_number(given: object, n_units: int, names: Mapping[str, str]) -> int:
    """The number of a unit that is given by its number or by its name; `names` are those of all, by number.

    Raises
    ------
    KeyError
        There is no such unit, or it can't be told which one is meant.
    TypeError
        Neither a number nor a text.
    """
    if not (is_integer(given) or isinstance(given, str)):
        msg = f"a unit is {given!r}; give its number or its name, such as '3'."
        raise TypeError(msg)
    called = [int(number) for number, name in names.items() if name == given]
    if is_integer(given) or str(given).isdecimal():
        number = int(given)
        others = [unit for unit in called if unit != number]
        if 0 <= number < n_units and not others:
            return number
        if 0 <= number < n_units:
            msg = (
                f"{given!r} is the number of a unit, and the name of another, unit {others[0]}. Give the number of the "
                f"one that is meant, not as text: {number} or {others[0]}."
            )
            raise KeyError(msg)
        if not called:
            msg = f"unit {given!r} does not exist: there are {n_units}, counted from 0. Choose one up to {n_units - 1}."
            raise KeyError(msg)
    if len(called) == 1:
        return called[0]
    if called:
        msg = f"{len(called)} units are called {given!r}: {listed(called)}. Give the number of the one that is meant."
        raise KeyError(msg)
    msg = f"no unit is called {given!r}. {_what_there_is(str(given), n_units, names)}"
    raise KeyError(msg)


def unit_numbers(given: Sequence[int | str], n_units: int, names: Mapping[str, str]) -> list[int]:
    """The numbers of units that are given as `units=`, each once, in their order.

    Raises
    ------
    KeyError
        As :func:`unit_number`.
    TypeError
        No list, or what is neither a number nor a text.
    ValueError
        An empty list.
    """
    return list(dict.fromkeys(unit_number(one, n_units, names) for one in given_list(given, "units")))


def _what_there_is(given: str, n_units: int, names: Mapping[str, str]) -> str:
    if not names:
        return f"None has a name yet: give its number, from 0 to {n_units - 1}."
    like = difflib.get_close_matches(given, names.values(), n=MOST_NAMED, cutoff=0.4) if len(names) > MOST_NAMED else []
    order = sorted(names, key=lambda unit: like.index(names[unit]) if names[unit] in like else len(like))
    there = listed((f"{unit}: {names[unit]!r}" for unit in order), MOST_NAMED)
    return f"The units with a name are {there}. Give one of these names, or a number from 0 to {n_units - 1}."


def names_of_units(adata: AnnData, key: str) -> dict[str, str]:
    """Names by number ("0", "1", …): the user's, else those of `tl.unit_summary`; units without one are left out."""
    names = {str(unit): str(name) for unit, name in enumerate(np.asarray(_summary(adata, key).get("name", [])))}
    names |= {str(unit): name for unit, name in enumerate(users_names(adata, key)) if name}
    return {unit: name for unit, name in names.items() if name}


def users_names(adata: AnnData, key: str) -> list[str]:
    """Names that the user gave the units, in their order, "" where none; empty where there are none at all."""
    return [str(name) for name in _of_model(adata, key, "unit_names")]


def technical_units(adata: AnnData, key: str) -> frozenset[str]:
    """Numbers of the units that the user has marked as technical: they are kept apart from the findings."""
    return frozenset(str(unit) for unit in np.flatnonzero(np.asarray(_of_model(adata, key, "technical"), dtype=bool)))


def name_column(adata: AnnData, key: str, units: Sequence[str]) -> NDArray[np.object_]:
    """A column of a table: the name of each of `units`, NaN for one without."""
    names = names_of_units(adata, key)
    return np.array([names.get(unit, np.nan) for unit in units], dtype=object)


def effects_of_units(adata: AnnData, key: str) -> NDArray[np.float64] | None:
    """What the loss rises by without each unit, as far as `tl.unit_summary` has said so."""
    columns = _summary(adata, key)
    return np.asarray(columns["effect"], dtype=np.float64) if "effect" in columns else None


def known_sets(adata: AnnData, key: str) -> dict[str, NDArray[Any]]:
    """Columns of the summary with the gene sets of each unit, from these cells or those it was found in.

    Empty where none were tested.
    """
    columns = _summary(adata, key)
    if any(str(name) for name in columns.get("set", ())):
        return _set_columns(columns)
    return carried_sets(adata, key)


def carried_sets(adata: AnnData, key: str) -> dict[str, NDArray[Any]]:
    """The same as :func:`modulae.tl.transfer` took them along with the model; empty where it took none."""
    sets = model_entry(adata, key).get("transfer", {}).get("sets")
    return {} if sets is None else _set_columns(sets)


def _set_columns(columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: np.array(columns[name], dtype=kind) for name, kind in SET_COLUMNS.items()}


def units_without_names(adata: AnnData, key: str) -> frozenset[str]:
    """Numbers of the units that are no findings: dead, as far as it is known, below the level, or technical."""
    return frozenset[str]().union(*no_findings(adata, key).values())


def no_findings(adata: AnnData, key: str) -> dict[str, frozenset[str]]:
    """Why units are no findings, in words, and the numbers of those; each unit once."""
    replication = model_entry(adata, key).get("replication", {"reproducibility": (), "level": 0.0})
    values, level = np.asarray(replication["reproducibility"], dtype=np.float64), float(replication["level"])
    kinds = {
        "dead": np.asarray(_summary(adata, key).get("dead", []), dtype=bool),
        f"with a reproducibility below {level:g}": values < level,  # NaN is not
    }
    found = {why: frozenset(str(unit) for unit in np.flatnonzero(units)) for why, units in kinds.items()}
    found["marked as technical"] = technical_units(adata, key)
    said: frozenset[str] = frozenset()
    for why, units in found.items():
        found[why], said = units - said, said | units
    return found


def _of_model(adata: AnnData, key: str, part: str) -> Any:  # noqa: ANN401
    entry: Any = adata.uns.get(key)
    return loaded(entry["model"].get(part, ())) if is_model(entry) else ()


def _summary(adata: AnnData, key: str) -> dict[str, Any]:
    """The columns of the summary of units, empty where there is none of this model."""
    entry = adata.uns.get(Fields(key).units, {})
    usable = isinstance(entry, dict) and "table" in entry and str(entry.get("of_model", key)) == key
    return dict(loaded(entry["table"])) if usable else {}
