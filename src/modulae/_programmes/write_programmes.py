"""Units as other tools read programmes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import read_model
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.results import unit_names
from modulae._adata.stored.unit_labels import names_of_units, no_findings, unit_numbers, units_without_names
from modulae._utils.files import check_writable, write_whole
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import verb
from modulae.core.checks import check_choice, check_integer
from modulae.core.scores.gene_spread import rate_deviation
from modulae.get._loadings import loadings
from modulae.get._units.top_genes import top_genes

from .mudata_file import write_mudata
from .needed import check_installed
from .workbook import write_workbook

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from anndata import AnnData

    from modulae.core.model.fitted import Fitted

Format = Literal["auto", "table", "gmt", "starcat", "mudata", "excel"]

BY_ENDING: dict[str, Format] = {
    ".gmt": "gmt",
    ".h5mu": "mudata",
    ".xlsx": "excel",
    ".tsv": "table",
    ".txt": "table",
    ".csv": "table",
}
"""What `"auto"` takes for the ending of a path."""

NEEDS = {"mudata": "mudata", "excel": "openpyxl"}
"""Packages without which a format can't be written."""

BASELINE = "baseline"
"""What a starCAT reference calls what all cells have beside the units."""


@public
def write_programmes(
    adata: AnnData,
    path: str | os.PathLike[str],
    *,
    units: Sequence[int | str] | None = None,
    format: Format = "auto",  # noqa: A002 - what other writers call it
    n_genes: int = 50,
    layer: str | None = None,
    key: str = DEFAULT_KEY,
) -> None:
    """Write the programmes of a model to a file for other tools and other people.

    Programmes have the names of the units; of units with the same name, and of those without one, the number is part of
    it. :func:`modulae.read_programmes` reads all of these files. To hand on the model itself, which encodes other cells
    as it does these, see :func:`modulae.save_model`. An existing file is replaced.

    Parameters
    ----------
    {adata}
    path
        Where to write, such as `"programmes.tsv"`.
    units
        Units to write, by number or name, in this order. If `None` all except those that are dead, below the level of
        reproducibility or technical, and a warning says how many these are.
    format
        `"table"`: genes × programmes with all loadings, as a CSV file where the path ends in `.csv`, else with tabs
        (TSV). `"gmt"`: sets of the first genes, in the order of :func:`modulae.get.top_genes`. `"starcat"`: a reference
        for starCAT, programmes × genes with tabs: what the unit adds to the expression at its root mean square
        activity, in TPM over the gene's standard deviation over the cells, and a programme `baseline` for what all
        cells have. `"mudata"`: activities, loadings and counts, as IGVF's evaluation of gene programmes reads them.
        `"excel"`: a workbook with a sheet for each table: units, loadings, their genes, and the results of
        :func:`modulae.tl.enrich_units`, :func:`modulae.tl.pathway_impact` and :func:`modulae.tl.rank_units`.
        `"auto"`: by the ending of the path, `.gmt`, `.h5mu` or `.xlsx`; else a table.
    n_genes
        Genes of each unit in a GMT file or a workbook; fewer where the unit makes fewer.
    {model_layer}
    {key}

    Raises
    ------
    FileNotFoundError
        The folder is not there.
    ImportError
        A MuData file without the package `mudata`, or a workbook without `openpyxl`.
    KeyError
        No such model or unit.
    ValueError
        No unit to write, or a starCAT reference of a model with `architecture="orthogonal"`, whose loadings have signs.

    Warns
    -----
    UserWarning
        `units` is not given, and some are left out.

    See Also
    --------
    modulae.read_programmes : Reads the files.
    modulae.get.loadings : The same in Python.
    modulae.save_model : Writes the model.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.autoencoder(adata, n_splits=0, n_latent=8, max_epochs=2)
    >>> mo.write_programmes(adata, "programmes.tsv")
    >>> mo.write_programmes(adata, "programmes.gmt", n_genes=20)
    >>> mo.read_programmes("programmes.tsv").shape
    (300, 8)
    """
    check_choice("format", format, Format)
    check_integer("n_genes", n_genes, minimum=1)
    file = Path(path).expanduser()
    fitted = read_model(adata, key)
    names = programme_names(adata, key, units)
    check_writable(file, "such as 'programmes.tsv'")
    if units is None:
        _say_what_is_left_out(adata, fitted.network.n_units, key)
    chosen = _by_ending(file) if format == "auto" else format
    if chosen in NEEDS:
        check_installed(NEEDS[chosen])
    if chosen == "mudata":
        write_mudata(adata, file, names, counts_layer(adata, key, layer), key)
        return
    if chosen == "excel":
        write_workbook(adata, file, names, n_genes, key)
        return
    if chosen == "gmt":
        text = "".join(_gmt_line(adata, unit, name, n_genes, key) for unit, name in names.items())
    elif chosen == "table":
        table = loadings(adata, key=key)[list(names)].dropna().set_axis([*names.values()], axis=1)
        text = table.rename_axis("gene").to_csv(sep="," if file.suffix == ".csv" else "\t", lineterminator="\n")
    else:
        table = _starcat(adata, fitted, names, counts_layer(adata, key, layer), key)
        text = table.to_csv(sep="\t", lineterminator="\n")
    write_whole(file, text.encode())


