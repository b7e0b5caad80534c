"""Errors and warnings of the functions, in the words of the command line."""

from __future__ import annotations

import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

MARKS = re.compile(r"`mo\.pp\.variable_genes\(adata, n_top_genes=(\d+)[^`]*\)`")
OPTIONS = {"n_splits": "--splits"}
"""Options that are not called like the parameter."""

WITHOUT_NAME = {"command", "action", "path", "catalogue", "first", "others"}
"""What is told by its place."""

RANKS = re.compile(r"`mo\.tl\.rank_units\(adata, groupby=\.\.\.(?:, key=('[^']*'))?\)`")
TRAINS = re.compile(r"`mo\.tl\.autoencoder\(adata(?:, key_added=('[^']*'))?\)`")


class CommandError(OSError):
    """A message in the words of the command line already."""


def in_options(message: str, options: argparse.Namespace) -> str:
    """Name the options of this command (`--max-epochs`) where a function names its parameters (`max_epochs=`)."""

    def train(found: re.Match[str]) -> str:
        return "`modulae train" + (f" --key {found[1]}`" if found[1] else "`")

    def rank(found: re.Match[str]) -> str:
        return "`modulae rank FILE --groupby COLUMN" + (f" --key {found[1]}`" if found[1] else "`")

    others = dict(OPTIONS)
    if "only_gene_sets" in options:  # what marks the genes
        others["mask_var"] = "--only-gene-sets" if options.only_gene_sets else "--variable-genes"
    names = "|".join(sorted({*vars(options), *others} - WITHOUT_NAME, key=len, reverse=True))

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name is None:  # a call in Python
            said = RANKS.sub(rank, TRAINS.sub(train, found[0]))
            return MARKS.sub(r"`--variable-genes \1`", said)
        if value and value[0] == "[":  # of a list, each is a word
            value = " ".join(part.strip() for part in value[1:-1].split(","))
        return others.get(name, f"--{name.replace('_', '-')}") + (f" {value}" if value else "")

    return re.sub(rf"`mo\.[^`]*`|(?<![\w.])({names})=('[^']*'|\[[^\]]*\]|\w)?", option, message)


@contextmanager
def warnings_in_a_line(options: argparse.Namespace) -> Iterator[None]:
    """Print each warning once, as a line without the place in the code that it comes from."""
    said: set[str] = set()

    def say(message: Warning | str, *_: Any, **__: Any) -> None:  # noqa: ANN401
        text = in_options(str(message), options)
        if text not in said:
            said.add(text)
            print(f"modulae: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = say
        yield
