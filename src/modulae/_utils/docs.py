"""Parameter descriptions that several functions share, written once."""

from __future__ import annotations

import re
from typing import TypeVar

F = TypeVar("F")

FRAGMENTS = {
    "adata": "adata\n    Cells × genes, with raw counts in `.X` or in a layer.",
    "copy": "copy\n    Return a changed copy instead of changing `adata`.",
    "key": "key\n    Name of the trained model, as given to :func:`modulae.tl.autoencoder` as `key_added`.",
    "layer": "layer\n    Layer that holds the raw counts; `.X` if `None`.",
    "model_layer": (
        "layer\n"
        "    Layer that holds the raw counts. If `None`, what the model was trained on: `.X`, or the layer that was\n"
        "    named then (`.X` too where that layer is gone)."
    ),
    "gene_sets": (
        "gene_sets\n"
        "    A dict of set name → genes, the path of a GMT file, a table with the columns `source` and `target`,\n"
        "    or the name of an Enrichr library; see :func:`modulae.read_gene_sets`."
    ),
    "min_genes": (
        "min_genes\n"
        "    Leave out sets of which the model has fewer genes: a mean over one or two says little of the set."
    ),
    "min_share": (
        "min_share\n"
        "    Leave out sets of which `adata` has a smaller share of the genes, be they in the model or not: what is\n"
        "    there no longer stands for what the name says. Data with all genes have a quarter or more of nearly\n"
        "    every set, the 2000 most variable genes a tenth of most. Of sets for another species, of which some\n"
        "    genes happen to be spelt alike, less than a tenth is found. 0 leaves out none."
    ),
    "seed": "seed\n    Seed of every random step: same seed, same machine, same numbers.",
    "device": (
        "device\n"
        '    `"auto"` (a GPU if there is one), `"cpu"`, `"cuda"`, `"mps"` or any name PyTorch knows.\n'
        "    Changes speed, never a result beyond rounding."
    ),
    "batch_size_inference": "batch_size\n    Cells per pass. Changes memory and speed, never a result beyond rounding.",
    "progress": (
        "progress\n    Show a progress bar. `None` shows one where somebody can see it: in a terminal or a notebook."
    ),
    "memory_limit": (
        "memory_limit\n"
        "    Memory for counts that are on disk while they are learnt from, such as `'500MB'`. If they\n"
        "    take more, random blocks of cells are read, shuffled and learnt from, one portion after the other (see\n"
        "    :doc:`/guide/scale`). Counts that are in memory already stay there."
    ),
    "ax": "ax\n    Where to draw; a new figure if `None`.",
}


def fill_docs(function: F) -> F:
    """Replace each docstring line that is only ``{name}``; other braces stay as they are."""

    def fill(line: re.Match[str]) -> str:
        indent, name = line.groups()
        return str(indent + FRAGMENTS[name].replace("\n", "\n" + indent))

    function.__doc__ = re.sub(r"^( *)\{(\w+)\}$", fill, function.__doc__ or "", flags=re.M)
    return function
