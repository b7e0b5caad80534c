"""All tables of a model, as the sheets of one Excel workbook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from modulae import get
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.results import ENRICHMENT, IMPACT, RANKS, UNITS
from modulae._adata.stored.unit_labels import no_findings
from modulae._utils.files import whole_file
from modulae._utils.text import counted

from .layouts import LOADINGS_SHEET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from anndata import AnnData

MAX_NAME = 31
"""Letters that Excel takes in the name of a sheet."""


def write_workbook(adata: AnnData, file: Path, names: Mapping[str, str], n_genes: int, key: str) -> None:
    """Write what the workbook holds, then a sheet for each table: units, loadings, genes, and every stored result."""
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
    yield "about", _about(adata, names, n_genes, key)
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


def _about(adata: AnnData, names: Mapping[str, str], n_genes: int, key: str) -> pd.DataFrame:
    """What each sheet holds, and which units are left out of the first three, with the reason."""
    n_units = int(model_units(adata, key).shape[1])
    why = {unit: reason for reason, units in no_findings(adata, key).items() for unit in units}
    left_out: dict[str, list[str]] = {}
    for unit in map(str, range(n_units)):
        if unit not in names:
            left_out.setdefault(why.get(unit, "not asked for"), []).append(unit)
    said = "; ".join(f"{reason}: {', '.join(units)}" for reason, units in left_out.items())
    rows = [
        ("units", f"one row per programme: {len(names)} of the {counted(n_units, 'unit')} of the model"),
        ("units left out", f"{said}. Other sheets may have rows of these units" if said else "none"),
        (LOADINGS_SHEET, "genes × programmes: how strongly a programme makes a gene"),
        ("genes", f"the first {counted(n_genes, 'gene')} of each programme"),
        *((_sheet_name(result), what) for result, what in _results(adata, key)),
    ]
    return pd.DataFrame(rows, columns=["sheet", "what it holds"])


def _results(adata: AnnData, key: str) -> Iterator[tuple[str, str]]:
    for kind, what in (
        (ENRICHMENT, "gene sets that a unit responds to; columns as in modulae.get.enrichment"),
        (IMPACT, "effects of gene sets; columns as in modulae.get.impact_table"),
        (RANKS, "which units differ between groups; columns as in modulae.get.rank_units"),
    ):
        for result in kind.of_model(adata, key):
            yield result, what


def _sheet_name(name: str) -> str:
    return re.sub(r"[\[\]:*?/\\]", "_", name)[:MAX_NAME]
