"""Which units come back in another run on the same cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.stored.fields import Fields
from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae.core.scores.correlation import match_units

from ._cells import read_units, same_cells

if TYPE_CHECKING:
    from ._cells import Units


@by_name
@fill_docs
def unit_stability(
    first: Units,
    second: Units | Sequence[Units] | Mapping[str, Units],
    *,
    use_rep: str = Fields().representation,
    threshold: float = 0.9,
) -> pd.DataFrame:
    """Match the units of one representation to those of another of the same cells, by correlation.

    Each unit is given a partner of its own so that the sum of their absolute correlations, Pearson's over the cells, is
    largest (Hungarian matching). The order, the scale and the sign of units change nothing.

    Parameters
    ----------
    first
        Cells × units, as an array or a table; or an `AnnData` that has them in `obsm`.
    second
        The same of another run, whose units may be more or fewer; or several runs, as a list or by name in a dict.
        Tables are matched to the cells of `first` by name.
    {use_rep}
    threshold
        Absolute correlation above which a unit counts as back.

    Returns
    -------
    One row per unit of `first`, named by `unit`; for several runs one for each run and unit, by `run` and `unit`.

    `partner` : text
        The unit of the other run, missing if there were not enough.
    `abs_r` : `float64`
        Absolute correlation of the two; 0 without a partner, and for a unit that is the same in all cells.
    `back` : `bool`
        Whether `abs_r` is above `threshold`. `table["back"].mean()` is the share of units that come back, and
        `table["back"].groupby("unit", sort=False).mean()` the share of runs in which each does.

    Raises
    ------
    KeyError
        No such `obsm` field.
    ValueError
        Values that are not finite, other cells in one run than in the other, or no second run.

    See Also
    --------
    modulae.tl.unit_summary : Shows the stability of each unit, with `stability=`.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200)
    >>> mo.tl.autoencoder(adata, n_latent=8, n_splits=0, max_epochs=2)
    >>> second = mo.tl.autoencoder(adata, n_latent=8, n_splits=0, max_epochs=2, seed=1, copy=True)
    >>> mo.metrics.unit_stability(adata, second).columns.tolist()
    ['partner', 'abs_r', 'back']
    """
    mine = read_units(first, use_rep=use_rep, what="first")
    if isinstance(second, Mapping):
        others: dict[str, Units] = {str(name): run for name, run in second.items()}
    elif isinstance(second, list | tuple):
        others = {str(number): run for number, run in enumerate(second)}
    else:
        return _match(mine, second, use_rep=use_rep, threshold=threshold, what="second")
    if not others:
        msg = "second holds no run. Give at least one representation of the same cells."
        raise ValueError(msg)
    tables = {
        name: _match(mine, run, use_rep=use_rep, threshold=threshold, what=f"run {name!r} of second")
        for name, run in others.items()
    }
    return pd.concat(tables, names=["run"])


def _match(mine: pd.DataFrame, other: Units, *, use_rep: str, threshold: float, what: str) -> pd.DataFrame:
    theirs = same_cells(read_units(other, use_rep=use_rep, what=what), mine.index, what=what)
    matches, r = match_units(mine.to_numpy(), theirs.to_numpy())
    names = theirs.columns.to_numpy(dtype=object)
    partner = np.array([names[at] if at >= 0 else None for at in matches], dtype=object)
    abs_r = np.minimum(np.abs(r), 1.0)  # rounding
    index = mine.columns.rename("unit")
    return pd.DataFrame({"partner": partner, "abs_r": abs_r, "back": abs_r > threshold}, index=index)
