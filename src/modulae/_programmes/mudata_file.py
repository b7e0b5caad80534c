"""Units and cells as IGVF's evaluation of gene programmes reads them, in one MuData file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.counts import read_cells
from modulae._adata.stored.models import read_model
from modulae._adata.stored.representation import model_units
from modulae._utils.files import whole_file
from modulae.get._loadings import loadings

from .table import programme_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anndata import AnnData

PROGRAMMES, CELLS = "prog", "rna"
"""What the evaluation calls the two, unless it is told otherwise."""

LOADINGS, GENES = "loadings", "var_names"


def write_mudata(adata: AnnData, file: Path, names: Mapping[str, str], layer: str | None, key: str) -> None:
    """Write cells × programmes beside the counts, both of the genes of the model."""
    import mudata
    from anndata import AnnData, settings

    fitted = read_model(adata, key)
    genes = pd.Index(fitted.genes.astype(object))
    table = loadings(adata, key=key).loc[genes, list(names)]
    activity = np.asarray(model_units(adata, key), dtype=np.float32)[:, [int(unit) for unit in names]]
    cells = pd.DataFrame(index=adata.obs_names.astype(object))
    programmes = AnnData(
        activity,
        obs=cells,
        var=pd.DataFrame({"unit": [int(unit) for unit in names]}, index=pd.Index(list(names.values()), dtype=object)),
        varm={LOADINGS: table.to_numpy(dtype=np.float32).T},
        uns={GENES: genes.to_numpy(dtype=object)},
    )
    counts = read_cells(adata, fitted, layer=layer).load().counts
    rna = AnnData(counts, obs=adata.obs.set_axis(cells.index), var=adata.var.loc[genes].set_axis(genes))
    with (
        whole_file(file) as unfinished,
        settings.override(allow_write_nullable_strings=False),  # which not all readers know
        warnings.catch_warnings(action="ignore"),
    ):  # of its own plans, and pandas' for it
        mudata.write_h5mu(str(unfinished), mudata.MuData({CELLS: rna, PROGRAMMES: programmes}))


def from_mudata(path: Path, scale: str | None) -> pd.DataFrame:
    """The programmes of a MuData file; needs no package for it.

    Raises
    ------
    ValueError
        No programmes in it, or those of several methods.
    """
    import h5py
    from anndata.io import read_elem

    with h5py.File(path, "r") as store:
        parts = store.get("mod", {})
        found = [
            name for name in parts if LOADINGS in parts[name].get("varm", {}) and GENES in parts[name].get("uns", {})
        ]
        if not found:
            msg = f"{path} has no programmes: `varm['loadings']` with `uns['var_names']`. Give a table of them instead."
            raise ValueError(msg)
        if len(found) > 1:
            msg = (
                f"{path} has programmes of several methods ({', '.join(found)}). Give a table of one: "
                f"`part = mudata.read_h5mu({str(path)!r})[{found[0]!r}]; "
                "table = pd.DataFrame(part.varm['loadings'].T, part.uns['var_names'], part.var_names)`."
            )
            raise ValueError(msg)
        one = parts[found[0]]
        weights, genes, programmes = (read_elem(one[at]) for at in (f"varm/{LOADINGS}", f"uns/{GENES}", "var"))
    return programme_table(np.asarray(weights).T, genes, programmes.index, scale or "weights", "MuData")
