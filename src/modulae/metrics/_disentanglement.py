"""Whether every label, or planted programme, has a unit of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import pandas as pd

from modulae._adata.stored.fields import Fields
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


def disentanglement(
    data: Units, labels: GivenLabels, *, use_rep: str = Fields().representation, details: bool = False
) -> pd.DataFrame | tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Score how far every label has one unit of its own: LMS, MSAS and MSGS, over SMI and SPN.

    The measures of Moinfar & Theis (2024). Each unit is scored for each label in two ways:

    SMI, scaled mutual information: the unit is cut into ten bins of equal width between its lowest and its highest
    value; the mutual information of bin and label, over the entropy of the label. A monotone transform of the units
    moves it, so compare representations on the same footing.

    SPN, same-process neighbours: cells stand in the order of the unit; the share of the label's cells whose next cell
    has the label too, f, over what chance gives, the label's share p: max(0, (f − p) / (1 − p)). Only the order
    counts. Among cells with the same value, such as 0, every order is as good as another: the number of pairs is its
    mean over all of them.

    The scores, units × labels, are summed up in three ways:

    LMS, latent matching score: each label is given a unit of its own, the best way round (Hungarian matching); mean
    score over the labels. A label that is left without a unit counts as 0.

    MSAS, most similar averaging score: mean over the labels of the best unit's score; a unit may serve twice.

    MSGS, most similar gap score: mean over the labels of the distance from the best unit to the second best. High where
    no second unit knows about the label.

    Parameters
    ----------
    data
        Cells × units, as an array or a table; or an `AnnData` that has them in `obsm`.
    labels
        One category a cell, each of which becomes a label that is on or off; cells without one are left out. Or cells ×
        labels, booleans or activities: a label is on where the activity is above 0, so cut activities that are never
        quite 0 at the level that means something. With an `AnnData` also the name of an `obs` column or `obsm` field.
        Tables are matched to the cells by name.
    use_rep
        `obsm` field with the units, where `data` is an `AnnData`.
    details
        Return the scores of each unit for each label as well.

    Returns
    -------
    A table with the rows LMS, MSAS, MSGS and the columns SMI, SPN, each in [0, 1], 1 at best. With `details`, a pair:
    this table, and a dict `"SMI"`, `"SPN"` → units × labels, `float64`.

    Raises
    ------
    KeyError
        No such field or column.
    TypeError
        A name for labels without an `AnnData`.
    ValueError
        Values that are not finite, other cells in one than in the other, fewer than two units, or a label that is on
        in fewer than two cells or in all of them.

    Notes
    -----
    Moinfar AA, Theis FJ (2024), Unsupervised deep disentangled representation of single-cell omics, *bioRxiv*
    2024.11.06.622266, Methods. The numbers are those of `drvi-py` 0.2.8 (`drvi.utils.metrics`), which the tests hold
    them to within 1e-6; only where units tie does that package take one random order instead of the mean over all.
    """
    units = read_units(data, use_rep=use_rep)
    if units.shape[1] < 2:
        msg = f"there are {units.shape[1]} units. Give two or more: the gap is between the best and the second best."
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
