"""The forms gene sets come in, each turned into pairs of name and genes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modulae._utils.text import counted

from .set_files import sets_in_file, table_in_file
from .signs import Weighted, as_numbers, warn_of_unread_signs, weight_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

FILE_SUFFIXES = {".gmt", ".gmx", ".gz", ".txt", ".tsv", ".csv", ".json"}
OTHER_NAMES = {
    "source": {"geneset", "gene_set", "gs_name", "term", "pathway", "tf", "set"},
    "target": {"genesymbol", "gene_symbol", "gene", "genes", "symbol"},
}
"""What others call these columns: decoupler's resources, msigdbr, clusterProfiler."""


def named_sets(source: object, organism: str) -> Iterator[tuple[object, object]]:
    """Pairs of set name and genes, neither of them checked, from any form that `read_gene_sets` takes."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return _from_table(source)
    if isinstance(source, Mapping):
        return _flat(source)
    if isinstance(source, os.PathLike):
        return _from_file(Path(source).expanduser())
    if isinstance(source, str):
        return _from_file(Path(source).expanduser()) if _is_path(source) else _from_library(source, organism)
    msg = (
        f"gene sets can't be read from {type(source).__name__}. Give a dict of set name → genes, the path of a GMT "
        "file, a table with the columns source and target, or the name of an Enrichr library."
    )
    raise TypeError(msg)


def describe(source: object) -> str:
    """Name the source in a message."""
    return f"{os.fspath(source)!r}" if isinstance(source, str | os.PathLike) else f"the {type(source).__name__}"


def _is_path(text: str) -> bool:
    if "\n" in text or "\t" in text:
        msg = "the text holds several lines or fields, as if it were the contents of a file. Give the path of the file."
        raise ValueError(msg)
    return any(mark in text for mark in "/\\~") or Path(text).suffix.lower() in FILE_SUFFIXES or Path(text).is_file()


def _from_table(table: pd.DataFrame) -> Iterator[tuple[object, object]]:
    absent = [column for column in ("source", "target") if column not in table]
    if absent:
        known = {str(name): to for name in table for to, names in OTHER_NAMES.items() if str(name).lower() in names}
        msg = (
            f"the table has no column {absent[0]!r}, only {[str(column) for column in table.columns]}. Rename the "
            "column of set names to 'source' and the one of genes to 'target': "
            f"`table.rename(columns={known or '...'})`; or, where each column is a set, give "
            "`{name: list(genes.dropna()) for name, genes in table.items()}`."
        )
        raise ValueError(msg)
    n_missing = int(table[["source", "target"]].isna().any(axis=1).sum())
    if n_missing:
        msg = (
            f"{counted(n_missing, 'row of the table has', 'rows of the table have')} no source or no target. "
            "Drop them: `table.dropna(subset=['source', 'target'])`."
        )
        raise ValueError(msg)
    column = weight_column(table)
    if column is None:
        warn_of_unread_signs(table)
    for name, rows in table.groupby("source", sort=False, observed=True):
        genes = list(rows["target"])
        if column is None:
            yield name, genes
        else:
            step = f"leave them out: `table.drop(columns={column!r})`."
            yield name, Weighted(genes, as_numbers(f"the column {column!r} of the table", rows[column], step))


def _from_file(path: Path) -> Iterator[tuple[object, object]]:
    table = table_in_file(path)
    return iter(sets_in_file(path)) if table is None else _from_table(table)


def _flat(sets: Mapping[object, object], prefix: str = "") -> Iterator[tuple[object, object]]:
    """Sets in a mapping; those of mappings in it, as by cell type, with both names: `T cell: activation`."""
    for key, genes in sets.items():
        name = f"{prefix}{key}" if prefix else key
        inner = genes.values() if isinstance(genes, Mapping) else ()
        if any(isinstance(value, Iterable) and not isinstance(value, str | bytes) for value in inner):
            yield from _flat(genes, f"{name}: ")  # type: ignore[arg-type]
        else:
            yield name, genes


def _from_library(name: str, organism: str) -> Iterator[tuple[object, object]]:
    import gseapy

    offline = (
        f"{name!r} is no file, and Enrichr, which may have a library of that name, can't be reached. "
        "Connect to the network, or download a GMT file and give its path."
    )
    try:
        names = gseapy.get_library_name(organism=organism)
    except OSError as error:  # what requests raises is one
        raise ConnectionError(offline) from error
    if name not in names:
        close = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
        hint = f"Similar names: {close}. " if close else ""
        msg = (
            f"{name!r} is neither a file nor an Enrichr library for {organism}. {hint}"
            "`gseapy.get_library_name()` lists the libraries; a GMT file goes by its path."
        )
        raise ValueError(msg)
    try:
        library: dict[str, list[str]] = gseapy.get_library(name, organism=organism, max_size=1_000_000)
    except OSError as error:
        raise ConnectionError(offline) from error
    return iter(library.items())
