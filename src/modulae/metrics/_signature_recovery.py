"""Whether the explanation of a group names the signature it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import IMPACT
from modulae._adata.stored.steps import step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData


@public
def signature_recovery(
    adata: AnnData,
    *,
    expected: Mapping[str, str | Sequence[str]],
    result: str,
    key: str = DEFAULT_KEY,
    per_unit: bool = False,
) -> pd.DataFrame:
    """Rank of the right gene set of each group among all sets, by the difference in impact.

    For data whose groups are known, with one signature each: 1 is the top; a random ranking has (number of sets + 1) /
    2 on average. An untrained network is the control that a result has to beat.

    Parameters
    ----------
    {adata}
    expected
        For each group the set, or sets of which any will do, that should be first. Groups that are not in the result
        are passed over.
    result
        Name of a comparison of groups in `adata.uns`, such as `"ae_impact_bulk_labels"`.
    {key}
    per_unit
        Rank each set by its best unit, as the paper's heatmaps are read, instead of by the sum over units.

    Returns
    -------
    One row for each group.

    `rank` : `int64`
        Rank of the best expected set, from 1.
    `n_sets` : `int64`
        How many sets were ranked.
    `top` : text
        The set that is first.

    Raises
    ------
    KeyError
        No such result, or an expected set that is not in it.
    ValueError
        The result compares no groups, or none of those expected.

    See Also
    --------
    modulae.tl.pathway_impact : Compare the groups.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.pathway_impact(adata, mo.datasets.immune_signatures(), groupby="bulk_labels", null=None)
    >>> expected = {"CD19+ B": "B_CELL", "CD56+ NK": "NK_CELL"}
    >>> mo.metrics.signature_recovery(adata, expected=expected, result="ae_impact_bulk_labels").columns.tolist()
    ['rank', 'n_sets', 'top']
    """
    stored = IMPACT.find(adata, key=key, result=result)
    entry = stored.entry
    if not stored.is_comparison:
        run = step("tl.pathway_impact", "gene_sets", "groupby=...", key=stored.key)
        msg = f"{result!r} compares no groups. Run {run} first."
        raise ValueError(msg)
    sets, groups = [str(name) for name in entry["sets"]], [str(name) for name in entry["groups"]]
    values = np.asarray(entry["unscaled"], dtype=np.float64)  # groups × sets × units
    scores = values.max(axis=2) if per_unit else values.sum(axis=2)
    rows = {}
    for group, names in expected.items():
        wanted = [names] if isinstance(names, str) else list(names)
        absent = [name for name in wanted if name not in sets]
        if absent:
            msg = f"expected set {absent[0]!r} of group {group!r} is not in {result!r}. Choose from {sets}."
            raise KeyError(msg)
        if group not in groups:
            continue
        order = np.argsort(-scores[groups.index(group)], kind="stable")
        ranks = {sets[index]: rank for rank, index in enumerate(order, start=1)}
        rows[group] = {"rank": min(ranks[name] for name in wanted), "n_sets": len(sets), "top": sets[order[0]]}
    if not rows:
        msg = f"none of the expected groups is in {result!r}, which has {groups}. Name those as the `obs` column does."
        raise ValueError(msg)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
