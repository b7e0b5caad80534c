"""What is not there yet, worked out on a copy that shares the counts with the user's object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae import tl
from modulae._adata.features import FEATURE_TYPE_COLUMNS
from modulae._adata.found_sets import find_sets, tested_sizes
from modulae._adata.stored.fields import Fields
from modulae._adata.stored.layouts import MOST_PLACED, among_all, cells_to_place, umap_layout
from modulae._adata.stored.models import read_model
from modulae._adata.stored.results import ENRICHMENT
from modulae._counts.layers import layer_names, matrix_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

UMAP_NEIGHBOURS = 15
"""Of each cell, in the graph that UMAP lays out: the default of `tl.embeddings`."""


@dataclass(slots=True)
class Workplace:
    """A copy to write to, how to run what is missing, and what was run."""

    adata: AnnData
    key: str
    layer: str | None
    seed: int
    batch_size: int
    device: str
    progress: bool | None
    min_genes: int
    min_share: float
    ran: list[str] = field(default_factory=list)

    @property
    def fields(self) -> Fields:
        """The names of the model's results."""
        return Fields(self.key)

    def reading(self) -> dict[str, Any]:
        """What every step that reads counts is told."""
        return {"key": self.key, "layer": self.layer, "batch_size": self.batch_size, "device": self.device}


def light_copy(adata: AnnData, layer: str | None) -> AnnData:
    """A copy that shares the counts, also those on disk: what the steps below write goes into its own fields."""
    from anndata import AnnData as New

    counts = matrix_of(adata, layer)
    work = New(
        X=counts if layer is None else None,
        obs=adata.obs.copy(),
        var=adata.var[[name for name in FEATURE_TYPE_COLUMNS if name in adata.var]].copy(),
        obsm=dict(adata.obsm),
        varm=dict(adata.varm),
        layers={name: counts if name == layer else adata.layers[name] for name in layer_names(adata)},  # none is copied
    )
    if adata.raw is not None:  # where counts are looked for if these are none
        work.raw = New(adata.raw.X, var=adata.raw.var)
    work.uns.update(dict(adata.uns))
    return work


def enrich(work: Workplace, gene_sets: Mapping[str, Sequence[str]] | None) -> None:
    """Test the sets on every unit, unless the stored result is of these very sets."""
    if gene_sets is None:
        return
    sizes: dict[str, Any] = {"min_genes": work.min_genes, "min_share": work.min_share, "max_genes": None}
    tested = find_sets(work.adata, gene_sets, read_model(work.adata, work.key).genes, tested_sizes(**sizes))
    stored = work.adata.uns.get(work.fields.enrichment)
    if stored is not None and stored.get("of_model") == work.key and stored.get("group") is None:
        available = sets_of(work)
        if list(available) == list(tested.sets) and all(
            np.array_equal(available[name], tested.sets[name]) for name in available
        ):
            tested.warn()
            return
    # random sets are for `nes` and `p_prerank`, which the page does not show; fewer would be warned of
    quick: dict[str, Any] = {"n_permutations": 20, "seed": work.seed, "progress": work.progress}
    tl.enrich_units(work.adata, dict(gene_sets), **quick, **work.reading(), **sizes)
    work.ran.append("tl.enrich_units")


def sets_of(work: Workplace) -> dict[str, NDArray[np.intp]]:
    """Sets of the stored enrichment, in its order: positions of their genes in the model."""
    entry = ENRICHMENT.find(work.adata, key=work.key).entry
    position = {gene: index for index, gene in enumerate(read_model(work.adata, work.key).genes)}
    genes = np.array([position[str(gene)] for gene in entry["genes"]], dtype=np.intp)
    parts = np.split(genes, np.cumsum(np.asarray(entry["n_genes"]))[:-1])
    return {str(name): np.sort(part) for name, part in zip(entry["sets"], parts, strict=True)}


def summarise(work: Workplace, groupby: str | None) -> None:
    """One row per unit, unless it is there."""
    if "name" in work.adata.uns.get(work.fields.units, {}).get("table", {}):  # summaries of older versions have none
        return
    tl.unit_summary(work.adata, groupby=groupby, seed=work.seed, progress=work.progress, **work.reading())
    work.ran.append("tl.unit_summary")


def read_saliency(work: Workplace, groupby: str | None = None) -> str:
    """The name of the mean gradient, over all cells or by group; it is read anew unless it is there.

    By group always: who is in which may have changed since, under the same names after a new clustering.
    """
    name = work.fields.saliency(groupby).replace("/", " ")  # a file would take a slash for a folder
    if groupby is None and name in work.adata.varm:
        entry = work.adata.uns.get(name, {})
        alike = {"of_model": work.key, "method": "gradient"}
        if all(str(entry.get(field)) == value for field, value in alike.items()) and entry["signed"]:
            return name
    tl.saliency(work.adata, groupby=groupby, key_added=name, **work.reading())
    if groupby is None:
        work.ran.append("tl.saliency")
    return name


def layouts(adata: AnnData, key: str, basis: str | None) -> list[str]:
    """Layouts that are there, the first to be shown."""
    return [name for name in (basis, Fields(key).umap(), "X_umap") if name is not None and name in adata.obsm]


def lay_out(work: Workplace, basis: str | None) -> str:
    """The name of the layout: what was asked for, the model's own UMAP, the object's UMAP, or a new one."""
    own = work.fields.umap()
    for name in layouts(work.adata, work.key, basis):
        return name
    representation = work.adata.obsm[work.fields.representation]
    n_cells = work.adata.n_obs
    rows = cells_to_place(n_cells, MOST_PLACED, work.seed)
    points = umap_layout(np.asarray(representation)[rows], min(UMAP_NEIGHBOURS, n_cells - 1), work.seed)
    work.adata.obsm[own] = among_all(points, rows, n_cells)
    of_some = "" if len(rows) == n_cells else f" ({len(rows)} random cells)"
    work.ran.append(f"UMAP of the representation, as by tl.embeddings{of_some}")
    return own
