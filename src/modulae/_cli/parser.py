"""The words of the command line."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

from modulae._adata.stored.fields import DEFAULT_KEY

from .options import add_common, add_counts, add_names, add_output, add_sizes, add_splits, add_training
from .programmes_parser import add_call, add_programmes, add_rank

EXAMPLES = """examples:
  python -m modulae demo
  python -m modulae train cells.h5ad --gene-sets hallmark.gmt --output trained.h5ad
  torchrun --nproc-per-node 2 -m modulae train atlas.zarr --output trained.h5ad
  python -m modulae impact trained.h5ad --gene-sets hallmark.gmt --groupby condition --output results
  python -m modulae call trained.h5ad --fdr 0.05 --cells cells.csv --output called.csv
  python -m modulae rank trained.h5ad --groupby condition --within cell_type --donor-key patient --output ranked.csv
  python -m modulae programmes match trained.h5ad catalogue.tsv --output matched.csv
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
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="{demo,train,impact,call,rank,programmes,report}"
    )
    _add_demo(commands)
    _add_train(commands)
    _add_impact(commands)
    add_call(commands)
    add_rank(commands)
    add_programmes(commands)
    _add_report(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="the whole job on 700 real blood cells that come with scanpy",
        description="Train on 700 real blood cells (no download), explain the programmes, and write figures, tables "
        "and the finished .h5ad to a folder.",
    )
    add_output(demo, "folder to write to", Path("modulae-demo"))
    add_splits(demo)
    add_training(demo)
    add_common(demo)


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    train = commands.add_parser(
        "train",
        help="train on the raw counts of an .h5ad file or a .zarr folder",
        description="Train on the raw counts of an .h5ad file or a .zarr folder, which need not fit into memory; write "
        "a copy with the representation, the saliencies and the model in it, and beside it two tables (CSV): the "
        "programmes with their genes and how surely they would be found again, and the loadings. Started by torchrun, "
        "several processes or GPUs train one model.",
    )
    train.add_argument("path", type=Path, help="file or folder with raw counts")
    add_names(train)
    genes = train.add_mutually_exclusive_group()
    genes.add_argument("--variable-genes", type=int, metavar="N", help="train on the N genes that vary most")
    genes.add_argument(
        "--only-gene-sets", action="store_true", help="train on the genes of --gene-sets only, as the paper does"
    )
    train.add_argument(
        "--n-latent",
        type=_number_or_auto,
        metavar="N",
        help="programmes at most, or auto: as many as replicate (default)",
    )
    train.add_argument(
        "--replicate-over", metavar="COLUMN", help="obs column with the donors that the halves consist of"
    )
    add_output(train, ".h5ad file or .zarr folder to write", Path("modulae.h5ad"))
    add_counts(train)
    train.add_argument("--architecture", choices=["parts", "orthogonal"], help="of the model (default: parts)")
    train.add_argument("--paper", action="store_true", help="settings of Kinalis et al. 2019 (slow)")
    add_splits(train)
    add_training(train)
    add_common(train)


def _number_or_auto(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _add_impact(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    impact = commands.add_parser(
        "impact",
        help="impact of gene sets on the programmes of a trained model",
        description="Sum the saliencies of a trained model to gene sets; write tables (CSV) and heat maps to a folder.",
    )
    impact.add_argument("path", type=Path, help="what `modulae train` wrote")
    impact.add_argument("--gene-sets", metavar="GMT", required=True, help="the sets")
    add_sizes(impact)
    add_output(impact, "folder to write to", Path("modulae-impact"))
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
    add_common(impact)


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="one HTML page that shows every programme",
        description="Write one HTML page that explains every programme of a trained model; it opens from the disk.",
    )
    report.add_argument("path", type=Path, help="what `modulae train` wrote")
    report.add_argument("--gene-sets", metavar="GMT", help="the sets to explain the programmes by")
    add_sizes(report)
    report.add_argument("--groupby", nargs="+", metavar="COLUMN", help="obs columns with groups of cells")
    add_output(report, "file to write", Path("modules.html"))
    report.add_argument("--basis", help="layout in obsm (default: a UMAP of the representation)")
    report.add_argument("--title", help="title of the page")
    report.add_argument("--max-cells", type=int, default=20_000, help="cells drawn at most (default: %(default)s)")
    report.add_argument("--layer", help="layer with the raw counts (default: X)")
    report.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")
    report.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    add_common(report)
