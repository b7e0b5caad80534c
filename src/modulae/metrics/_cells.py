"""Read representations and labels of the same cells, from an AnnData, tables or arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from modulae._adata.columns.columns import obs_column
from modulae._adata.columns.labels import labels_of
from modulae._adata.public import refuse_containers
from modulae._adata.stored.representation import check_field
from modulae._utils.text import choose, counted, listed

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    Units: TypeAlias = AnnData | pd.DataFrame | NDArray[np.floating]
    GivenLabels: TypeAlias = str | pd.Series[Any] | pd.DataFrame | NDArray[Any]

Table = TypeVar("Table", "pd.Series[Any]", pd.DataFrame)


def read_units(data: Units, *, use_rep: str, what: str = "data") -> pd.DataFrame:
    """Return cells × units with names; an array has its cells and units numbered."""
    from anndata import AnnData

    refuse_containers(data, what)
    if isinstance(data, AnnData):
        if use_rep not in data.obsm:
            msg = f"adata.obsm has no {use_rep!r}. {choose(data.obsm, 'run `mo.tl.autoencoder(adata)`')}"
            raise KeyError(msg)
        check_field(data, use_rep)
        units = _table(data.obsm[use_rep], what).set_axis(data.obs_names, axis=0)
    else:
        units = _table(data, what)
    if not _numeric(units) or not np.isfinite(units).all(axis=None):
        msg = f"{what} holds values that are missing, infinite or no numbers. Give cells × units of finite numbers."
        raise ValueError(msg)
    if len(units) < 2:
        msg = f"{what} has {counted(len(units), 'cell')}. Give two or more."
        raise ValueError(msg)
    return units


def read_labels(data: Units, labels: GivenLabels, units: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return labelled cells × labels, on or off, in the order of `units`, and which of the cells have a label."""
    result = _by_name(data, labels) if isinstance(labels, str) else labels
    if isinstance(result, pd.DataFrame) or np.ndim(result) > 1:
        activity = same_cells(_table(result, "labels"), units.index, what="labels")
        if not _numeric(activity) or activity.isna().any(axis=None):
            msg = "labels holds values that are missing or no numbers. Give cells × labels of booleans or activities."
            raise ValueError(msg)
        known, on = np.ones(len(units), dtype=np.bool_), activity > 0
    else:
        column = same_cells(pd.Series(result), units.index, what="labels")
        named = labels_of(column, f"adata.obs[{labels!r}]" if isinstance(labels, str) else "labels")
        known = named.codes >= 0
        on = pd.DataFrame(named.members[:, known].T, index=units.index[known], columns=pd.Index(named.names))
    _check_both(on)
    return on, known


def same_cells(table: Table, cells: pd.Index[Any], *, what: str) -> Table:
    """Bring a table into the order of `cells`: by name where both have names, else as it stands."""
    if len(table) != len(cells):
        msg = f"{what} has {counted(len(table), 'cell')}, and the representation {len(cells)}. Give the same cells."
        raise ValueError(msg)
    if isinstance(table.index, pd.RangeIndex) or isinstance(cells, pd.RangeIndex):
        return table
    index = table.index.get_indexer(cells) if table.index.is_unique else np.array([-1])
    if (index < 0).any():
        msg = f"{what} names other cells than the representation, or a cell twice. Give the same cells, each once."
        raise ValueError(msg)
    return table.iloc[index]


def _by_name(data: Units, name: str) -> pd.Series[Any] | pd.DataFrame:
    """Look labels up in `obs`, then in `obsm`."""
    from anndata import AnnData

    if not isinstance(data, AnnData):
        msg = f"labels={name!r} is a name, and there is no AnnData to find it in. Give the labels themselves."
        raise TypeError(msg)
    if name in data.obs:
        return obs_column(data, name, "labels")
    if name in data.obsm:
        return _table(data.obsm[name], "labels").set_axis(data.obs_names, axis=0)
    others = choose([*data.obs, *data.obsm], "give the labels themselves")
    msg = f"labels={name!r} is in neither adata.obs nor adata.obsm. {others}"
    raise KeyError(msg)


def _check_both(on: pd.DataFrame) -> None:
    """Every label has cells with it and cells without, or no score is defined."""
    if on.empty:
        msg = "no cell has a label. Give each cell a category, or cells × programmes."
        raise ValueError(msg)
    n_with = on.sum(axis=0)
    poor = list(on.columns[(n_with < 2) | (n_with == len(on))])
    if poor:
        msg = (
            f"{counted(len(poor), 'label is', 'labels are')} on in fewer than two cells, or in all: {listed(poor)}. "
            "Leave out such labels."
        )
        raise ValueError(msg)


def _table(values: object, what: str) -> pd.DataFrame:
    """Cells × columns, the columns named by text."""
    from scipy import sparse

    if isinstance(values, pd.DataFrame):
        return values.set_axis(values.columns.astype(str), axis=1)
    dense: Any = values
    matrix = np.asarray(dense.todense() if sparse.issparse(values) else values)
    if matrix.ndim != 2:
        msg = f"{what} has {counted(matrix.ndim, 'dimension')}. Give cells × columns."
        raise ValueError(msg)
    return pd.DataFrame(matrix, columns=[str(number) for number in range(matrix.shape[1])])


def _numeric(table: pd.DataFrame) -> bool:
    return all(pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes)  # booleans too
