"""Labels from surface markers by hard gates, as in flow cytometry."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.columns import obs_column
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_GATE
from modulae._adata.stored.write_model import model_name
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import choose, counted, listed
from modulae.core.checks import check_choice

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

Level = Literal["high", "mid", "low"]


@public
def gate_cells(
    adata: AnnData,
    gates: Mapping[str, Mapping[str, Level]],
    *,
    markers: str | Sequence[str] | Mapping[str, str],
    key_added: str = DEFAULT_GATE,
    copy: bool = False,
) -> AnnData | None:
    """Label cells by hard gates on their surface markers.

    The levels are those of Table 1 of Kinalis et al. (2019) [1]_. Only cells that express a marker (value above 0)
    set its thresholds:

    - `"high"`: above the median of the expressing cells, their upper half;
    - `"low"`: not above it, which includes every cell that does not express the marker;
    - `"mid"`: their second and third quartile, above the first quartile and not above the third.

    A value equal to a threshold counts as below it, so with many ties `"high"` is less than half. Every cell is either
    high or low; mid overlaps both. Where no cell expresses a marker, all are low.

    Parameters
    ----------
    {adata}
    gates
        Label → marker → level; a cell gets the label if all of its markers have their level.
        :data:`modulae.presets.VELTEN_2017_GATES` are the six progenitors of the paper.
    markers
        Where the values are: the name of an `obsm` entry that is a table with a column per marker, a list of `obs`
        columns that are called like the markers, or a dict of marker → `obs` column.
    key_added
        Name of the column of labels.
    {copy}

    Returns
    -------
    {returns}

    `adata.obs[key_added]` : ordered `category`
        The label, with the categories in the order of `gates`, also those without cells. `nan` for cells in no gate,
        and for those in more than one; a warning says how many these are, and in which gates.

    Raises
    ------
    KeyError
        A marker, column or `obsm` entry that is not there.
    TypeError
        Labels that are not text, markers that are not numbers.
    ValueError
        An unknown level, missing or infinite values, or no gates.

    See Also
    --------
    modulae.presets.VELTEN_2017_GATES : The gates of the paper.

    References
    ----------
    {kinalis_2019}

    Examples
    --------
    >>> import numpy as np
    >>> adata = mo.datasets.pbmc68k()
    >>> adata.obs["CD34"] = np.arange(700)
    >>> mo.pp.gate_cells(adata, {"stem": {"CD34": "high"}, "other": {"CD34": "low"}}, markers=["CD34"])
    >>> adata.obs["gate"].value_counts(sort=False).to_dict()
    {'stem': 349, 'other': 351}
    """
    import pandas as pd

    model_name(key_added)
    _check_gates(gates)
    values = _marker_values(adata, markers, wanted=dict.fromkeys(marker for gate in gates.values() for marker in gate))
    levels = {marker: _levels(value) for marker, value in values.items()}
    inside = np.array(
        [np.all([levels[marker][level] for marker, level in gate.items()], axis=0) for gate in gates.values()]
    )  # gates × cells
    n_gates = inside.sum(axis=0)
    if (n_gates > 1).any():
        warnings.warn(_describe_overlap(list(gates), inside), UserWarning, stacklevel=user_stacklevel())

    labels = np.array([*gates, None], dtype=object)[np.where(n_gates == 1, inside.argmax(axis=0), -1)]
    adata = changeable(adata, copy=copy)
    adata.obs[key_added] = pd.Categorical(labels, categories=list(gates), ordered=True)
    return adata if copy else None


def _check_gates(gates: Mapping[str, Mapping[str, Level]]) -> None:
    example = "{'HSC': {'CD34': 'high', 'CD38': 'low'}}"
    if not isinstance(gates, Mapping) or not all(isinstance(gate, Mapping) for gate in gates.values()):
        msg = f"gates must say label → marker → level. Write them as {example}."
        raise TypeError(msg)
    for label, gate in gates.items():
        if not isinstance(label, str):
            msg = f"the label {label!r} of a gate is not text. Write it as {str(label)!r}."
            raise TypeError(msg)
        if not gate:
            msg = f"gate {label!r} has no markers, so every cell would be in it. Add some, as in {example}."
            raise ValueError(msg)
        for marker, level in gate.items():
            check_choice(f"{marker} of gate {label!r}", level, Level)
    if not gates:
        msg = f"there are no gates. Write them as {example}."
        raise ValueError(msg)


def _marker_values(
    adata: AnnData, markers: str | Sequence[str] | Mapping[str, str], *, wanted: Mapping[str, None]
) -> dict[str, NDArray[np.float64]]:
    """Values of the wanted markers, one per cell."""
    table = _marker_table(adata, markers)
    unknown = [marker for marker in wanted if marker not in table]
    if unknown:
        msg = (
            f"the gates use markers that are not there: {listed(unknown)}. There are {list(table)}: "
            "rename them, or give markers= as a dict of marker → obs column."
        )
        raise KeyError(msg)
    return {marker: _numbers(table[marker], marker) for marker in wanted}


def _marker_table(
    adata: AnnData, markers: str | Sequence[str] | Mapping[str, str]
) -> pd.DataFrame | dict[str, pd.Series]:
    import pandas as pd

    if isinstance(markers, str):
        if markers not in adata.obsm:
            others = choose(adata.obsm, "give markers= as a list of obs columns")
            msg = f"there is no adata.obsm[{markers!r}]. {others}"
            raise KeyError(msg)
        table = adata.obsm[markers]
        if not isinstance(table, pd.DataFrame):
            msg = (
                f"adata.obsm[{markers!r}] has no column names. Store it as a table: adata.obsm[{markers!r}] = "
                f"pd.DataFrame(adata.obsm[{markers!r}], index=adata.obs_names, columns=[...])."
            )
            raise TypeError(msg)
        return table
    columns = dict(markers) if isinstance(markers, Mapping) else {name: name for name in markers}
    return {marker: obs_column(adata, column, "markers") for marker, column in columns.items()}


def _numbers(column: pd.Series, marker: str) -> NDArray[np.float64]:
    if getattr(column, "ndim", 1) != 1:
        msg = f"there are two columns called {marker!r}. Rename or drop one of them."
        raise ValueError(msg)
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        msg = f"marker {marker!r} holds no numbers. Convert it first, for example with `pd.to_numeric`."
        raise TypeError(msg) from error
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        msg = (
            f"marker {marker!r} is missing or infinite for {counted(n_bad, 'cell')}, which can't be gated. "
            "Fill the values in, or leave these cells out."
        )
        raise ValueError(msg)
    return np.asarray(values)


def _levels(values: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Which cells have each level of one marker."""
    expressing = values[values > 0]
    q1, median, q3 = np.quantile(expressing, [0.25, 0.5, 0.75]) if len(expressing) else (np.inf, np.inf, np.inf)
    return {"high": values > median, "low": values <= median, "mid": (values > q1) & (values <= q3)}


def _describe_overlap(labels: list[str], inside: NDArray[np.bool_]) -> str:
    shared_cells = {
        f"{labels[i]} and {labels[j]}": int((inside[i] & inside[j]).sum())
        for i, j in itertools.combinations(range(len(labels)), 2)
    }
    pairs = listed((f"{pair} ({n})" for pair, n in shared_cells.items() if n), 10)
    n_cells = int((inside.sum(axis=0) > 1).sum())
    cells_get = counted(n_cells, "cell is in more than one gate and gets", "cells are in more than one gate and get")
    return f"{cells_get} no label: {pairs}. Tell these gates apart by a marker."
