"""What each command does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .words import summary

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.figure import Figure


def run(options: argparse.Namespace) -> None:
    """Run the command that was asked for."""
    {"demo": demo, "train": train, "impact": impact, "report": report}[options.command](options)


def demo(options: argparse.Namespace) -> None:
    """The whole job on `datasets.pbmc68k()`."""
    import modulae as mo

    folder = _folder(options.output)
    adata, gene_sets = mo.datasets.pbmc68k(), mo.datasets.immune_signatures()
    _say(f"{adata.n_obs} blood cells × {adata.n_vars} genes, {len(gene_sets)} gene sets; training …")
    mo.pp.gene_set_mask(adata, gene_sets)
    mo.tl.autoencoder(adata, mask_var="in_gene_sets", **_training(options))
    mo.tl.saliency(adata, device=options.device)
    mo.tl.pathway_impact(adata, gene_sets, device=options.device)
    mo.tl.pathway_impact(adata, gene_sets, groupby="bulk_labels", device=options.device)
    _say("laying out the maps …")
    mo.tl.embeddings(adata, seed=options.seed)

    _save(mo.pl.history(adata), folder / "history.png")
    _save(mo.pl.embeddings(adata, color="bulk_labels"), folder / "embeddings.png")
    _save(mo.pl.units(adata), folder / "units.png")
    _write_impact(adata, folder, groupby="bulk_labels")
    adata.write_h5ad(folder / "pbmc68k.h5ad", compression="gzip")
    print(summary(adata, groupby="bulk_labels"))
    print(f"Figures, tables and pbmc68k.h5ad are in {folder.resolve()}")


def train(options: argparse.Namespace) -> None:
    """Train on the user's cells."""
    import modulae as mo

    _parent(options.output)
    adata = _read(options.h5ad)
    mask = None
    if options.gene_sets is not None:
        mo.pp.gene_set_mask(adata, options.gene_sets, layer=options.layer)
        mask = "in_gene_sets"
    settings: dict[str, Any] = {"size_factors": None if options.size_factors == "none" else options.size_factors}
    settings["batch_key"] = options.batch_key
    settings |= dict(mo.presets.KINALIS_2019) if options.paper else {}
    mo.tl.autoencoder(
        adata, layer=options.layer, mask_var=mask, key_added=options.key, **(settings | _training(options))
    )
    mo.tl.saliency(adata, key=options.key, layer=options.layer, device=options.device)
    adata.write_h5ad(options.output, compression="gzip")
    print(summary(adata, key=options.key))
    print(f"Written: {options.output.resolve()}")


def impact(options: argparse.Namespace) -> None:
    """Impact tables and heat maps of a trained model."""
    import modulae as mo

    folder = _folder(options.output)
    adata = _read(options.h5ad)
    common = {
        "key": options.key,
        "method": options.method,
        "signed": not options.absolute,
        "aggregate": options.aggregate,
        "layer": options.layer,
        "device": options.device,
    }
    mo.tl.pathway_impact(adata, options.gene_sets, **common)
    if options.groupby is not None:
        compared = {"groupby": options.groupby, "groups": options.groups, "reference": options.reference}
        mo.tl.pathway_impact(adata, options.gene_sets, **common, **compared)
    _write_impact(adata, folder, groupby=options.groupby, key=options.key)
    print(summary(adata, key=options.key, groupby=options.groupby))
    print(f"Figures and tables are in {folder.resolve()}")


def report(options: argparse.Namespace) -> None:
    """The page that explains every unit."""
    import modulae as mo

    _parent(options.output)
    adata = _read(options.h5ad)
    written = mo.report(
        adata,
        options.output,
        gene_sets=options.gene_sets,
        groupby=options.groupby,
        key=options.key,
        basis=options.basis,
        title=options.title,
        max_cells=options.max_cells,
        seed=options.seed,
        layer=options.layer,
        device=options.device,
    )
    print(f"Written: {written.resolve()}")


def _write_impact(adata: AnnData, folder: Path, *, groupby: str | None, key: str = "ae") -> None:
    import modulae as mo

    everyone = f"{key}_impact"
    mo.get.impact(adata, key=everyone).to_csv(folder / "impact.csv")
    _save(mo.pl.impact(adata, key=everyone), folder / "impact.png")
    if groupby is None:
        return
    compared = f"{key}_impact_{groupby}"
    mo.get.impact_table(adata, key=compared).to_csv(folder / "impact_by_group.csv", index=False)
    mo.get.impact_table(adata, key=compared, by_unit=True).to_csv(folder / "impact_by_group_and_unit.csv", index=False)
    _save(mo.pl.impact_groups(adata, groupby=groupby, key=compared), folder / "impact_groups.png")
    _save(mo.pl.impact_groups(adata, groupby=groupby, key=compared, value="impact"), folder / "impact_differences.png")


def _training(options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"seed": options.seed, "device": options.device}
    settings["progress"] = False if options.no_progress else None
    settings["checkpoint"] = options.checkpoint
    return settings if options.max_epochs is None else {**settings, "max_epochs": options.max_epochs}


def _read(path: Path) -> AnnData:
    import anndata

    if not path.is_file():
        msg = f"there is no file {path}. Give the path of an .h5ad file."
        raise FileNotFoundError(msg)
    try:
        return anndata.read_h5ad(path)
    except OSError as error:
        msg = f"{path} can't be read as .h5ad ({error}). Write it with `adata.write_h5ad(...)`."
        raise ValueError(msg) from error


def _folder(path: Path) -> Path:
    """Make the folder before the work, so that a wrong path costs nothing."""
    if path.exists() and not path.is_dir():
        msg = f"{path} is a file. Give a folder: --output."
        raise FileExistsError(msg)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _parent(path: Path) -> None:
    if path.is_dir() or not path.parent.is_dir():
        msg = f"{path} can't be written. Give the path of a file in a folder that exists: --output."
        raise FileNotFoundError(msg)


def _save(drawn: Any, path: Path) -> None:  # noqa: ANN401
    """Save the figure of one Axes, or of a dict of them."""
    import matplotlib.pyplot as plt

    axes = next(iter(drawn.values())) if isinstance(drawn, dict) else drawn
    figure: Figure = axes.figure
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
