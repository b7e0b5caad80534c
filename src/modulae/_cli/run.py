"""What each command does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.groups import plan_groups
from modulae._adata.gene_names import gene_names
from modulae._adata.stored.fields import DEFAULT_KEY, DEFAULT_MASK, DEFAULT_VARIABLE
from modulae._genes.gene_sets import found_sets, read_gene_sets
from modulae._utils.files import check_folder, check_writable
from modulae.presets import KINALIS_2019

from .files import opened
from .output import check_output, model_kept
from .processes import joined, refuse_many
from .programmes import call, catalogue, export, match, rank
from .tables import check_tables, write_tables
from .words import summary, units

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
    command = getattr(options, "action", options.command)  # of `programmes`
    {
        "demo": demo,
        "train": train,
        "impact": impact,
        "report": report,
        "call": call,
        "rank": rank,
        "import": train,
        "export": export,
        "match": match,
    }[command](options)


def demo(options: argparse.Namespace) -> None:
    """The whole job on `datasets.pbmc68k()`."""
    from anndata import settings

    import modulae as mo

    folder = _folder(options.output)
    adata, gene_sets = mo.datasets.pbmc68k(), mo.datasets.immune_signatures()
    _say(f"{adata.n_obs} blood cells × {adata.n_vars} genes; looking for programmes …")
    mo.tl.autoencoder(adata, **_training(options))
    _say(f"explaining them with {len(gene_sets)} gene sets …")
    mo.tl.saliency(adata, device=options.device)
    mo.tl.unit_summary(adata, gene_sets, groupby="bulk_labels", device=options.device, progress=False)
    mo.tl.pathway_impact(adata, gene_sets, device=options.device)
    mo.tl.pathway_impact(adata, gene_sets, groupby="bulk_labels", min_cells=5, device=options.device)

    folder.mkdir(parents=True, exist_ok=True)
    if options.n_splits != 0:
        _save(mo.pl.replication(adata), folder / "replication.png")
    _save(mo.pl.unit_summary(adata), folder / "unit_summary.png")
    _save(mo.pl.units(adata, basis="X_umap_scanpy", color="bulk_labels"), folder / "units.png")
    _write_impact(adata, folder, groupby="bulk_labels")
    with settings.override(allow_write_nullable_strings=False):  # which readers in R don't know
        adata.write_h5ad(folder / "pbmc68k.h5ad", compression="gzip")
    write_tables(adata, folder / "pbmc68k.h5ad", key=DEFAULT_KEY)
    print(summary(adata, groupby="bulk_labels"))
    print(units(adata))
    print(f"Figures, tables and pbmc68k.h5ad are in {folder.resolve()}")


def train(options: argparse.Namespace) -> None:
    """Train on the user's cells; with torchrun, all processes train, and the first does the rest."""
    import modulae as mo

    check_writable(options.output, "--output")
    check_tables(options.output)
    settings = _settings(options)
    with opened(options.path, raw=options.raw) as file:
        adata = file.adata
        with joined(options.device) as ranks:
            ranks.from_first(lambda: check_output(file, options))
            _check_later_steps(adata, options)
            mask = _mark_genes(adata, options, ranks)
            mo.tl.autoencoder(adata, layer=options.layer, mask_var=mask, key_added=options.key, **settings)
        if not ranks.first:
            return
        with model_kept(adata, options):
            given: dict[str, Any] = {"key": options.key, "layer": options.layer, "device": options.device}
            mo.tl.saliency(adata, **given)
            progress = False if options.no_progress else None
            mo.tl.unit_summary(adata, options.gene_sets, groupby=options.groupby, progress=progress, **given)
            file.write(options.output)
    written = [options.output, *write_tables(adata, options.output, key=options.key)]
    print(summary(adata, key=options.key))
    print(units(adata, key=options.key))
    print("\n".join(f"Written: {path.resolve()}" for path in written))


def _check_later_steps(adata: AnnData, options: argparse.Namespace) -> None:
    """Refuse before the training what the summary of the units would refuse after it."""
    plan_groups(adata, options.groupby, groups=None, reference=None)
    if options.gene_sets is not None:
        found_sets(read_gene_sets(options.gene_sets), gene_names(adata))


def _mark_genes(adata: AnnData, options: argparse.Namespace, ranks: Ranks) -> str | None:
    """Name of the column that marks the genes to train on; the first process looks at the counts for all."""
    import modulae as mo

    if not options.only_gene_sets and options.variable_genes is None:
        return None
    column = DEFAULT_MASK if options.only_gene_sets else DEFAULT_VARIABLE

    def mark() -> NDArray[np.bool_]:
        if options.only_gene_sets:
            mo.pp.gene_set_mask(adata, options.gene_sets, layer=options.layer)
        else:
            given = {"n_top_genes": options.variable_genes, "layer": options.layer, "batch_key": options.batch_key}
            mo.pp.variable_genes(adata, seed=options.seed, **given)
        return np.asarray(adata.var[column], dtype=bool)

    adata.var[column] = ranks.from_first(mark)
    return column


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"size_factors": None if options.size_factors == "none" else options.size_factors}
    settings |= dict(KINALIS_2019) if options.paper else {}
    names = ("architecture", "batch_size", "batch_key", "n_latent", "replicate_over")
    given = {name: getattr(options, name) for name in names}
    settings |= {name: value for name, value in given.items() if value is not None}
    return settings | _training(options) | {"memory_limit": options.memory_limit} | catalogue(options)


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
