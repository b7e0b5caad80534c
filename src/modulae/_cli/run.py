"""What each command does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.files import check_folder, check_writable
from modulae.presets import KINALIS_2019

from .files import opened
from .output import check_output, model_kept
from .processes import joined, refuse_many
from .words import summary

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from modulae.core.processes.ranks import Ranks


def run(options: argparse.Namespace) -> None:
    """Run the command that was asked for."""
    if options.command != "train":
        refuse_many(options.command)
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

    folder.mkdir(parents=True, exist_ok=True)
    _save(mo.pl.history(adata), folder / "history.png")
    _save(mo.pl.embeddings(adata, color="bulk_labels"), folder / "embeddings.png")
    _save(mo.pl.units(adata), folder / "units.png")
    _write_impact(adata, folder, groupby="bulk_labels")
    adata.write_h5ad(folder / "pbmc68k.h5ad", compression="gzip")
    print(summary(adata, groupby="bulk_labels"))
    print(f"Figures, tables and pbmc68k.h5ad are in {folder.resolve()}")


def train(options: argparse.Namespace) -> None:
    """Train on the user's cells; with torchrun, all processes train, and the first does the rest."""
    import modulae as mo

    check_writable(options.output, "--output")
    with opened(options.path, raw=options.raw) as file:
        adata = file.adata
        with joined(options.device) as ranks:
            ranks.from_first(lambda: check_output(file, options))
            mask = _mark_genes(adata, options, ranks)
            mo.tl.autoencoder(adata, layer=options.layer, mask_var=mask, key_added=options.key, **_settings(options))
        if not ranks.first:
            return
        with model_kept(adata, options):
            mo.tl.saliency(adata, key=options.key, layer=options.layer, device=options.device)
            file.write(options.output)
    print(summary(adata, key=options.key))
    print(f"Written: {options.output.resolve()}")


def _mark_genes(adata: AnnData, options: argparse.Namespace, ranks: Ranks) -> str | None:
    """Name of the column that marks the genes of the sets; the first process looks at the counts for all."""
    import modulae as mo

    if options.gene_sets is None:
        return None

    def mark() -> NDArray[np.bool_]:
        mo.pp.gene_set_mask(adata, options.gene_sets, layer=options.layer)
        return np.asarray(adata.var["in_gene_sets"], dtype=bool)

    adata.var["in_gene_sets"] = ranks.from_first(mark)
    return "in_gene_sets"


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"size_factors": None if options.size_factors == "none" else options.size_factors}
    settings |= dict(KINALIS_2019) if options.paper else {}
    given = {name: getattr(options, name) for name in ("architecture", "batch_size", "batch_key")}
    settings |= {name: value for name, value in given.items() if value is not None}
    return settings | _training(options) | {"memory_limit": options.memory_limit}


def impact(options: argparse.Namespace) -> None:
    """Impact tables and heat maps of a trained model."""
    folder = _folder(options.output)
    with opened(options.path) as file:
        _impact(file.adata, options, folder)
    print(f"Figures and tables are in {folder.resolve()}")


def _impact(adata: AnnData, options: argparse.Namespace, folder: Path) -> None:
    import modulae as mo

    explanation = {"method": options.method, "signed": not options.absolute, "aggregate": options.aggregate}
    if options.difference is not None:
        explanation["difference"] = options.difference
    common = {
        "key": options.key,
        "explanation": explanation,
        "min_genes": options.min_genes,
        "min_share": options.min_share,
        "layer": options.layer,
        "device": options.device,
    }
    mo.tl.pathway_impact(adata, options.gene_sets, **common)
    if options.groupby is not None:
        compared = {name: getattr(options, name) for name in ("groupby", "groups", "reference")}
        compared = {name: value for name, value in compared.items() if value is not None}
        mo.tl.pathway_impact(adata, options.gene_sets, **common, **compared)
    _write_impact(adata, folder, groupby=options.groupby, key=options.key)
    print(summary(adata, key=options.key, groupby=options.groupby))


def report(options: argparse.Namespace) -> None:
    """The page that explains every unit."""
    import modulae as mo

    check_writable(options.output, "--output")
    with opened(options.path) as file:
        written = mo.report(
            file.adata,
            options.output,
            gene_sets=options.gene_sets,
            groupby=options.groupby,
            min_genes=options.min_genes,
            min_share=options.min_share,
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

    folder.mkdir(parents=True, exist_ok=True)
    mo.get.impact(adata, key=key).to_csv(folder / "impact.csv")
    _save(mo.pl.impact(adata, key=key), folder / "impact.png")
    if groupby is None:
        return
    compared = f"{key}_impact_{groupby}"
    for file, by_unit in (("impact_by_group", False), ("impact_by_group_and_unit", True)):
        table = mo.get.impact_table(adata, key=key, result=compared, by_unit=by_unit)
        table.to_csv(folder / f"{file}.csv", index=False)
    _save(mo.pl.impact_groups(adata, groupby=groupby, key=key), folder / "impact_groups.png")
    _save(mo.pl.impact_groups(adata, groupby=groupby, key=key, value="impact"), folder / "impact_differences.png")


def _training(options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"seed": options.seed, "device": options.device}
    settings["progress"] = False if options.no_progress else None
    settings["checkpoint"] = options.checkpoint
    given = {"n_splits": options.n_splits, "max_epochs": options.max_epochs}
    return settings | {name: value for name, value in given.items() if value is not None}


def _folder(path: Path) -> Path:
    """Refuse a wrong path before the work; the folder is made when there is something to put into it."""
    available = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not available.is_dir():
        msg = f"{available} is a file. Give a folder: --output."
        raise FileExistsError(msg)
    check_folder(available, "Give another folder: --output")
    return path


def _save(drawn: Any, path: Path) -> None:  # noqa: ANN401
    """Save the figure of one Axes, or of a dict of them."""
    import matplotlib.pyplot as plt

    axes = next(iter(drawn.values())) if isinstance(drawn, dict) else drawn
    figure: Figure = axes.figure
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
