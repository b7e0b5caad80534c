"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modulae._adata.found_sets import MIN_GENES, MIN_SHARE
from modulae._adata.stored.fields import DEFAULT_KEY

if TYPE_CHECKING:
    import argparse


def add_names(parser: argparse.ArgumentParser) -> None:
    """What the units of a new model are named by."""
    parser.add_argument(
        "--gene-sets", metavar="GMT", help="sets to explain the programmes by; they do not change the training"
    )
    parser.add_argument("--groupby", metavar="COLUMN", help="obs column with the groups to name the programmes by")


def add_counts(parser: argparse.ArgumentParser) -> None:
    """What a model is trained on, and what it is called."""
    counts = parser.add_mutually_exclusive_group()
    counts.add_argument("--layer", help="layer with the raw counts (default: X)")
    counts.add_argument(
        "--raw",
        action="store_true",
        help="train on the counts in adata.raw; they are X of the output, as `adata.raw.to_adata()` has them",
    )
    parser.add_argument("--size-factors", default="total", help="total, none, or an obs column (default: %(default)s)")
    parser.add_argument(
        "--batch-size", type=int, help="cells per step, over all processes (default: at most 128; orthogonal: 16)"
    )
    parser.add_argument(
        "--memory-limit", default="4GB", help="what counts may take in each process (default: %(default)s)"
    )
    parser.add_argument("--batch-key", metavar="COLUMN", help="obs column with the batch of each cell")
    parser.add_argument("--key", default=DEFAULT_KEY, help="name of the model (default: %(default)s)")


def add_splits(parser: argparse.ArgumentParser) -> None:
    """Halves of the cells."""
    parser.add_argument(
        "--splits", dest="n_splits", type=int, help="times the cells are halved (default: 5); 0: one training"
    )


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Which gene sets are large enough."""
    parser.add_argument(
        "--min-genes", type=int, default=MIN_GENES, help="genes of a set in the model (default: %(default)s)"
    )
    parser.add_argument(
        "--min-share", type=float, default=MIN_SHARE, help="share of a set found in the data (default: %(default)s)"
    )


def add_output(parser: argparse.ArgumentParser, what: str, default: Path) -> None:
    """Where to write."""
    parser.add_argument("-o", "--output", type=Path, default=default, help=f"{what} (default: %(default)s)")


def add_training(parser: argparse.ArgumentParser) -> None:
    """How to train."""
    parser.add_argument("--max-epochs", type=int, help="passes over the cells at most")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, metavar="FOLDER", help="keep the training here, and go on from it")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Where to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: %(default)s)")
