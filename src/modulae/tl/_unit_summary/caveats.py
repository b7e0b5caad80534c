"""What a unit may only reflect: depth, mitochondria, ribosomes, cell cycle, dissociation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.scores.correlation import rank_correlation

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

CELL_CYCLE = ("s_phase", "g2m_phase")
CAVEATS = ("library_size", "mitochondrial", "ribosomal", "cell_cycle", "dissociation")

COMMON = 0.8
"""Share of the units from which on a caveat says nothing of any of them, and is none."""

FEWEST = 3
"""Units among which one can be common."""


def caveats_of_units(
    units: NDArray[np.float32],
    states: pd.DataFrame,
    members: NDArray[np.bool_] | None,
    *,
    caveat_above: float,
    counted: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """Spearman's correlation of each unit with what varies besides the kind of cell, and which are strong.

    Parameters
    ----------
    units
        Cells × units.
    states
        Cells × what varies.
    members
        Groups × cells: correlations are within them; over all cells if `None`.
    caveat_above
        Absolute correlation from which on it is strong.
    counted
        Units that count where a caveat of nearly all is left out: those that are alive and not by chance.
    """
    result = {}
    for name in states:
        column = states[name].to_numpy(dtype=np.float64)
        known = bool(np.isfinite(column).all())
        r = rank_correlation(units, column[:, None], members) if known else np.full(units.shape[1], np.nan)
        result[str(name)] = r
    phases = np.stack([result.pop(name) for name in CELL_CYCLE])
    strongest = np.where(np.isnan(phases), -1.0, np.abs(phases)).argmax(axis=0)
    result["cell_cycle"] = phases[strongest, np.arange(units.shape[1])]
    strong = {name: np.abs(result[name]) > caveat_above for name in CAVEATS}  # NaN is not
    if counted.sum() >= FEWEST:
        strong = {name: many & (many[counted].mean() < COMMON) for name, many in strong.items()}
    words = [";".join(name for name in CAVEATS if strong[name][unit]) for unit in range(units.shape[1])]
    return {**{name: result[name] for name in CAVEATS}, "caveats": np.array(words, dtype=object)}
