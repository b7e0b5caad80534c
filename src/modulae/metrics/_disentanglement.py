"""Whether every label, or planted programme, has a unit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import pandas as pd

from modulae._adata.stored.fields import Fields
from modulae._utils.by_name import by_name
from modulae._utils.docs import fill_docs
from modulae.core.scores import disentanglement as core

from ._cells import read_labels, read_units

if TYPE_CHECKING:
    from ._cells import GivenLabels, Units


@overload
def disentanglement(
    data: Units, labels: GivenLabels, *, use_rep: str = ..., details: Literal[False] = ...
) -> pd.DataFrame: ...


@overload
def disentanglement(
    data: Units, labels: GivenLabels, *, use_rep: str = ..., details: Literal[True]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]: ...


@by_name
@fill_docs
def disentanglement(
    data: Units, labels: GivenLabels, *, use_rep: str = Fields().representation, details: bool = False
) -> pd.DataFrame | tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Score how far every label has one unit of its own: LMS, MSAS and MSGS, over SMI and SPN.

    The measures of Moinfar & Theis (2024). Each unit is scored for each label by scaled mutual information (SMI) and by
    same-process neighbours (SPN). LMS, the latent matching score, gives each label a unit of its own; MSAS takes the
    best unit of each label, which may serve twice; MSGS is the distance from the best unit to the second best.
    :doc:`/method/method` has the definitions.

    Parameters
    ----------
    data
        Cells × units, as an array or a table; or an `AnnData` that has them in `obsm`.
    labels
        One category per cell, each of which becomes a label that is on or off; cells without one are left out. Or cells
        × labels, booleans or activities: a label is on where the activity is above 0, so cut activities that are never
        quite 0 at the level that means something. With an `AnnData` also the name of an `obs` column or `obsm` field.
        Tables are matched to the cells by name.
    {use_rep}
    details
        Return the scores of each unit for each label as well.

    Returns
    -------
    Rows LMS, MSAS, MSGS and columns SMI, SPN
        Each in [0, 1], 1 at best.
    With `details` a pair: this table and a `dict`
        `"SMI"`, `"SPN"` → units × labels, `float64`.

    Raises
    ------
    KeyError
        No such field or column.
    TypeError
        A name for labels without an `AnnData`.
    ValueError
        Values that are not finite, other cells in one than in the other, fewer than two units, or a label that is on
        in fewer than two cells or in all of them.

    See Also
    --------
    modulae.metrics.programme_recovery : The same question for the genes of planted programmes.
    modulae.tl.search : The scores of many settings.

    Notes
    -----
    Moinfar AA, Theis FJ (2024), Unsupervised deep disentangled representation of single-cell omics, *bioRxiv*
    2024.11.06.622266, Methods. The numbers are those of `drvi-py` 0.2.8 (`drvi.utils.metrics`), which the tests hold
    them to within 1e-6; only where units tie does that package take one random order instead of the mean over all.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200)
    >>> mo.tl.autoencoder(adata, n_latent=8, n_splits=0, max_epochs=2)
    >>> table = mo.metrics.disentanglement(adata, "group")
    >>> table.index.tolist(), table.columns.tolist()
    (['LMS', 'MSAS', 'MSGS'], ['SMI', 'SPN'])
    """
    units = read_units(data, use_rep=use_rep)
    if units.shape[1] < 2:
        msg = (
            f"the number of units is {units.shape[1]}. Give two or more: the gap is between the best and the "
            "second best."
        )
        raise ValueError(msg)
    on, known = read_labels(data, labels, units)
    values, labelled = units.to_numpy()[known], on.to_numpy()
    scores = {
        "SMI": core.scaled_mutual_information(values, labelled),
        "SPN": core.same_process_neighbours(values, labelled),
    }
    summaries = {"LMS": core.latent_matching, "MSAS": core.most_similar_averaging, "MSGS": core.most_similar_gap}
    table = pd.DataFrame(
        {name: [summary(matrix) for summary in summaries.values()] for name, matrix in scores.items()},
        index=pd.Index(summaries, name="metric"),
    )
    if not details:
        return table
    columns = on.columns.rename("label")
    index = units.columns.rename("unit")
    return table, {name: pd.DataFrame(matrix, index=index, columns=columns) for name, matrix in scores.items()}
