"""The picture of the landing page and the README: `python docs/overview.py` draws it anew, in half a minute."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from PIL import Image

import modulae as mo

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

TARGET = Path(__file__).parent / "images" / "overview.png"
DPI = 100
GAP = 20  # pixels


def trained() -> tuple[AnnData, str, str]:
    """Cells that come with scanpy, and the units that two sets move most."""
    adata, gene_sets = mo.datasets.pbmc68k(), mo.datasets.immune_signatures()
    mo.tl.autoencoder(adata, progress=False)
    mo.tl.unit_summary(adata, gene_sets, groupby="bulk_labels", progress=False)
    mo.tl.embeddings(adata)
    mo.tl.pathway_impact(adata, gene_sets)
    mo.tl.pathway_impact(adata, gene_sets, groupby="bulk_labels")
    impact = mo.get.impact(adata)
    return adata, str(impact.loc["CYTOTOXICITY"].idxmax()), str(impact.loc["MHC_CLASS_II"].idxmax())


def picture(figure: Figure) -> Image.Image:
    """The pixels of a figure."""
    held = io.BytesIO()
    figure.savefig(held, dpi=DPI)
    plt.close(figure)
    return Image.open(held).convert("RGB")


def beside(pictures: list[Image.Image]) -> Image.Image:
    """One row."""
    row = Image.new(
        "RGB", (sum(p.width for p in pictures) + GAP * (len(pictures) - 1), max(p.height for p in pictures)), "white"
    )
    left = 0
    for one in pictures:
        row.paste(one, (left, 0))
        left += one.width + GAP
    return row


def main() -> None:
    """Cells and two units above; what the units read, and what tells a cell type apart, below."""
    adata, first, second = trained()
    top = picture(mo.pl.units(adata, [first, second], color="bulk_labels")[first].figure)
    below = beside(
        [
            picture(mo.pl.enrichment(adata).figure),
            picture(mo.pl.impact(adata, result="ae_impact_bulk_labels", group="CD19+ B", min_unit_impact=0.1).figure),
        ]
    )
    whole = Image.new("RGB", (max(top.width, below.width), top.height + GAP + below.height), "white")
    whole.paste(top, ((whole.width - top.width) // 2, 0))
    whole.paste(below, ((whole.width - below.width) // 2, top.height + GAP))
    whole.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
