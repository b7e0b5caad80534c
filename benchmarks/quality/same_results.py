"""Whether a change of the code changes a result: every number that the main functions write, before and after.

`python -m benchmarks.quality.same_results write before.npz`, then, with the changed code,
`python -m benchmarks.quality.same_results compare before.npz`.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd

import modulae as mo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from anndata import AnnData
    from numpy.typing import NDArray

    Numbers = dict[str, NDArray[Any]]

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "orthogonal": {"architecture": "orthogonal", "max_epochs": 5},
    "parts": {"n_splits": 0, "n_latent": 12, "max_epochs": 5},
}


def data() -> Iterator[tuple[str, AnnData, dict[str, list[str]], str]]:
    """Cells, their gene sets and a column of groups: what ships with scanpy, and what `MODULAE_DATA` has."""
    yield "pbmc68k", mo.datasets.pbmc68k(), mo.datasets.immune_signatures(), "bulk_labels"
    if "MODULAE_DATA" in os.environ:
        folder = Path(os.environ["MODULAE_DATA"])
        sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
        yield "pbmc3k", ad.read_h5ad(folder / "pbmc3k.h5ad"), sets, "seurat_celltype"
        yield "kang", ad.read_h5ad(folder / "kang_ifnb_sub2000.h5ad"), sets, "stim"


def steps(sets: dict[str, list[str]], groups: str) -> Iterator[tuple[str, Callable[[AnnData], object]]]:
    """What is done with a trained model, in turn."""
    yield "saliency", mo.tl.saliency
    yield "impact", lambda adata: mo.tl.pathway_impact(adata, sets)
    yield "impact of groups", lambda adata: mo.tl.pathway_impact(adata, sets, groupby=groups, n_permutations=50)
    yield "activity", lambda adata: mo.tl.pathway_activity(adata, sets)
    yield "enrichment", lambda adata: mo.tl.enrich_units(adata, sets)
    yield "units", lambda adata: mo.tl.unit_summary(adata, groupby=groups)
    yield "denoise", mo.tl.denoise
    yield "novelty", mo.tl.novelty


def numbers_of(adata: AnnData) -> Numbers:
    """Every array of numbers and text in an AnnData, by where it lies."""
    found: Numbers = {}

    def walk(value: Any, path: str) -> None:  # noqa: ANN401
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{path}/{name}")
        elif isinstance(value, pd.DataFrame):
            for name, column in value.items():
                walk(column.astype(str) if column.dtype.kind not in "fiub" else column, f"{path}/{name}")
        elif value is not None:
            array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
            found[path] = array if array.dtype.kind in "fiub" else array.astype(str)

    for part in ("obs", "var"):
        walk(getattr(adata, part), part)
    for part in ("obsm", "varm", "uns"):
        walk(dict(getattr(adata, part)), part)
    walk({name: matrix for name, matrix in adata.layers.items() if str(name).startswith("ae")}, "layers")
    return found


def results() -> Numbers:
    """All of it, by data set and architecture."""
    found: Numbers = {}
    for name, cells, sets, groups in data():
        mo.pp.gene_set_mask(cells, sets)
        for architecture, settings in ARCHITECTURES.items():
            adata = cells.copy()
            mo.tl.autoencoder(adata, mask_var="in_gene_sets", device="cpu", progress=False, **settings)
            for what, do in steps(sets, groups):
                print(name, architecture, what, file=sys.stderr, flush=True)
                do(adata)
            found |= {f"{name}/{architecture}/{path}": array for path, array in numbers_of(adata).items()}
    return found


def differences(before: Mapping[str, NDArray[Any]], after: Numbers) -> list[str]:
    """A line for each field that is not the same."""
    lines = [f"gone: {path}" for path in before if path not in after]
    lines += [f"new: {path}" for path in after if path not in before]
    for path in before:
        if path not in after:
            continue
        one, other = before[path], after[path]
        if one.shape != other.shape:
            lines.append(f"{path}: shape {one.shape}, now {other.shape}")
        elif one.dtype.kind in "fiub" and not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            apart = float(np.nanmax(np.abs(one.astype(float) - other.astype(float))))
            lines.append(f"{path}: largest difference {apart:.3g}, of values up to {np.nanmax(np.abs(one)):.3g}")
        elif one.dtype.kind == "U" and not np.array_equal(one, other):
            lines.append(f"{path}: {one.ravel()[:3]}, now {other.ravel()[:3]}")
    return lines


if __name__ == "__main__":
    command, file = sys.argv[1:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = results()
    if command == "write":
        np.savez_compressed(file, **made)  # type: ignore[arg-type]
        print(f"{len(made)} fields written")
    else:
        found = differences(np.load(file), made)
        print("\n".join(found) or f"{len(made)} fields, all the same to the last bit")
        sys.exit(bool(found))
