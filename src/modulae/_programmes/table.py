"""A table of programmes: genes × programmes, with the scale of its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from modulae._utils.text import counted, listed
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    from collections.abc import Iterable

Scale = Literal["weights", "log1p", "counts", "tpm", "scaled", "z_score"]

SCALE, LAYOUT = "scale", "layout"
"""What `attrs` of a table says: the scale of the numbers, and whose layout they were read from."""


def programme_table(
    values: object, genes: Iterable[object], names: Iterable[object], scale: str, layout: str
) -> pd.DataFrame:
    """Genes × programmes as a table that says its scale.

    Raises
    ------
    TypeError
        Values that are no numbers.
    ValueError
        The same gene or name twice, no programme, numbers that are not finite, or a programme without weights.
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"the programmes have values that are no numbers ({error}). Give genes × programmes of numbers alone."
        raise TypeError(msg) from error
    rows = pd.Index([str(gene).strip() for gene in genes], name="gene", dtype=object)
    columns = pd.Index([str(name).strip() for name in names], name="programme", dtype=object)
    known = np.flatnonzero(~np.isnan(numbers).any(axis=1)) if numbers.ndim == 2 else np.zeros(0, dtype=np.intp)
    if numbers.ndim != 2 or numbers.shape != (len(rows), len(columns)) or not len(known):
        msg = f"there is no gene with a number for each of {len(columns)} programmes. Give genes × programmes."
        raise ValueError(msg)
    if np.isinf(numbers).any():
        msg = "the programmes have infinite weights. Replace these: `table.replace([np.inf, -np.inf], np.nan)`."
        raise ValueError(msg)
    numbers, rows = numbers[known], rows[known]
    if not rows.is_unique:
        twice = rows[rows.duplicated()].unique()
        msg = (
            f"{counted(len(twice), 'gene of the programmes appears', 'genes of the programmes appear')} more than "
            f"once ({listed(twice)}). Add up the weights of a gene: `table.groupby(level=0).sum()`, with the genes "
            "as its index."
        )
        raise ValueError(msg)
    if not columns.is_unique:
        twice = columns[columns.duplicated()].unique()
        msg = f"several programmes have the same name ({listed(twice)}). Rename them: `table.columns = [...]`."
        raise ValueError(msg)
    empty = columns[~(numbers != 0).any(axis=0)]
    if len(empty):
        names_of_empty = listed(empty)
        without = counted(len(empty), "programme has", "programmes have")
        msg = f"{without} no weights ({names_of_empty}). Leave out such columns: `table.drop(columns=[...])`."
        raise ValueError(msg)
    table = pd.DataFrame(numbers, index=rows, columns=columns)
    table.attrs.update({SCALE: checked_scale(scale), LAYOUT: layout})
    return table


def checked_scale(scale: str) -> str:
    """The scale, if it is one."""
    check_choice("scale", scale, Scale)
    return scale


def scale_of(table: pd.DataFrame) -> str:
    """What a table says of itself; `"weights"` where it says nothing, or something else."""
    said = table.attrs.get(SCALE)
    return str(said) if said in get_args(Scale) else "weights"
