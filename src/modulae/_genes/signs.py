"""Weights of genes: of a set only the sign is read, as sets have none themselves."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

NEGATIVE = "{} (negative)"
"""Name of the set of those genes that a set of both signs turns down."""

WEIGHTED = re.compile(r"(.+?)\s*,\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)", flags=re.IGNORECASE | re.DOTALL)
"""A gene with Enrichr's weight, as in `CD3D,1.0`."""

WEIGHT_COLUMNS = ("weight", "mor", "interaction", "sign", "direction")
"""Columns of a table that may hold weights: decoupler's, that of its older versions, and those of other networks."""

WORDS = {
    **dict.fromkeys(("+", "up", "positive", "activation", "activates", "stimulation", "increase", "induces"), 1.0),
    **dict.fromkeys(("-", "−", "down", "negative", "repression", "represses", "inhibition", "decrease"), -1.0),
}


@dataclass(frozen=True, slots=True)
class Weighted:
    """Genes of a set with a weight each."""

    genes: list[Any]
    weights: NDArray[np.float64]


@dataclass(slots=True)
class Signs:
    """What is said once of all sets."""

    split: list[str] = field(default_factory=list)  # sets with genes of a negative weight
    n_zero: int = 0  # genes of weight 0

    def parts(
        self, name: str, genes: list[str], weights: NDArray[np.float64] | None
    ) -> Iterator[tuple[str, list[str]]]:
        """The set of the genes with weights above 0, and that of the others."""
        if weights is None:
            yield name, genes
            return
        up = [gene for gene, weight in zip(genes, weights, strict=True) if weight > 0]
        down = [gene for gene, weight in zip(genes, weights, strict=True) if weight < 0]
        self.n_zero += len(genes) - len(up) - len(down)
        if down:
            self.split.append(name)
        if up or not down:
            yield name, up
        if down:
            yield NEGATIVE.format(name), down

    def warn(self) -> None:
        """Say what became of them."""
        parts = []
        if self.split:
            parts.append(
                f"{counted(len(self.split), 'gene set has', 'gene sets have')} genes with negative weights. Sets "
                f"have no signs here, so these genes are a set of their own, called {NEGATIVE.format(self.split[0])!r}."
            )
        if self.n_zero:
            parts.append(
                f"{counted(self.n_zero, 'gene of weight 0 is', 'genes of weight 0 are')} left out of the sets."
            )
        if parts:
            warnings.warn(" ".join(parts), UserWarning, stacklevel=user_stacklevel())


def weights_of(genes: object) -> tuple[list[Any], list[Any]] | None:
    """Genes and their weights, where a mapping or a labelled series of numbers stands for a set; `None` elsewhere."""
    if isinstance(genes, pd.Series):
        weighted = len(genes) and genes.dtype.kind in "biuf" and all(isinstance(name, str) for name in genes.index)
        return (list(genes.index), list(genes)) if weighted else None
    if isinstance(genes, Mapping):
        weights = list(genes.values())
        if any(map(_is_weight, weights)) and all(_is_weight(value) or _is_missing(value) for value in weights):
            return list(genes), weights
    return None


def bare_gene(text: str) -> str:
    """A gene without the weight that stands behind a comma."""
    result = WEIGHTED.fullmatch(text)
    return result[1].strip() if result else text


def weighted_genes(genes: list[str]) -> NDArray[np.float64] | None:
    """The weights that stand behind a comma; `None` where there are none."""
    result = [WEIGHTED.fullmatch(gene) for gene in genes]
    return np.array([float(match[2]) if match else 1.0 for match in result]) if any(result) else None


def as_numbers(what: str, weights: Iterable[Any], step: str) -> NDArray[np.float64]:
    """Weights as numbers, also where they are text or words.

    Raises
    ------
    ValueError
        Missing weights, or words that say nothing of the sign.
    """
    values = list(weights)
    numbers = np.array([_number(value) for value in values], dtype=np.float64)
    unread = [value for value, number in zip(values, numbers, strict=True) if np.isnan(number)]
    if unread:
        msg = (
            f"{what} has {counted(len(unread), 'value')} without a sign, such as {unread[0]!r}. Give numbers, below "
            f"0 for genes that are turned down, or {step}"
        )
        raise ValueError(msg)
    return numbers


def weight_column(table: pd.DataFrame) -> str | None:
    """The first column that holds weights; `interaction` and the like may say something else, such as an id."""
    names = {str(name).strip().lower(): str(name) for name in reversed(list(table))}
    for column in WEIGHT_COLUMNS:
        if column not in names:
            continue
        if column in {"weight", "mor"} or table[names[column]].map(_is_weight).any():
            return names[column]
    return None


def warn_of_unread_signs(table: pd.DataFrame) -> None:
    """Say which other columns hold numbers below 0, as a logarithm of fold changes does."""
    numbers = table.select_dtypes("number")
    negative = [str(name) for name in numbers if (numbers[name] < 0).any()]
    if negative:
        warnings.warn(
            f"the column {negative[0]!r} of the table has numbers below 0, which are not read. If they tell which "
            f"genes are turned down, rename it: `table.rename(columns={{{negative[0]!r}: 'weight'}})`.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def _number(value: object) -> float:
    """NaN where it is none."""
    if isinstance(value, int | float | np.number):
        return float(value)
    text = str(value).strip().lower()
    try:
        return WORDS[text] if text in WORDS else float(text)
    except ValueError:
        return float("nan")


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float | np.number) or (isinstance(value, str) and not np.isnan(_number(value)))


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA
