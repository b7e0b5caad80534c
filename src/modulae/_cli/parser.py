"""The words of the command line."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from modulae._adata.found_sets import MIN_GENES, MIN_SHARE
from modulae._adata.stored.fields import DEFAULT_KEY

EXAMPLES = """examples:
  python -m modulae demo
  python -m modulae train cells.h5ad --gene-sets hallmark.gmt --output trained.h5ad
  torchrun --nproc-per-node 2 -m modulae train atlas.zarr --output trained.h5ad
  python -m modulae impact trained.h5ad --gene-sets hallmark.gmt --groupby condition --output results
  python -m modulae report trained.h5ad --gene-sets hallmark.gmt --groupby cell_type --output modules.html
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the words; exits with 2 where they make no sense, as every command does."""
    parser = command_parser()
    options = parser.parse_args(arguments)
    if options.command == "impact" and options.groupby is None:
        for name, given in {
            "groups": options.groups,
            "reference": options.reference,
            "difference": options.difference,
        }.items():
            if given is not None:
                parser.error(f"--{name} needs the obs column of the groups: --groupby COLUMN")
    if options.command == "train" and options.only_gene_sets and options.gene_sets is None:
        parser.error("--only-gene-sets needs the sets: --gene-sets GMT")
    return options


def command_parser() -> argparse.ArgumentParser:
    """What reads the words."""
    parser = argparse.ArgumentParser(
        prog="modulae",
        description="Which biological programmes govern these cells, and which pathways explain why two groups differ.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"modulae {version('modulae')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{demo,train,impact,report}")
    _add_demo(commands)
    _add_train(commands)
    _add_impact(commands)
    _add_report(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="the whole job on 700 real blood cells that come with scanpy",
        description="Train on 700 real blood cells (no download), explain the units, and write figures, tables and the "
        "finished .h5ad to a folder.",
    )
    _add_output(demo, "folder to write to", Path("modulae-demo"))
    _add_training(demo)
    _add_common(demo)


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = commands.add_parser(
        "train",
        help="train on the raw counts of an .h5ad file or a .zarr folder",
        description="Train on the raw counts of an .h5ad file or a .zarr folder, which need not fit into memory; write "
        "a copy with the representation, the saliencies and the model in it, and beside it two tables (CSV): the units "
        "with their genes and how surely they would be found again, and the loadings. Started by torchrun, several "
        "processes or GPUs train one model.",
    )
    train.add_argument("path", type=Path, help="file or folder with raw counts")
    train.add_argument(
        "--gene-sets", metavar="GMT", help="sets to explain the units by; they do not change the training"
    )
    train.add_argument("--groupby", metavar="COLUMN", help="obs column with the groups to name the units by")
    genes = train.add_mutually_exclusive_group()
    genes.add_argument("--variable-genes", type=int, metavar="N", help="train on the N genes that vary most")
    genes.add_argument(
        "--only-gene-sets", action="store_true", help="train on the genes of --gene-sets only, as the paper does"
    )
    train.add_argument(
        "--n-latent", type=_number_or_auto, metavar="N", help="units at most, or auto: as many as replicate (default)"
    )
    train.add_argument(
        "--replicate-over", metavar="COLUMN", help="obs column with the donors that the halves consist of"
    )
    _add_output(train, ".h5ad file or .zarr folder to write", Path("modulae.h5ad"))
    counts = train.add_mutually_exclusive_group()
    counts.add_argument("--layer", help="layer with the raw counts (default: X)")
    counts.add_argument(
        "--raw",
        action="store_true",
        help="train on the counts in adata.raw; they are X of the output, as `adata.raw.to_adata()` has them",
    )
    train.add_argument("--size-factors", default="total", help="total, none, or an obs column (default: %(default)s)")
    train.add_argument("--architecture", choices=["parts", "orthogonal"], help="of the model (default: parts)")
    train.add_argument(
        "--batch-size", type=int, help="cells a step, over all processes (default: at most 128; orthogonal: 16)"
    )
    train.add_argument(
        "--memory-limit", default="4GB", help="what counts may take in each process (default: %(default)s)"
    )
    train.add_argument("--batch-key", metavar="COLUMN", help="obs column with the batch of each cell")
    train.add_argument("--paper", action="store_true", help="settings of Kinalis et al. 2019 (slow)")
    train.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")
    _add_training(train)
    _add_common(train)


def _number_or_auto(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _add_impact(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    impact = commands.add_parser(
        "impact",
        help="impact of gene sets on the units of a trained model",
        description="Sum the saliencies of a trained model to gene sets; write tables (CSV) and heat maps to a folder.",
    )
    impact.add_argument("path", type=Path, help="what `modulae train` wrote")
    impact.add_argument("--gene-sets", metavar="GMT", required=True, help="the sets")
    _add_sizes(impact)
    _add_output(impact, "folder to write to", Path("modulae-impact"))
    impact.add_argument("--groupby", help="obs column whose groups to compare")
    impact.add_argument("--groups", nargs="+", metavar="GROUP", help="only these groups")
    impact.add_argument("--reference", help="a group, or rest (default: rest)")
    impact.add_argument(
        "--difference",
        choices=["activity", "saliency"],
        help="what is compared; saliency: as the paper does (default: activity)",
    )
    impact.add_argument(
        "--method",
        default="gradient",
        choices=["gradient", "guided", "input_x_gradient", "integrated_gradients"],
        help="saliency (default: %(default)s)",
    )
    impact.add_argument("--absolute", action="store_true", help="average |saliency|, as the paper does")
    impact.add_argument("--aggregate", default="mean", choices=["mean", "median"], help="over the genes of a set")
    impact.add_argument("--layer", help="layer with the raw counts (default: X)")
    impact.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")
    _add_common(impact)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="one HTML page on which the units can be looked at",
        description="Write one HTML page that explains every unit of a trained model; it opens from the disk.",
    )
    report.add_argument("path", type=Path, help="what `modulae train` wrote")
    report.add_argument("--gene-sets", metavar="GMT", help="the sets to name the units by")
    _add_sizes(report)
    report.add_argument("--groupby", nargs="+", metavar="COLUMN", help="obs columns with groups of cells")
    _add_output(report, "file to write", Path("modules.html"))
    report.add_argument("--basis", help="layout in obsm (default: a UMAP of the representation)")
    report.add_argument("--title", help="head of the page")
    report.add_argument("--max-cells", type=int, default=20_000, help="cells drawn at most (default: %(default)s)")
    report.add_argument("--layer", help="layer with the raw counts (default: X)")
    report.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")
    report.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    _add_common(report)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-genes", type=int, default=MIN_GENES, help="genes of a set in the model (default: %(default)s)"
    )
    parser.add_argument(
        "--min-share", type=float, default=MIN_SHARE, help="share of a set found in the data (default: %(default)s)"
    )


def _add_output(parser: argparse.ArgumentParser, what: str, default: Path) -> None:
    parser.add_argument("-o", "--output", type=Path, default=default, help=f"{what} (default: %(default)s)")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--splits", dest="n_splits", type=int, help="times the cells are halved (default: 5); 0: one training"
    )
    parser.add_argument("--max-epochs", type=int, help="passes over the cells at most")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="keep the training here, and go on from it")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
