"""The pictures of the README and of the first pages: `python docs/overview.py` draws them anew, in half a minute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import modulae as mo

if TYPE_CHECKING:
    from anndata import AnnData

IMAGES = Path(__file__).parent / "images"
DPI = 100
LEVEL = 0.7  # below it a programme may be chance


def trained() -> AnnData:
    """Cells that come with scanpy, their programmes with names, and what differs in dividing cells."""
    adata, gene_sets = mo.datasets.pbmc68k(), mo.datasets.immune_signatures()
    mo.tl.autoencoder(adata, progress=False)
    mo.tl.unit_summary(adata, gene_sets, groupby="bulk_labels", progress=False)
    mo.tl.rank_units(adata, "phase", groups=["G2M"], reference="G1")
    return adata


def programmes(adata: AnnData, path: Path) -> None:
    """Each programme by name, with how surely it would be found again, beside the mean activity in each cell type."""
    table = mo.get.unit_summary(adata).dropna(subset=["name"]).sort_values("group_auc")
    activity = mo.get.representation(adata).groupby(adata.obs["bulk_labels"], observed=True).mean()
    activity = (activity / activity.max())[table.index.astype(activity.columns.dtype)]
    order = activity.to_numpy().argmax(axis=0).argsort(kind="stable")
    table, activity = table.iloc[order], activity.iloc[:, order]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.4, 4.4), layout="constrained", width_ratios=(1, 1.25))
    rows = np.arange(len(table))
    left.barh(rows, table["reproducibility"], color="#0072b2", height=0.7)
    left.axvline(LEVEL, color="black", linestyle="--", linewidth=1)
    left.set(yticks=rows, yticklabels=table["name"], xlim=(0, 1), xlabel="reproducibility (dashed: 0.7)")
    left.set_title("Which programmes are there, and how sure?", loc="right", fontsize=11)
    right.imshow(activity.T, aspect="auto", cmap="viridis", vmin=0, vmax=1)
    right.set(yticks=[], xticks=np.arange(len(activity)))
    right.set_xticklabels(activity.index, rotation=35, ha="right", rotation_mode="anchor")
    right.set_title("Where is each active? (mean of each cell type)", loc="left", fontsize=11)
    left.set_ylim(len(table) - 0.5, -0.5)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def under(pictures: list[Image.Image]) -> Image.Image:
    """One under the other, all as wide as the first."""
    width = pictures[0].width
    scaled = [picture.resize((width, round(picture.height * width / picture.width))) for picture in pictures]
    whole = Image.new("RGB", (width, sum(picture.height for picture in scaled)), "white")
    top = 0
    for picture in scaled:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


def main() -> None:
    """`mixtures.png` is drawn by `python -m benchmarks mixtures`."""
    adata = trained()
    programmes(adata, IMAGES / "overview.png")
    parts = [Image.open(IMAGES / name).convert("RGB") for name in ("overview.png", "mixtures.png")]
    under(parts).save(IMAGES / "overview.png", optimize=True)
    mo.tl.embeddings(adata)
    for name, drawn in {
        "first_programmes": mo.pl.unit_summary(adata),
        "first_units": mo.pl.units(adata, [2, 5, 10], color="bulk_labels"),
        "first_differences": mo.pl.rank_units(adata),
    }.items():
        ax = next(iter(drawn.values())) if isinstance(drawn, dict) else drawn
        ax.figure.savefig(IMAGES / f"{name}.png", dpi=80)
        plt.close(ax.figure)


if __name__ == "__main__":
    main()
