"""Columns of `obs` and `var`: found by name, each once, and masks read as True and False."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.text import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

AS_BOOL = {"true": True, "false": False}


def refuse_several(name: object, argument: str, *, what: str = "column") -> None:
    """Refuse a list where one name is asked for.

    Raises
    ------
    TypeError
        With the first name of the list.
    """
    if isinstance(name, str) or not isinstance(name, Sequence | np.ndarray):
        return
    first = next(iter(name), "...")
    msg = f"{argument} is the list {list(name)!r}; name one {what}, such as {argument}={_plain(first)!r}."
    raise TypeError(msg)


def obs_column(
    adata: AnnData, name: str, argument: str, *, of: str = "adata", others: str = "Choose one of"
) -> pd.Series[Any]:
    """A column of `obs`, also where `obs` itself is on disk.

    `argument` is the parameter that named it, `of` what the user calls the object, and `others` stands before the
    names of the columns in the message.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        Two columns have this name.
    """
    return _one(adata.obs, name, argument, f"{of}.obs", others)


def var_column(adata: AnnData, name: str, argument: str, *, others: str) -> pd.Series[Any]:
    """A column of `var`, as :func:`obs_column`."""
    return _one(adata.var, name, argument, "adata.var", others)


def read_mask(adata: AnnData, name: str) -> NDArray[np.bool_]:
    """A column of `var` as True and False, however these are stored: as booleans, as 0 and 1, or as text.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        Missing values, or others than two that mean True and False.
    """
    advice = "Run `mo.pp.variable_genes(adata)` first, or name a boolean column, one of"
    column = var_column(adata, name, "mask_var", others=advice)
    values = column.astype(object)
    absent = values.isna().to_numpy(dtype=bool)
    result = {value: _as_bool(value) for value in values[~absent].unique()}
    said = f"adata.var[{name!r}]"
    others = [value for value, meant in result.items() if meant is None]
    if others:
        msg = (
            f"{said} holds {column.dtype} such as {listed(map(repr, others), 3)}, not True and False. Name a boolean "
            f"column, or make one, for example `adata.var['mask'] = {said} == {_plain(others[0])!r}`."
        )
        raise ValueError(msg)
    if absent.any():
        yes = [_plain(value) for value, meant in result.items() if meant] or [True]
        msg = (
            f"{said} is missing for {counted(int(absent.sum()), 'gene')}. To leave these out: "
            f"`{said} = {said}.astype(object).isin({yes!r})`."
        )
        raise ValueError(msg)
    return np.array([result[value] for value in values], dtype=bool)


def _as_bool(value: object) -> bool | None:
    """What a value of a mask means; `None` if neither."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return AS_BOOL.get(value.strip().lower())
    if isinstance(value, bool | np.bool_ | int | float | np.number) and value in {0, 1}:
        return bool(value)
    return None


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A value as it is typed."""
    return value.item() if isinstance(value, np.generic) else value


def _one(table: Any, name: str, argument: str, said: str, others: str) -> pd.Series[Any]:  # noqa: ANN401
    import pandas as pd

    if name not in table:
        hint = f"{others} {list(table)}." if list(table) else "It has no columns: add this one."
        msg = f"{argument}={name!r} is not a column of {said}. {hint}"
        raise KeyError(msg)
    found = table[name]
    if getattr(found, "ndim", 1) == 2:
        msg = (
            f"{said} has {found.shape[1]} columns called {name!r}. Keep one of them, for example the first: "
            f"`{said} = {said}.loc[:, ~{said}.columns.duplicated()]`."
        )
        raise ValueError(msg)
    return found if isinstance(found, pd.Series) else found.to_series()
