"""The genes of one set, from whatever holds them, and what is said once of all sets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, verb

from .signs import Signs, Weighted, as_numbers, bare_gene, weighted_genes, weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEPARATOR = re.compile(r"\s*(?:[,;|]|///)\s*|\s+")
GENE = re.compile(r"[A-Za-z][\w.-]*")
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
BY_EXCEL = re.compile(
    rf"\d{{1,2}}-({MONTHS})|({MONTHS})-\d{{1,2}}|\d{{4}}-\d\d-\d\d( 00:00:00)?|\d\.\d+e\+\d+", flags=re.IGNORECASE
)
"""What Excel makes of MARCHF1, SEPTIN2 and DELEC1 under their older names, and of ids such as 2310009E13."""


@dataclass(slots=True)
class Reading:
    """Reads sets one after the other, and keeps what is to be said of them."""

    signs: Signs = field(default_factory=Signs)
    missing: dict[str, int] = field(default_factory=dict)  # set: values that are missing
    by_excel: list[str] = field(default_factory=list)

    def sets(self, name: str, given: object) -> Iterator[tuple[str, list[str]]]:
        """The set, or those of its genes with weights above and below 0."""
        every, weights = self._with_weights(name, given)
        genes, known = self._texts(name, every)
        if weights is None:
            weights = weighted_genes(genes)
            genes = [bare_gene(gene) for gene in genes]
        else:
            weights = weights[known]
        _check_joined(name, genes)
        self.by_excel += [gene for gene in genes if BY_EXCEL.fullmatch(gene)]
        for part, members in self.signs.parts(name, genes, weights):
            yield part, [gene for gene in dict.fromkeys(members) if gene]

    def warn(self) -> None:
        """Say what was dropped, split, or looks wrong."""
        self.signs.warn()
        if n := sum(self.missing.values()):
            self._say(
                f"{counted(n, 'gene')} of {counted(len(self.missing), 'gene set')} {verb(n)} missing (NaN or None) and "
                f"left out: {_some(self.missing)}. Remove them to silence this warning."
            )
        if self.by_excel:
            self._say(
                f"{counted(len(self.by_excel), 'gene looks', 'genes look')} like dates or numbers that Excel made "
                f"of names: {_some(self.by_excel)}. Correct these names, as they match no gene: 1-Mar is MARCHF1 "
                "or MTARC1, 2-Sep is SEPTIN2, 1-Dec is DELEC1."
            )

    def _with_weights(self, name: str, given: object) -> tuple[list[object], NDArray[np.float64] | None]:
        if isinstance(given, Weighted):
            return given.genes, given.weights
        weighted = weights_of(given)
        if weighted is not None:
            genes, weights = weighted
            return genes, as_numbers(f"gene set {name!r}", weights, f"give the genes alone: `list(sets[{name!r}])`.")
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            parts = SEPARATOR.split(given.strip()) if isinstance(given, str) else [given]
            msg = f"gene set {name!r} is {given!r}, not a list of genes. Write {{{name!r}: {parts!r}}}."
            raise TypeError(msg)
        return sorted(given) if isinstance(given, set | frozenset) and _all_text(given) else list(given), None

    def _texts(self, name: str, every: list[object]) -> tuple[list[str], list[int]]:
        """Genes without spaces around them, and which they are: missing values are none."""
        genes, known = [], []
        for index, gene in enumerate(every):
            if isinstance(gene, str):
                genes.append(str(gene).strip())
                known.append(index)
            elif _is_missing(gene):
                self.missing[name] = self.missing.get(name, 0) + 1
            else:
                msg = (
                    f"gene set {name!r} has {gene!r} ({type(gene).__name__}) among its genes. Give gene names, as text."
                )
                raise TypeError(msg)
        return genes, known

    def _say(self, text: str) -> None:
        warnings.warn(text, UserWarning, stacklevel=user_stacklevel())


def _check_joined(name: str, genes: list[str]) -> None:
    """Refuse several genes in one text."""
    parts = [_several(gene) for gene in genes]
    if genes and all(parts):
        msg = (
            f"gene set {name!r} has {genes[0][:60]!r} as one gene, which looks like {len(parts[0])}. Give them one "
            f"by one: {parts[0][:5]!r} (in a GMT file, with a tab between them)."
        )
        raise ValueError(msg)


def _several(gene: str) -> list[str]:
    """The genes in one text, or nothing: words with spaces between them are genes only if they look like symbols."""
    parts = SEPARATOR.split(gene)
    alike = len(parts) > 1 and all(GENE.fullmatch(part) for part in parts)
    apart = re.search(r"[,;|/]", gene) or all(re.search(r"[A-Z\d]", part) for part in parts)
    return parts if alike and apart else []


def _all_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_missing(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:5]) + (f", … ({len(every) - 5} more)" if len(every) > 5 else "")
