"""The one reader of columns that name things: groups, donors, batches, cell types.

A label is its text. What cannot be told apart as text is refused, or one donor would count as two.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.text import listed, whole_as_text

from .columns import obs_column, refuse_several

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

MAX_NUMBERS = 50
"""Values of a column of whole numbers that stands for groups; with more it counts something."""

FEW = 10
"""Numbers that may be labels even where hardly two cells share one."""


TEXT = "map(str, na_action='ignore')"
LINES = {
    "kind": TEXT,
    "bytes": "map(lambda name: name.decode() if isinstance(name, bytes) else name, na_action='ignore')",
    "space": "map(lambda name: ' '.join(str(name).split()), na_action='ignore')",
    "float": TEXT + r".astype(object).str.replace(r'^(-?\d+)\.0+$', r'\1', regex=True)",
    "bool": "map(lambda name: {'true': 'True', 'false': 'False'}.get(str(name).lower(), name), na_action='ignore')",
    "bool or number": "map(lambda name: str(bool(name)), na_action='ignore')",
    "letters": TEXT + ".astype(object).str.normalize('NFC')",
}
"""What makes labels one that are written alike, by what tells them apart."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Names, and which of them each cell has."""

    names: list[str]  # each once
    codes: NDArray[np.intp]  # cells; −1 where there is none

    @property
    def members(self) -> NDArray[np.bool_]:
        """Names × cells: who has which."""
        return np.asarray(self.codes[None, :] == np.arange(len(self.names))[:, None])

    @property
    def n_missing(self) -> int:
        """Cells without a label."""
        return int((self.codes < 0).sum())

    def as_categories(self) -> pd.Categorical:
        """The label of each cell, for a table."""
        import pandas as pd

        return pd.Categorical.from_codes(self.codes.tolist(), pd.Index(self.names, dtype=object))


def read_labels(
    adata: AnnData,
    name: str,
    argument: str,
    *,
    what: str = "labels",
    of: str = "adata",
    most_numbers: int | None = MAX_NUMBERS,
    unused: bool = False,
) -> Labels:
    """The labels in an `obs` column, in the order of its categories.

    Parameters
    ----------
    adata
        Has the column.
    name
        Its name.
    argument
        The parameter that named it.
    what
        What the labels are, such as `"donors"`.
    of
        What the user calls `adata`.
    most_numbers
        Different whole numbers that may be labels; any number if `None`.
    unused
        Whether to keep categories without cells.

    Raises
    ------
    KeyError
        No such column.
    ValueError
        Two columns of this name; numbers that were measured or counted; labels that are written alike.
    """
    refuse_several(name, argument)
    column = obs_column(adata, name, argument, of=of)
    return labels_of(column, f"{of}.obs[{name!r}]", what=what, most_numbers=most_numbers, unused=unused)


def labels_of(
    column: pd.Series[Any], said: str, *, what: str = "labels", most_numbers: int | None = None, unused: bool = False
) -> Labels:
    """The labels that a column holds; `said` is how a user writes it. See :func:`read_labels`."""
    import pandas as pd

    kinds = {type(value) for value in column[column.notna()]} if column.dtype == object else set()
    try:
        labels = column.astype("category")
    except TypeError as error:
        msg = f"{said} holds {listed(sorted(kind.__name__ for kind in kinds))}, not {what}. Name a column of labels."
        raise ValueError(msg) from error
    labels = labels if unused else labels.cat.remove_unused_categories()
    values = list(labels.cat.categories)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        _refuse_numbers(values, said, what, most_numbers, int(column.notna().sum()))
    _refuse_alike(values, kinds, said)
    return Labels([written(value) for value in values], labels.cat.codes.to_numpy().astype(np.intp))


def written(value: object) -> str:
    """A label or an identifier as text; whole numbers as such, also where missing values beside them made floats."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | complex | np.number) and not isinstance(value, bool | np.bool_)


def _refuse_numbers(values: list[Any], said: str, what: str, most: int | None, n_cells: int) -> None:
    if not values or not all(map(_is_number, values)):
        return
    if not all(not isinstance(value, complex) and float(value).is_integer() for value in values):
        msg = (
            f"{said} holds numbers, not {what}. Name another column, or cut it into groups first: `pd.cut({said}, 4)`."
        )
        raise ValueError(msg)
    own = len(values) > FEW and 2 * len(values) > n_cells  # nearly a number for each cell
    if own or (most is not None and len(values) > most):
        msg = (
            f"{said} holds {len(values)} different numbers, which are hardly {what}. Name another column; if they are, "
            f"turn them into names first: `{said} = {said}.{TEXT}`."
        )
        raise ValueError(msg)


def _refuse_alike(values: list[Any], kinds: set[type], said: str) -> None:
    bools = {kind for kind in kinds if issubclass(kind, bool | np.bool_)}
    if bools and any(issubclass(kind, int | float | np.number) for kind in kinds - bools):  # pandas takes True for 1
        msg = (
            f"{said} holds both booleans and numbers. Make them one kind: `{said} = {said}.{LINES['bool or number']}`."
        )
        raise ValueError(msg)
    alike: dict[str, list[Any]] = {}
    for value in values:
        alike.setdefault(_look(value), []).append(value)
    several = [group for group in alike.values() if len(group) > 1]
    if several:
        examples = [" and ".join(map(_typed, group)) for group in several]
        as_bytes = any(isinstance(value, bytes) for value in values)  # the other lines would write them as "b'…'"
        line = LINES["bytes" if as_bytes else _difference(several[0])]
        msg = (
            f"{said} has different labels that are written alike ({listed(examples, 3)}), which count as several. "
            f"Make them one: `{said} = {said}.{line}`."
        )
        raise ValueError(msg)


def _look(value: object) -> str:
    """What a reader sees: without white space at the ends, without `.0`, and accents in one form."""
    text = whole_as_text(" ".join(unicodedata.normalize("NFC", written(value)).split()))
    return text.lower() if text.lower() in {"true", "false"} else text


def _typed(value: Any) -> str:  # noqa: ANN401
    return repr(value.item() if isinstance(value, np.generic) else value)


def _difference(group: list[Any]) -> str:
    """The kind of step that makes these one."""
    texts = {written(value) for value in group}
    if len({str(value) for value in group}) == 1:
        return "kind"
    if len({" ".join(text.split()) for text in texts}) == 1:
        return "space" if len(texts) > 1 else "float"
    if len({whole_as_text(text) for text in texts}) == 1:
        return "float"
    if {text.strip().lower() for text in texts} <= {"true", "false"}:
        return "bool"
    return "letters"
