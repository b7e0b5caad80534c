"""Gene sets: one reader for every form they come in, and which of their genes the data have."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.by_name import by_name
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed

from .explain_names import explain_mismatch
from .gene_lists import Reading
from .set_files import GMT_LINE
from .sources import describe, named_sets

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray


@by_name
def read_gene_sets(
    source: Mapping[str, Iterable[str]] | pd.DataFrame | str | os.PathLike[str], *, organism: str = "human"
) -> dict[str, list[str]]:
    """Read gene sets from wherever they are.

    Whitespace around names and genes is removed, and so is every repetition of a gene within its set. Sets without
    genes are left out, with a warning that names them. Case is kept: human and mouse symbols differ in nothing else.

    Sets have no signs here. Where genes come with weights, those with a weight below 0 become a set of their own, with
    `(negative)` after its name; genes of weight 0 are left out. Otherwise the size of a weight is not used.

    Parameters
    ----------
    source
        One of

        - a mapping of set name → genes, or → gene → weight; of sets within groups, as in
          `{"T cell": {"activation": [...]}}`, the sets are called `"T cell: activation"`;
        - the path of a GMT file, also gzipped: name, description and genes, with tabs between them, also with Enrichr's
          weights (`CD3D,1.0`). Where the descriptions are missing, so that the second field is a gene of the file too,
          it is read as one, with a warning;
        - the path of a GMX file (`.gmx`): the same with the sets as columns;
        - a table with the columns `source` (the set) and `target` (the gene), as decoupler has them, or the path of a
          CSV or TSV file of one; weights are in the column `weight`, `mor` or `interaction`, as numbers or as words
          such as `activation` and `repression`;
        - the name of an Enrichr library, such as `"MSigDB_Hallmark_2020"` or `"GO_Biological_Process_2023"`, which
          gseapy downloads. Only this needs a network, and only a text that is no path of a file is taken for a name.
    organism
        Whose Enrichr library: `"human"`, `"mouse"`, `"fly"`, `"yeast"`, `"worm"` or `"fish"`. Ignored for all else.
        Human and mouse share Enrichr's libraries, whose symbols are in capitals.

    Returns
    -------
    `dict`
        Set name → genes, both in the order of `source` (the genes of a Python `set`, which has none, are sorted).

    Raises
    ------
    FileNotFoundError
        A path where there is no file.
    ConnectionError
        Enrichr can't be reached.
    TypeError
        Names or genes that are not text, or one text in place of a list of genes.
    ValueError
        A broken line of a GMT file, a set name that appears twice, rows without a set or a gene, weights that say
        nothing of the sign, several genes in one text, an unknown library, or no genes at all.

    Warns
    -----
    UserWarning
        Negative weights; missing genes (NaN), sets without genes, which are left out; genes that Excel has turned into
        dates; a GMT file without descriptions.

    See Also
    --------
    modulae.pp.gene_set_mask : Which genes are in any set.
    modulae.tl.signatures : Sets from reference samples.
    modulae.datasets.immune_signatures : Sets to try things on.

    Examples
    --------
    >>> mo.read_gene_sets({"T cell": ["CD3D", " CD3E", "CD3D"]})
    {'T cell': ['CD3D', 'CD3E']}
    >>> mo.read_gene_sets({"T cell": {"naive": ["CCR7", "LEF1"], "memory": ["S100A4"]}})
    {'T cell: naive': ['CCR7', 'LEF1'], 'T cell: memory': ['S100A4']}
    """
    collected: dict[str, list[str]] = {}
    reading = Reading()
    for name, given in named_sets(source, organism):
        if not isinstance(name, str):
            msg = f"the name of a gene set is {name!r}, not text. Give it as text: {str(name)!r}."
            raise TypeError(msg)
        for part, genes in reading.sets(str(name).strip(), given):
            if not name.strip():
                msg = f"a gene set without a name has the genes {listed(genes)}. Give it a name."
                raise ValueError(msg)
            if part in collected:
                msg = f"there are two gene sets called {part!r}. Rename one of them."
                raise ValueError(msg)
            collected[part] = genes
    reading.warn()

    gene_sets = {name: genes for name, genes in collected.items() if genes}
    empty = [name for name in collected if name not in gene_sets]
    if not gene_sets:
        msg = f"there are no gene sets with genes in {describe(source)}. A GMT file has one set per line: {GMT_LINE}."
        raise ValueError(msg)
    if empty:
        warnings.warn(
            f"{counted(len(empty), 'gene set has no genes and is', 'gene sets have no genes and are')} left out: "
            f"{listed(empty)}. Add genes, or remove such sets. (In a GMT file the second field is a description; "
            "the genes begin with the third.)",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    return gene_sets


def genes_in_data(gene_sets: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Positions in `names` of each set's genes, ascending; genes that are not there are left out.

    Parameters
    ----------
    gene_sets
        Set name → genes.
    names
        Gene names of the data, each once.

    Returns
    -------
    Set name → positions; empty for a set of which no gene is there.

    Raises
    ------
    ValueError
        A name appears twice, so that a gene has no one position.
    """
    position = {name: i for i, name in enumerate(names)}
    if len(position) < len(names):
        msg = "gene names appear more than once. Run `adata.var_names_make_unique()` first."
        raise ValueError(msg)
    return {
        name: np.array(sorted({position[gene] for gene in genes if gene in position}), dtype=np.intp)
        for name, genes in gene_sets.items()
    }


def found_sets(
    gene_sets: Mapping[str, Sequence[str]], names: Sequence[str] | NDArray[np.str_], *, where: str = "adata"
) -> tuple[list[str], list[NDArray[np.intp]]]:
    """Keep the sets with a gene in `names`, and give the positions of their genes; `where` is for the error.

    Raises
    ------
    ValueError
        No gene of any set is there.
    """
    names = [str(name) for name in names]
    result = {name: positions for name, positions in genes_in_data(gene_sets, names).items() if len(positions)}
    if not result:
        reason = explain_mismatch(gene_sets, names) or (
            f"The sets name genes such as {listed(_all_genes(gene_sets), 3)}, {where} such as {listed(names, 3)}: "
            "give gene sets with the same kind of names."
        )
        msg = f"no gene of the {counted(len(gene_sets), 'gene set')} is in {where}. {reason}"
        raise ValueError(msg)
    return list(result), list(result.values())


def _all_genes(gene_sets: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(gene for genes in gene_sets.values() for gene in genes))
