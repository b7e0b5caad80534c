"""The forms gene sets come in, each turned into pairs of name and genes."""

from __future__ import annotations

import difflib
import gzip
import os
import re
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ._users_line import users_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

GMT_LINE = "name, tab, description, tab, genes with a tab between them"
ENRICHR_WEIGHT = re.compile(r",[-+]?\d+(\.\d+)?(e[-+]?\d+)?$", flags=re.IGNORECASE)
FILE_SUFFIXES = {".gmt", ".gz", ".txt", ".tsv", ".csv", ".json"}
GZIP_MAGIC = b"\x1f\x8b"


def named_sets(source: object, organism: str) -> Iterator[tuple[object, object]]:
    """Pairs of set name and genes, neither of them checked, from any form that `read_gene_sets` takes."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return _from_table(source)
    if isinstance(source, Mapping):
        return iter(source.items())
    if isinstance(source, os.PathLike):
        return _from_gmt(Path(source).expanduser())
    if isinstance(source, str):
        return _from_gmt(Path(source).expanduser()) if _is_path(source) else _from_library(source, organism)
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
        msg = (
            f"the table has no column {absent[0]!r}, only {[str(column) for column in table.columns]}. Rename the "
            "column of set names to 'source' and the one of genes to 'target': `table.rename(columns=...)`."
        )
        raise ValueError(msg)
    n_missing = int(table[["source", "target"]].isna().any(axis=1).sum())
    if n_missing:
        msg = (
            f"{n_missing} rows of the table have no source or no target. "
            "Drop them: `table.dropna(subset=['source', 'target'])`."
        )
        raise ValueError(msg)
    _warn_of_signs(table)
    for name, genes in table.groupby("source", sort=False, observed=True)["target"]:
        yield name, list(genes)


def _warn_of_signs(table: pd.DataFrame) -> None:
    """Say that weights are not read, where that turns around what they mean."""
    if "weight" not in table or table["weight"].dtype.kind not in "if":
        return
    n_negative = int((table["weight"] < 0).sum())
    if n_negative:
        warnings.warn(
            f"{n_negative} of {len(table)} rows of the table have a weight below 0, and weights are not read: genes "
            "that a source turns down count like those that it turns up. Make two sets of each, or drop these rows.",
            UserWarning,
            stacklevel=users_line(),
        )


def _from_gmt(path: Path) -> Iterator[tuple[object, object]]:
    first_seen: dict[str, int] = {}
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        name = name.strip()
        if not rest or not name:
            lack = "no tab" if not rest else "no name before the first tab"
            msg = f"{path}, line {number} has {lack}. Write it as: {GMT_LINE}."
            raise ValueError(msg)
        if name in first_seen:
            msg = f"{path}, lines {first_seen[name]} and {number} both call their set {name!r}. Rename one of them."
            raise ValueError(msg)
        first_seen[name] = number
        yield name, [ENRICHR_WEIGHT.sub("", gene.strip()) for gene in rest[1:]]


def _text_of(path: Path) -> str:
    """Read the text of a file, gzipped or not, with one kind of line end."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        msg = f"the file {str(path)!r} {what} (looked from {str(Path.cwd())!r}). Give the path of a GMT file."
        raise FileNotFoundError(msg)
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path} is a damaged gzip file ({error}). Copy or download it again."
        raise ValueError(msg) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        msg = f"{path}, line {line} is not UTF-8 text. Save the file as UTF-8 with tabs between the fields: {GMT_LINE}."
        raise ValueError(msg) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
        hint = f"Close to it: {close}. " if close else ""
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
