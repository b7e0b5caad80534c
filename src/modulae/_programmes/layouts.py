"""Whose table it is, which way it lies, and what its numbers are."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from modulae._genes.gene_sets import read_gene_sets
from modulae._genes.set_files import text_of

from .mudata_file import from_mudata
from .needed import check_installed
from .table import programme_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GenesIn = Literal["auto", "rows", "columns"]

BY_FILE = (
    (r"\.gene_spectra_tpm\.", "cNMF spectra in TPM", "tpm"),
    (r"\.gene_spectra_score\.", "cNMF z-scores", "z_score"),
    (r"\.starcat_spectra\.", "starCAT reference", "scaled"),
    (r"\.spectra\.k_\d+\.dt_[\d_]+\.consensus\.", "cNMF consensus spectra", "scaled"),
    (r"\.reference\.", "starCAT reference", "scaled"),
)
"""What is in a file by its name: whose it is, and the scale."""

BY_NAME = (
    (r"Z_\d+", "scvi-tools LinearSCVI", "weights"),
    (r"DR ?\d+ ?[+-]?", "DRVI", "weights"),
)
"""The same by the names of the programmes."""

PROGRAMME = re.compile(
    r"\d+|(Z_|DR|V|MP|GEP|CB|NMF|nmf|K|[Uu]nit|[Ff]actor|[Cc]omponent|[Pp]rogram|[Pp]rogramme|[Pp]attern|[Tt]opic|Usage)"
    r"[ _-]?\d+ ?[+-]?"
)
"""Names that are of programmes, not of genes."""

LOADINGS_SHEET = "loadings"
"""The sheet of a workbook that has genes × programmes; the first where there is none of this name."""

SET_COLUMNS = {"source", "program", "programme", "metaprogram", "meta_program", "mp", "gep", "set", "geneset", "name"}
GENE_COLUMNS = {"target", "gene", "genes", "genesymbol", "gene_symbol", "symbol"}
WEIGHT_COLUMNS = {"weight", "weights", "loading", "score", "value"}


def from_file(path: Path, scale: str | None, genes_in: GenesIn) -> pd.DataFrame:
    """The programmes of a file."""
    if not path.is_file():
        msg = f"there is no file {str(path)!r} (looked in {str(Path.cwd())!r}). Give the path of a table or a GMT file."
        raise FileNotFoundError(msg)
    if {".gmt", ".gmx"} & set(path.suffixes[-2:]):
        return from_sets(read_gene_sets(path), scale)
    if path.suffix == ".h5mu":
        return from_mudata(path, scale)
    if path.suffix == ".xlsx":
        check_installed("openpyxl")
        sheets = pd.read_excel(io.BytesIO(path.read_bytes()), sheet_name=None)
        return from_table(sheets.get(LOADINGS_SHEET, next(iter(sheets.values()))), scale, genes_in)
    if path.suffix in {".npz", ".h5ad", ".rds"}:
        msg = (
            f"{path} is no table of text. Save it as one: `table.to_csv('programmes.csv')`; of cNMF, give the file of "
            "the same name that ends in .txt."
        )
        raise ValueError(msg)
    if re.search(r"\.usages\.", path.name):
        msg = f"{path} has cells × programmes. Give the file of the same run with gene_spectra_tpm in its name."
        raise ValueError(msg)
    text = text_of(path)
    head = text.split("\n", 1)[0]
    separator = "\t" if "\t" in head else max(",;", key=head.count)  # names of programmes may have commas
    table = pd.read_csv(io.StringIO(text), sep=separator)
    known = next(((layout, usual) for mark, layout, usual in BY_FILE if re.search(mark, path.name)), None)
    return from_table(table, scale, genes_in, known=known)


def from_table(
    table: pd.DataFrame, scale: str | None, genes_in: GenesIn, *, known: tuple[str, str] | None = None
) -> pd.DataFrame:
    """The programmes of a table as it comes from a file: names in its first column, or sets of genes."""
    lower = {str(name).strip().lower(): name for name in table}
    a_set, a_gene = (next((lower[n] for n in names if n in lower), None) for names in (SET_COLUMNS, GENE_COLUMNS))
    if a_set is not None and a_gene is not None:
        return _from_rows(table, a_set, a_gene, next((lower[n] for n in WEIGHT_COLUMNS if n in lower), None), scale)
    numeric = [name for name in table if pd.api.types.is_numeric_dtype(table[name])]
    texts = [name for name in table if name not in numeric and table[name].notna().any()]
    if len(texts) > 1 or (texts and not [name for name in numeric if name != table.columns[0]]):
        return from_sets({str(name): [str(g) for g in table[name].dropna()] for name in texts}, scale)
    return oriented(table.set_index(table.columns[0]), scale, genes_in, known=known)


def from_sets(sets: Mapping[str, Iterable[str]], scale: str | None) -> pd.DataFrame:
    """Sets of genes, each gene with weight 1."""
    genes = list(dict.fromkeys(gene for members in sets.values() for gene in members))
    inside = {name: set(members) for name, members in sets.items()}
    values = [[float(gene in members) for members in inside.values()] for gene in genes]
    return programme_table(values, genes, list(inside), scale or "weights", "gene sets")


def oriented(
    table: pd.DataFrame, scale: str | None, genes_in: GenesIn, *, known: tuple[str, str] | None = None
) -> pd.DataFrame:
    """Genes × programmes, whichever way the table lies that has names on both sides."""
    if table.index.hasnans:
        msg = "some rows of the programmes have no name. Leave them out: `table = table[table.index.notna()]`."
        raise ValueError(msg)
    if not _genes_in_rows(table, genes_in):
        table = table.T
    names = [str(name).strip() for name in table]
    by_name = next(((who, usual) for mark, who, usual in BY_NAME if _all_are(re.compile(mark), names)), None)
    layout, usual = known or by_name or ("table", "weights")
    return programme_table(table.to_numpy(), table.index, names, scale or usual, layout)


def _genes_in_rows(table: pd.DataFrame, genes_in: GenesIn) -> bool:
    if genes_in != "auto":
        return genes_in == "rows"
    rows, columns = (_all_are(PROGRAMME, names) for names in (table.index, table.columns))
    if rows != columns:
        return columns
    n_rows, n_columns = table.shape
    if max(n_rows, n_columns) < 2 * min(n_rows, n_columns):
        msg = (
            f"the table has {n_rows} rows and {n_columns} columns, and it can't be told which are the genes. Say it: "
            "genes_in='rows' or genes_in='columns'."
        )
        raise ValueError(msg)
    return n_rows > n_columns


def _all_are(pattern: re.Pattern[str], names: Iterable[Any]) -> bool:
    return all(pattern.fullmatch(str(name).strip()) for name in names)


def _from_rows(table: pd.DataFrame, a_set: Any, a_gene: Any, a_weight: Any, scale: str | None) -> pd.DataFrame:  # noqa: ANN401
    """One row for each gene of each programme; a gene that a programme does not list has weight 0 in it."""
    rows = table.dropna(subset=[a_set, a_gene])
    weights = rows[a_weight].astype(float) if a_weight is not None else pd.Series(1.0, index=rows.index)
    long = pd.DataFrame({"gene": rows[a_gene].astype(str), "programme": rows[a_set].astype(str), "weight": weights})
    if long.duplicated(["gene", "programme"]).any():
        twice = long[long.duplicated(["gene", "programme"])].iloc[0]
        msg = (
            f"the table lists the gene {twice['gene']!r} twice in {twice['programme']!r}. Keep one row: "
            f"`table.drop_duplicates([{str(a_set)!r}, {str(a_gene)!r}])`."
        )
        raise ValueError(msg)
    wide = long.pivot_table(
        index="gene", columns="programme", values="weight", fill_value=0.0, sort=False, aggfunc="sum"
    )
    return programme_table(wide.to_numpy(), wide.index, list(wide.columns), scale or "weights", "list of genes")
