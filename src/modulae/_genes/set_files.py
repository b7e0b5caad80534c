"""Files of gene sets: GMT, with or without descriptions, GMX, and networks saved as a table."""

from __future__ import annotations

import gzip
import io
import re
import warnings
import zlib
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from modulae._utils.stacklevel import user_stacklevel

from .explain_names import ENSEMBL_ID
from .signs import bare_gene

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

GMT_LINE = "name, tab, description, tab, genes with a tab between them"
GZIP_MAGIC = b"\x1f\x8b"
NO_DESCRIPTION = frozenset({"", "na", "n/a", "nan", "none", "null", "blank", "-", ".", ">"})
NAME_OF_GENE = re.compile(r"[A-Za-z][A-Za-z0-9.-]+")
ACCESSION = re.compile(r"(R-[A-Z]{3}-|[a-z]{3,4}|WP|MM?|GO)\d+")
"""Ids of pathways: Reactome's, KEGG's, those of WikiPathways and MSigDB."""

Line = tuple[int, str, list[str]]
"""Its number, the name of its set, and what follows."""


def sets_in_file(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Names and genes of a GMT or GMX file."""
    text = text_of(path)
    in_columns = ".gmx" in path.suffixes[-2:]
    lines = list(_columns(text) if in_columns else _lines(text, path))
    if not in_columns:
        _refuse_columns(lines, path)
    first_seen: dict[str, int] = {}
    for number, name, _ in lines:
        if name in first_seen:
            msg = f"{path}, lines {first_seen[name]} and {number} both call their set {name!r}. Rename one of them."
            raise ValueError(msg)
        first_seen[name] = number
    start = 0 if _lacks_descriptions(lines, path) else 1
    for _, name, rest in lines:
        yield name, [field.strip() for field in rest[start:]]


def table_in_file(path: Path) -> pd.DataFrame | None:
    """A network with the columns `source` and `target`, as decoupler's are saved; `None` if the file is none.

    Raises
    ------
    ValueError
        A CSV file with other columns.
    """
    import pandas as pd

    comma = ".csv" in path.suffixes[-2:]
    text = text_of(path)
    head = next((line for line in text.split("\n") if line.strip()), "")
    for separator in "\t,;":
        names = [name.strip().strip('"') for name in head.split(separator)]
        if {"source", "target"} <= set(names):
            given = {"sep": separator, "dtype": str, "keep_default_na": False, "na_values": [""]}
            return pd.read_csv(io.StringIO(text), **given).rename(columns=str.strip)  # type: ignore[call-overload, no-any-return]
    if comma and "\t" not in head:
        msg = (
            f"{path} has no columns source and target, only {head.split(',')[:8]}. Rename those that hold them; or, "
            "where each column is a set, read it yourself and give a dict: "
            f"`{{name: list(genes.dropna()) for name, genes in pandas.read_csv({str(path)!r}).items()}}`."
        )
        raise ValueError(msg)
    return None


def text_of(path: Path) -> str:
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


def _lines(text: str, path: Path) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, *rest = line.split("\t")
        if not rest or not name.strip():
            lack = "no tab" if not rest else "no name before the first tab"
            msg = f"{path}, line {number} has {lack}. Write it as: {GMT_LINE}."
            raise ValueError(msg)
        yield number, name.strip(), rest


def _refuse_columns(lines: list[Line], path: Path) -> None:
    """Refuse a GMX file under another ending: its second row has the descriptions, so every field says nothing."""
    if len(lines) > 2 and all(field.strip().lower() in NO_DESCRIPTION for field in [lines[1][1], *lines[1][2]]):
        msg = f"{path} has its sets in columns. Rename it so that it ends in .gmx, which is read so: {path.stem}.gmx."
        raise ValueError(msg)


def _columns(text: str) -> Iterator[Line]:
    """Sets that stand beside each other: the first row has the names, the second the descriptions."""
    rows = [line.split("\t") for line in text.split("\n") if line.strip()]
    for number, (name, *rest) in enumerate(zip_longest(*rows, fillvalue=""), start=1):
        if name.strip():
            yield number, name.strip(), rest


def _lacks_descriptions(lines: list[Line], path: Path) -> bool:
    """Whether the second field of most lines is a gene; where it only looks like one, the user is asked.

    It is one where it is a gene of other lines too, or an Ensembl id. A web address, words, a field that says nothing,
    and what is part of the set's name are descriptions; so are ids of pathways, which differ in their digits alone.
    """
    seconds = [(name, rest[0].strip()) for _, name, rest in lines if any(field.strip() for field in rest[1:])]
    genes = {bare_gene(field.strip()) for _, _, rest in lines for field in rest[1:]}
    entrez = all(map(str.isdecimal, genes - {""}))
    open_ones = [bare_gene(text) for name, text in seconds if _may_be_a_gene(name, text, entrez=entrez)]
    if not open_ones or 2 * len(open_ones) < len(seconds):
        return False
    ids = [text for text in open_ones if ENSEMBL_ID.fullmatch(text)]
    known = [text for text in open_ones if text in genes]
    if 2 * len(ids) >= len(open_ones) or (2 * len(known) >= len(open_ones) and len(known) > 1):
        warnings.warn(
            f"{path} has no descriptions: the second field of its lines is a gene ({', '.join(open_ones[:3])}), and is "
            f"read as one. Other programs lose it: put a description, such as na, before it: {GMT_LINE}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
        return True
    shapes = {re.sub(r"\d+", "0", text) for text in open_ones}
    with_digits = sum(any(letter.isdigit() for letter in text) for text in open_ones)
    distinct = len(set(open_ones)) == len(open_ones) and (len(shapes) > 1 or len(open_ones) == 1)
    if distinct and 2 * with_digits >= len(open_ones):
        warnings.warn(
            f"the second field of the lines of {path} looks like a gene ({', '.join(open_ones[:3])}), but is read as a "
            f"description. If it is a gene, put a description, such as na, before it: {GMT_LINE}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return False


def _may_be_a_gene(name: str, text: str, *, entrez: bool) -> bool:
    if entrez:
        return text.isdecimal()
    if text.lower() in NO_DESCRIPTION or text.casefold() in name.casefold() or ACCESSION.fullmatch(text):
        return False
    return NAME_OF_GENE.fullmatch(bare_gene(text)) is not None
