"""Every kind of saliency beside controls that know nothing, on real cells."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import modulae as mo
from benchmarks import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

METHODS: dict[str, dict[str, Any]] = {
    "gradient (default)": {},
    "gradient, group − reference": {"difference": "saliency"},
    "guided, absolute, group − reference (the paper)": {"method": "guided", "signed": False, "difference": "saliency"},
    "input × gradient, group − reference": {"method": "input_x_gradient", "difference": "saliency"},
    "integrated gradients, group − reference": {"method": "integrated_gradients", "difference": "saliency"},
}

WORDS = (
    "Agreement of the explanation with that of other seeds, and with each control (Spearman, see "
    "`modulae.tl.sanity`). A level passes where other seeds agree by more than 0.1 above the best control, and that "
    "by less than 0.7; a redrawn last layer counts for units only, expression alone (no model) never, and between "
    "groups at least half of the groups have to pass by themselves. Hallmark sets; cell types of pbmc3k, each against"
    " the rest; stimulated against control cells of Kang. The settings are the defaults, with 1500 cells. `deleted` "
    "is the share of units that fall further without their own top genes than in every one of 20 draws of genes of "
    "the same expression; `seconds` are of one processor of a busy machine, controls included."
)


def data(*, short: bool) -> Iterator[tuple[str, AnnData, dict[str, list[str]], str, dict[str, Any]]]:
    """Trained cells, the sets, the labels, and what the check is given."""
    import anndata as ad

    if short or "MODULAE_DATA" not in os.environ:
        adata = mo.datasets.pbmc68k()
        given: dict[str, Any] = {"architecture": "orthogonal", **({"max_epochs": 3} if short else {})}
        mo.tl.autoencoder(adata, size_factors="n_counts", progress=False, **given)
        yield "pbmc68k", adata, mo.datasets.immune_signatures(), "bulk_labels", {}
        return
    folder = Path(os.environ["MODULAE_DATA"])
    sets = mo.read_gene_sets(folder / "hallmark_human_v2025.gmt")
    for name, file, labels, given in (
        ("pbmc3k", "pbmc3k.h5ad", "seurat_celltype", {}),
        ("Kang", "kang_ifnb_sub2000.h5ad", "stim", {"groups": ["STIM"], "reference": "CTRL"}),
    ):
        adata = ad.read_h5ad(folder / file)
        mo.pp.gene_set_mask(adata, sets)
        mo.tl.autoencoder(adata, architecture="orthogonal", mask_var="in_gene_sets", progress=False)
        yield name, adata, sets, labels, given


def run(*, short: bool) -> str:
    """All methods on all data."""
    rows = []
    for name, adata, sets, labels, given in data(short=short):
        for method, reading in list(METHODS.items())[: 1 if short else None]:
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the table says it
                mo.tl.sanity(adata, sets, groupby=labels, progress=False, **given, explanation=reading)
            seconds = time.process_time() - start
            verdict, controls = mo.get.sanity(adata), mo.get.sanity(adata, table="controls")
            units = mo.get.sanity(adata, table="units")
            kinds = controls.groupby("kind", sort=False).mean(numeric_only=True)
            for level in verdict.index.drop("deletion"):
                first = level == "units"
                rows.append(
                    {
                        "data": name if first else "",
                        "saliency": method if first else "",
                        "level": level,
                        **{kind: f"{value:.2f}" for kind, value in kinds[level.replace(" ", "_")].items()},
                        "passes": "yes" if verdict.loc[level, "passed"] else "**no**",
                        "deleted": f"{(units['deletion_beaten'] == 1).mean():.0%}" if first else "",
                        "seconds": f"{seconds:.0f}" if first else "",
                    }
                )
            print(name, method, "done", flush=True)
    return table.write("sanity", "Explanations beside networks that know nothing", WORDS, rows, short=short)
