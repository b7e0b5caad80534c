"""Sets × units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import IMPACT, unit_names
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from anndata import AnnData

Value = Literal["impact", "unscaled", "within", "within_unscaled"]


@public
def impact(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    result: str | None = None,
    group: str | None = None,
    value: Value = "impact",
) -> pd.DataFrame:
    """The impact of every gene set on every unit, over all cells or for one group.

    Parameters
    ----------
    {adata}
    {key}
    {impact_result}
    group
        Which group; all cells if `None`.
    value
        `"impact"`: scaled, in [0, 1] over all cells, in [−1, 1] for the difference between a group and its reference.
        `"unscaled"`: the same before scaling. `"within"` and `"within_unscaled"`: the impact over the group's cells,
        nothing subtracted; scaled on one scale with all groups and all cells.

    Returns
    -------
    sets × units, `float32`
        Sets by name, units by number ("0", "1", …).

    Raises
    ------
    KeyError
        No such result, or no such group in it.
    ValueError
        No such `value`.

    See Also
    --------
    modulae.tl.pathway_impact : Computes this result.
    modulae.get.impact_table : The same as a tidy table, with p-values.
    modulae.pl.impact : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_impact(adata, mo.datasets.immune_signatures())
    >>> mo.get.impact(adata).shape
    (20, 32)
    """
    stored = IMPACT.find(adata, key=key, result=result)
    entry = stored.entry
    check_choice("value", value, Value)
    if group is None:
        values = entry["all" if value in {"impact", "within"} else "all_unscaled"]
    else:
        position = stored.group_position(group)  # raises where there are no groups
        values = entry[value][position]
    return pd.DataFrame(
        values, index=pd.Index(entry["sets"], name="set"), columns=pd.Index(unit_names(values.shape[1]), name="unit")
    )