def _say_what_is_left_out(adata: AnnData, n_units: int, key: str) -> None:
    found = no_findings(adata, key)
    reasons = [f"{len(units)} {why}" for why, units in found.items() if units]
    if reasons:
        n = sum(map(len, found.values()))
        warnings.warn(
            f"{n} of {n_units} units {verb(n)} not written: {', '.join(reasons)}. Name units to write them as well, "
            f"such as all: units={list(range(n_units))}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def programme_names(adata: AnnData, key: str, units: Sequence[int | str] | None) -> dict[str, str]:
    """Unit → what its programme is called, each name once and on one line."""
    every = unit_names(read_model(adata, key).network.n_units)
    if units is None:
        without = units_without_names(adata, key)
        chosen = [unit for unit in every if unit not in without]
    else:
        chosen = [every[at] for at in unit_numbers(units, len(every), names_of_units(adata, key))]
    if not chosen:
        msg = "no unit is to be written: none is alive and reproducible. Name those you want: units=[0, 1]."
        raise ValueError(msg)
    named = {unit: " ".join(name.split()) for unit, name in names_of_units(adata, key).items() if unit in chosen}
    often = pd.Series(list(named.values()), dtype=object).value_counts()
    once = {unit: name for unit, name in named.items() if often[name] == 1}
    return {
        unit: once.get(unit, f"{named[unit]} (unit {unit})" if unit in named else f"unit {unit}") for unit in chosen
    }


def _gmt_line(adata: AnnData, unit: str, name: str, n_genes: int, key: str) -> str:
    genes = top_genes(adata, unit=int(unit), n=n_genes, key=key)
    return "\t".join([name, f"unit {unit} of the model {key}", *genes["gene"][genes["score"] > 0]]) + "\n"


def _starcat(adata: AnnData, fitted: Fitted, names: Mapping[str, str], layer: str | None, key: str) -> pd.DataFrame:
    """Programmes × genes: TPM over their standard deviation; genes that are the same in all cells are left out."""
    network = fitted.network
    if network.architecture != "parts":
        msg = (
            "a starCAT reference is expression, and units of architecture='orthogonal' also lower genes. Write a table."
        )
        raise ValueError(msg)
    activity = np.asarray(model_units(adata, key), dtype=np.float64)
    deviation = rate_deviation(read_cells(adata, fitted, layer=layer)) * 1e6 / fitted.size_factor_unit
    positions = [int(unit) for unit in names]
    usual = np.sqrt((activity[:, positions] ** 2).mean(axis=0))
    baseline = np.asarray(network.baseline, dtype=np.float64)  # type: ignore[attr-defined]
    made = np.asarray(network.loadings, dtype=np.float64)[positions] * usual[:, None]  # type: ignore[attr-defined]
    rates = np.vstack([np.expm1(baseline + made) - np.expm1(baseline), np.expm1(baseline)])
    total = rates.sum(axis=1, keepdims=True)
    varies = deviation > 0
    values = (rates / np.where(total > 0, total, 1) * 1e6)[:, varies] / deviation[varies]
    return pd.DataFrame(values, index=[*names.values(), BASELINE], columns=fitted.genes[varies])


def _by_ending(file: Path) -> Format:
    ending = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if ending not in BY_ENDING:
        msg = (
            f"the ending of {file.name!r} names no format. Give one of {', '.join(BY_ENDING)}, or say what to write: "
            "format='table'."
        )
        raise ValueError(msg)
    return BY_ENDING[ending]
