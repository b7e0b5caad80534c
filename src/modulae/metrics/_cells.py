"""Read representations and labels of the same cells, from an AnnData, tables or arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae.gene_sets import listed

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray


def read_units(data: AnnData | pd.DataFrame | NDArray[Any], *, use_rep: str, what: str = "data") -> pd.DataFrame:
    """Return cells × units with names; an array has its cells and units numbered."""
    from anndata import AnnData

    names: pd.Index | None = None
    found: Any = data
    if isinstance(data, AnnData):
        if use_rep not in data.obsm:
            msg = (
                f"adata.obsm has no {use_rep!r}. Choose one of {list(data.obsm)}, or run "
                "`modulae.tl.autoencoder(adata)`."
            )
            raise KeyError(msg)
        names, found = data.obs_names, data.obsm[use_rep]
    units = pd.DataFrame(found) if isinstance(found, pd.DataFrame) else pd.DataFrame(_matrix(found, what))
    units = units.set_axis(units.columns.astype(str), axis=1)
    if names is not None:
        units = units.set_axis(names, axis=0)
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in units.dtypes) or not np.isfinite(units).all(axis=None):
        msg = f"{what} holds values that are missing, infinite or no numbers. Give cells × units of finite numbers."
        raise ValueError(msg)
    if len(units) < 2:
        msg = f"{what} has {len(units)} cells. Give two or more."
        raise ValueError(msg)
    return units


def read_labels(
    data: AnnData | pd.DataFrame | NDArray[Any],
    labels: str | pd.Series | pd.DataFrame | NDArray[Any],
    units: pd.DataFrame,
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return labelled cells × labels, on or off, in the order of `units`, and which of the cells have a label."""
    found = same_cells(_as_table(_by_name(data, labels)), units.index, what="labels")
    if isinstance(found, pd.DataFrame):
        known = np.ones(len(found), dtype=np.bool_)
        on = found.set_axis(found.columns.astype(str), axis=1) > 0
    else:
        known = found.notna().to_numpy()
        column = found[known]
        on = pd.get_dummies(column.astype("category").cat.remove_unused_categories(), dtype=bool)
        on.columns = on.columns.astype(str)
    n_with = on.sum(axis=0)
    poor = list(on.columns[(n_with < 2) | (n_with == len(on))])
    if poor:
        msg = (
            f"{len(poor)} labels are on in fewer than two cells, or in all of them ({listed(poor)}). "
            "Leave these labels out."
        )
        raise ValueError(msg)
    if on.empty:
        msg = "labels names no cell. Give each cell a category, or cells × programmes."
        raise ValueError(msg)
    return on, known


def same_cells(table: Any, cells: pd.Index, *, what: str) -> Any:
    """Bring a table into the order of `cells`: by name where both have names, else as it stands."""
    if len(table) != len(cells):
        msg = f"{what} has {len(table)} cells, and the representation {len(cells)}. Give the same cells."
        raise ValueError(msg)
    if isinstance(table.index, pd.RangeIndex) or isinstance(cells, pd.RangeIndex):
        return table
    at = table.index.get_indexer(cells) if table.index.is_unique else np.array([-1])
    if (at < 0).any():
        msg = f"{what} names other cells than the representation, or a cell twice. Give the same cells, each once."
        raise ValueError(msg)
    return table.iloc[at]


def _by_name(data: object, labels: Any) -> Any:
    """Look a name up in `obs`, then in `obsm`."""
    from anndata import AnnData

    if not isinstance(labels, str):
        return labels
    if not isinstance(data, AnnData):
        msg = f"labels={labels!r} is a name, and there is no AnnData to find it in. Give the labels themselves."
        raise TypeError(msg)
    if labels in data.obs:
        return data.obs[labels]
    if labels in data.obsm:
        found = data.obsm[labels]
        return (
            found if isinstance(found, pd.DataFrame) else pd.DataFrame(_matrix(found, "labels"), index=data.obs_names)
        )
    msg = f"labels={labels!r} is in neither adata.obs nor adata.obsm. Choose one of {[*data.obs, *data.obsm]}."
    raise KeyError(msg)


def _as_table(labels: Any) -> pd.Series | pd.DataFrame:
    """One column of categories, or cells × labels of numbers."""
    if isinstance(labels, pd.DataFrame) or np.ndim(labels) == 2:
        table = labels if isinstance(labels, pd.DataFrame) else pd.DataFrame(_matrix(labels, "labels"))
        numbers = all(pd.api.types.is_numeric_dtype(kind) or kind == bool for kind in table.dtypes)
        if not numbers or table.isna().any(axis=None):
            msg = "labels holds values that are missing or no numbers. Give cells × labels of booleans or activities."
            raise ValueError(msg)
        return table
    column = labels if isinstance(labels, pd.Series) else pd.Series(labels)
    if pd.api.types.is_float_dtype(column.dtype):
        msg = (
            "labels holds numbers, not categories. Cut them into groups first, for example with `pd.cut`, or give "
            "activities as cells × programmes."
        )
        raise ValueError(msg)
    return column


def _matrix(values: Any, what: str) -> NDArray[Any]:
    matrix = np.asarray(values.todense() if hasattr(values, "todense") else values)
    if matrix.ndim != 2:
        msg = f"{what} has {matrix.ndim} dimensions. Give cells × columns."
        raise ValueError(msg)
    return matrix
