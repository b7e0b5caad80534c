"""Names of units, and which are technical, after an edit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modulae.core.model.fitted import Fitted

    from .asked import Asked


def with_marks(fitted: Fitted, asked: Asked, names: Mapping[str, str]) -> Fitted:
    """The model with the names and marks that its units have after the edit; the network stays as it is.

    Units that become one are called by what both were called, and are technical where all were, unless asked otherwise.
    `names` are those that units have now, by number.

    Raises
    ------
    ValueError
        Another unit has that name.
    """
    n_units = fitted.network.n_units
    became = asked.became(n_units)
    users = fitted.unit_names.tolist() or [""] * n_units
    marked = fitted.technical if len(fitted.technical) else np.zeros(n_units, dtype=bool)
    called, technical = [], []
    for unit in range(became.max() + 1):
        members = [int(one) for one in np.flatnonzero(became == unit)]
        new = [asked.rename[one] for one in members if one in asked.rename]
        called.append(new[0] if new else " + ".join(users[one] for one in members if users[one]))
        mark = [asked.technical[one] for one in members if one in asked.technical]
        technical.append(mark[0] if mark else bool(marked[members].all()))
    automatic = {} if asked.changes_numbers else {int(unit): name for unit, name in names.items()}
    after = [name or automatic.get(unit, "") for unit, name in enumerate(called)]
    _check_names(asked, after)
    return replace(
        fitted,
        unit_names=np.array(called if any(called) else [], dtype=str),
        technical=np.array(technical if any(technical) else [], dtype=bool),
    )


def _check_names(asked: Asked, after: list[str]) -> None:
    for name in asked.rename.values():
        if after.count(name) > 1:
            msg = (
                f"two units would be called {name!r}. Give each its own name; where they are one programme, merge them "
                "instead: merge=[(...)]."
            )
            raise ValueError(msg)
