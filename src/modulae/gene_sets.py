"""Gene sets: one reader for every form they come in, and which of their genes the data have."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._gene_set_sources import GMT_LINE, describe, named_sets
from ._users_line import users_line

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

ENSEMBL_ID = re.compile(r"(ENS[A-Z]*G)\d{11}(\.\d+)?")
VERSION = re.compile(r"\.\d+$")


def read_gene_sets(
    source: Mapping[str, Iterable[str]] | pd.DataFrame | str | os.PathLike[str], *, organism: str = "human"
) -> dict[str, list[str]]:
    """Read gene sets from wherever they are.

    Whitespace around names and genes is removed, and so is every repetition of a gene within its set. Sets without
    genes are left out, with a warning that names them. Case is kept: human and mouse symbols differ in nothing else.

    Parameters
    ----------
    source
        One of

        - a mapping of set name → genes;
        - the path of a GMT file, also gzipped: name, description and genes, with tabs between them (Enrichr's weights,
          as in `CD3D,1.0`, are removed);
        - a table with the columns `source` (the set) and `target` (the gene), as decoupler has them; a column
          `weight` is not read, and there is a warning where it is below 0;
        - the name of an Enrichr library, such as `"MSigDB_Hallmark_2020"` or `"GO_Biological_Process_2023"`, which
          gseapy downloads. Only this needs a network, and only a text that is no path of a file is taken for a name.
    organism
        Whose Enrichr library: `"human"`, `"mouse"`, `"fly"`, `"yeast"`, `"worm"` or `"fish"`. Ignored for all else.
        Human and mouse share Enrichr's libraries, whose symbols are in capitals.

    Returns
    -------
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
        A broken line of a GMT file, a set name that appears twice, missing values, an unknown library, or no genes at
        all.
    """
    collected: dict[str, list[str]] = {}
    for name, genes in named_sets(source, organism):
        if not isinstance(name, str):
            msg = f"the name of a gene set is {name!r}, not text. Give it as text: {str(name)!r}."
            raise TypeError(msg)
        if not name.strip():
            msg = f"a gene set without a name has the genes {listed(_genes(name, genes))}. Give it a name."
            raise ValueError(msg)
        if name.strip() in collected:
            msg = f"there are two gene sets called {name.strip()!r}. Rename one of them."
            raise ValueError(msg)
        collected[str(name.strip())] = _genes(name, genes)

    gene_sets = {name: genes for name, genes in collected.items() if genes}
    empty = [name for name in collected if name not in gene_sets]
    if not gene_sets:
        msg = f"there are no gene sets with genes in {describe(source)}. A GMT file has one set a line: {GMT_LINE}."
        raise ValueError(msg)
    if empty:
        warnings.warn(
            f"{len(empty)} gene sets have no genes and are left out: {listed(empty)}. Give them genes or remove them. "
            "(In a GMT file the second field is a description; the genes begin with the third.)",
            UserWarning,
            stacklevel=users_line(),
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
    found = {name: positions for name, positions in genes_in_data(gene_sets, names).items() if len(positions)}
    if not found:
        reason = explain_mismatch(gene_sets, names) or (
            f"The sets name genes such as {listed(_all_genes(gene_sets), 3)}, {where} such as {listed(names, 3)}: "
            "give gene sets with the same kind of names."
        )
        msg = f"no gene of the {len(gene_sets)} gene sets is in {where}. {reason}"
        raise ValueError(msg)
    return list(found), list(found.values())


def explain_mismatch(gene_sets: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Say in words why few genes of the sets are found, with the next step; empty if the reason is none that is known.

    Known are Ensembl or Entrez ids against symbols, versions at the end of Ensembl ids, and the capitals that tell
    human (`CD3D`) from mouse symbols (`Cd3d`).
    """
    wanted, there = _all_genes(gene_sets), list(names)
    if not wanted or not there:
        return ""
    kinds = _kind_of_most(wanted), _kind_of_most(there)
    if kinds[0] != kinds[1]:
        step = (
            "Put the symbols into adata.var_names (they are often a column of adata.var), then run "
            "`adata.var_names_make_unique()`."
            if kinds[0] == "symbols"
            else f"Use gene sets with {kinds[1]} (MSigDB offers each collection both ways)."
        )
        ours, theirs = (
            f"{kind} (such as {next(name for name in names if _kind_of(name) == kind)})"
            for kind, names in zip(kinds, (wanted, there), strict=True)
        )
        return f"The gene sets name {ours}, the data {theirs}. {step}"

    if _explains(_without_version, wanted, there):
        return (
            "The Ensembl ids match only without their versions (the number after the dot). Remove them: "
            '`adata.var_names = adata.var_names.str.replace(r"\\.\\d+$", "", regex=True)`.'
        )
    if _explains(str.casefold, wanted, there):
        folded = {name.casefold(): name for name in there}
        ours = next(gene for gene in wanted if folded.get(gene.casefold(), gene) != gene)
        return (
            f"The genes match only when case is ignored (sets: {ours}, data: {folded[ours.casefold()]}), as between "
            "human (CD3D) and mouse (Cd3d). Use gene sets of the species of the data; MSigDB has both."
        )
    return ""


def listed(names: Iterable[object], n: int = 5) -> str:
    """Write the first `n` names as text, and how many more there are."""
    every = [str(name) for name in names]
    return ", ".join(every[:n]) + (f", … ({len(every) - n} more)" if len(every) > n else "")


def _genes(name: object, genes: object) -> list[str]:
    """Genes as a list of text, each once."""
    if isinstance(genes, str | bytes) or not isinstance(genes, Iterable):
        msg = f"gene set {name!r} is {genes!r}, not a list of genes. Write {{{name!r}: [{genes!r}]}} for one gene."
        raise TypeError(msg)
    every = list(genes)
    for gene in every:
        if not isinstance(gene, str):
            msg = f"gene set {name!r} has {gene!r} ({type(gene).__name__}) among its genes. Give gene names, as text."
            raise TypeError(msg)
    ordered = sorted(every) if isinstance(genes, set | frozenset) else every
    return [gene for gene in dict.fromkeys(str(gene).strip() for gene in ordered) if gene]


def _all_genes(gene_sets: Mapping[str, Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(gene for genes in gene_sets.values() for gene in genes))


def _kind_of(name: str) -> str:
    if ensembl := ENSEMBL_ID.fullmatch(name):
        return f"Ensembl ids ({ensembl[1]}…)"
    return "Entrez ids" if name.isdecimal() else "symbols"


def _kind_of_most(names: Sequence[str]) -> str:
    return Counter(map(_kind_of, names)).most_common(1)[0][0]


def _without_version(name: str) -> str:
    return VERSION.sub("", name) if ENSEMBL_ID.fullmatch(name) else name


def _explains(change: Callable[[str], str], wanted: Sequence[str], there: Sequence[str]) -> bool:
    """Whether far more of the wanted genes are there once all names are changed."""
    as_they_are = set(wanted) & set(there)
    changed = {change(name) for name in wanted} & {change(name) for name in there}
    return len(changed) > 2 * len(as_they_are)
