"""The words of `modulae call`, `modulae rank` and `modulae programmes`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modulae._adata.stored.fields import DEFAULT_KEY

from .options import add_common, add_counts, add_names, add_output, add_training

if TYPE_CHECKING:
    import argparse

TRAINED = "what `modulae train` wrote"


def add_rank(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Which programmes differ between groups."""
    rank = commands.add_parser(
        "rank",
        help="which programmes differ between groups of cells",
        description="Compare the activity of every programme between groups of cells, within each cell type, over "
        "donors or cells; write a table (CSV).",
    )
    rank.add_argument("path", type=Path, help=TRAINED)
    rank.add_argument("--groupby", metavar="COLUMN", required=True, help="obs column with the groups to compare")
    rank.add_argument("--groups", nargs="+", metavar="GROUP", help="only these groups")
    rank.add_argument("--reference", default="rest", help="a group, or rest (default: %(default)s)")
    rank.add_argument("--within", metavar="COLUMN", help="obs column to compare within, such as the cell type")
    rank.add_argument("--donor-key", metavar="COLUMN", help="obs column with the donors, the replicates")
    rank.add_argument("--min-cells", type=int, default=10, help="cells that each side needs (default: %(default)s)")
    rank.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    _add_key(rank)
    add_output(rank, "table to write", Path("ranked.csv"))


def add_call(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """In which cells programmes are on."""
    call = commands.add_parser(
        "call",
        help="in which cells each programme is on",
        description="Decide in which cells each programme is on, at a false discovery rate; write a table with a row "
        "per programme (CSV), and with --cells one with a row per cell.",
    )
    call.add_argument("path", type=Path, help=TRAINED)
    call.add_argument("--fdr", type=float, default=0.05, help="share of false calls (default: %(default)s)")
    call.add_argument("--cells", metavar="CSV", type=Path, help="table to write: cells × programmes, empty if unknown")
    call.add_argument("--layer", help="layer with the raw counts (default: that of the training)")
    call.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    _add_key(call)
    add_output(call, "table to write", Path("called.csv"))
    add_common(call)


def add_programmes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Catalogues of programmes, in and out and compared."""
    programmes = commands.add_parser(
        "programmes",
        help="programmes of other tools and for them: import, export, match",
        description="Programmes of other tools on your cells, yours for other tools, and which is which.",
    )
    actions = programmes.add_subparsers(dest="action", required=True, metavar="{import,export,match}")
    _add_import(actions)
    _add_export(actions)
    _add_match(actions)


def _add_import(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    taken = actions.add_parser(
        "import",
        help="make a model of the programmes of a catalogue on your cells",
        description="Make a model of the programmes of a catalogue on the raw counts of an .h5ad file or a .zarr "
        "folder; write what `modulae train` writes.",
    )
    taken.add_argument("path", type=Path, help="file or folder with raw counts")
    _add_catalogue(taken, "catalogue", "table or GMT file of programmes, as of cNMF, starCAT, GeneNMF")
    taken.add_argument(
        "--fixed", action="store_true", help="leave the loadings as given (default: they are fitted to the cells)"
    )
    taken.add_argument("--variable-genes", type=int, metavar="N", help="train on the N genes that vary most")
    add_names(taken)
    add_counts(taken)
    add_output(taken, ".h5ad file or .zarr folder to write", Path("modulae.h5ad"))
    add_training(taken)
    add_common(taken)
    none = dict.fromkeys(("architecture", "n_latent", "n_splits", "replicate_over"))
    taken.set_defaults(only_gene_sets=False, paper=False, **none)


def _add_export(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = actions.add_parser(
        "export",
        help="write the programmes of a trained model for other tools",
        description="Write the programmes of a trained model: a table with all loadings, a GMT file, a starCAT "
        "reference, MuData, or an Excel workbook with all tables.",
    )
    export.add_argument("path", type=Path, help=TRAINED)
    export.add_argument("--units", nargs="+", metavar="UNIT", help="only these, by number or name")
    export.add_argument(
        "--format",
        default="auto",
        choices=["auto", "table", "gmt", "starcat", "mudata", "excel"],
        help="of the file; auto: by its ending, .csv, .tsv, .gmt, .h5mu or .xlsx (default: %(default)s)",
    )
    export.add_argument(
        "--n-genes",
        type=int,
        default=50,
        help="genes of each programme in a GMT file or a workbook (default: %(default)s)",
    )
    export.add_argument("--layer", help="layer with the raw counts (default: X)")
    _add_key(export)
    add_output(export, "file to write", Path("programmes.tsv"))


def _add_match(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    match = actions.add_parser(
        "match",
        help="which programme of one model or catalogue is which of another",
        description="Say which programme is which of another model or catalogue, or of several; write a table (CSV).",
    )
    model = "trained model (.h5ad, .zarr), or table or GMT file of programmes"
    match.add_argument("first", type=Path, help=model)
    match.add_argument("others", type=Path, nargs="+", help="the same, one or more")
    match.add_argument(
        "--of", default="best", choices=["best", "similarity"], help="partners, or all pairs (default: %(default)s)"
    )
    match.add_argument("--max-q", type=float, default=0.05, help="of a programme that is found (default: %(default)s)")
    match.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    _add_key(match)
    add_output(match, "table to write", Path("matched.csv"))


def _add_catalogue(parser: argparse.ArgumentParser, name: str, what: str) -> None:
    parser.add_argument(name, type=Path, help=what)
    parser.add_argument(
        "--scale",
        choices=["weights", "log1p", "counts", "tpm", "scaled", "z_score"],
        help="what its numbers are (default: by the name of the file, else weights)",
    )
    parser.add_argument(
        "--genes-in", default="auto", choices=["auto", "rows", "columns"], help="of the table (default: %(default)s)"
    )


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")
