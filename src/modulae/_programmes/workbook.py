"""All tables of a model, as the sheets of one Excel workbook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from modulae import get
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.results import ENRICHMENT, IMPACT, RANKS, UNITS
from modulae._utils.files import whole_file

from .layouts import LOADINGS_SHEET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

MAX_NAME = 31
"""Letters that Excel takes in the name of a sheet."""


def write_workbook(adata: AnnData, file: Path, names: Mapping[str, str], n_genes: int, key: str) -> None:
    """Write a sheet for each table: units, loadings, genes, and every result that is stored."""
    sheets = [(_sheet_name(name), table) for name, table in _tables(adata, names, n_genes, key)]
    with (
        whole_file(file) as unfinished,
        unfinished.open("xb") as stream,
        pd.ExcelWriter(stream, engine="openpyxl") as workbook,
    ):
        for name, table in sheets:
            table.to_excel(workbook, sheet_name=name, index=False, freeze_panes=(1, 1))
            for cell in (cell for row in workbook.sheets[name].iter_rows() for cell in row if cell.data_type == "f"):
                cell.data_type = "s"  # a name that begins with "=" is a name, and nothing to be computed


def _tables(adata: AnnData, names: Mapping[str, str], n_genes: int, key: str) -> Iterator[tuple[str, pd.DataFrame]]:
    chosen = list(names)
    units = pd.DataFrame({"unit": chosen, "programme": list(names.values())})
    if Fields(key).units in UNITS.of_model(adata, key):
        units = units.merge(get.unit_summary(adata, key=key).reset_index(), on="unit", how="left")
    elif "replication" in model_entry(adata, key):
        found = get.replication(adata, key=key)["reproducibility"]
        units["reproducibility"] = found.loc[chosen].to_numpy()
    yield "units", units
    loadings = get.loadings(adata, key=key)[chosen].dropna().set_axis([*names.values()], axis=1)
    yield LOADINGS_SHEET, loadings.rename_axis("gene").reset_index()
    genes = [get.top_genes(adata, unit=int(unit), n=n_genes, key=key) for unit in chosen]
    yield "genes", pd.concat(genes, ignore_index=True)
    for kind, table_of in ((ENRICHMENT, get.enrichment), (IMPACT, get.impact_table), (RANKS, get.rank_units)):
        for result in kind.of_model(adata, key):
            yield result, table_of(adata, key=key, result=result)


def _sheet_name(name: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", "_", name)[:MAX_NAME]
