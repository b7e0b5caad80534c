"""Why two lists of gene names don't match, in words, with the next step."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ENSEMBL_ID = re.compile(r"(ENS[A-Z]*G)\d{11}(\.\d+)?")
VERSION = re.compile(r"\.\d+$")

_NAMES = r"(?:GRC[a-z]|hg|mm|rn|danRer|dm|ce|susScr|Mmul_?|Rnor_?|Sscrofa)\d"
GENOME = re.compile(rf"({_NAMES}[\w.-]*?)(_)_*(?=[^_])|({_NAMES}\d*(?:-20\d\d-A)?)(-)-*(?=[^-])")
"""What Cell Ranger puts before a gene where cells of several species are mixed: `GRCh38_CD3D`, `mm10___Cd3d`; Seurat
makes hyphens of the underscores."""

MOST_HEADS = 20
"""Beginnings of names (`HLA` of `HLA-A`) that one line of advice can hold."""


def explain_mismatch(gene_sets: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """Say in words why few genes of the sets are found, with the next step; empty if the reason is none that is known.

    Known are Ensembl or Entrez ids against symbols, versions at the end of Ensembl ids, the name of the genome before
    that of the gene, R's dots for hyphens, and the capitals that tell human (`CD3D`) from mouse symbols (`Cd3d`).
    """
    wanted, available = list(dict.fromkeys(gene for genes in gene_sets.values() for gene in genes)), list(names)
    if not wanted or not available:
        return ""
    if spelling := explain_spelling(wanted, available, ours="the gene sets"):
        return spelling
    kinds = _kind_of_most(wanted), _kind_of_most(available)
    if kinds[0] != kinds[1]:
        step = (
            "Put the symbols into adata.var_names (they are often a column of adata.var), then run "
            "`adata.var_names_make_unique()`. Do so before you train: a model keeps the names that it was trained on."
            if kinds[0] == "symbols"
            else f"Use gene sets with {kinds[1]} (MSigDB offers each collection both ways)."
        )
        ours, theirs = (
            f"{kind} (such as {next(name for name in names if _kind_of(name) == kind)})"
            for kind, names in zip(kinds, (wanted, available), strict=True)
        )
        return f"The gene sets name {ours}, the data {theirs}. {step}"

    if _explains(_without_version, wanted, available):
        return (
            "The Ensembl ids match only without their versions (the number after the dot). Remove them: "
            '`adata.var_names = adata.var_names.str.replace(r"\\.\\d+$", "", regex=True)`.'
        )
    if _explains(str.casefold, wanted, available):
        folded = {name.casefold(): name for name in available}
        ours = next(gene for gene in wanted if folded.get(gene.casefold(), gene) != gene)
        return (
            f"The genes match only when case is ignored (sets: {ours}, data: {folded[ours.casefold()]}), as between "
            "human (CD3D) and mouse (Cd3d). Use gene sets of the species of the data; MSigDB has both."
        )
    return ""


def explain_spelling(wanted: Sequence[str], there: Sequence[str], *, ours: str) -> str:
    """Say what some program added to the names or changed in them, with the line that undoes it; empty if nothing.

    Parameters
    ----------
    wanted
        Names that are looked for.
    there
        Names of the data.
    ours
        Whose the first are, such as `"the gene sets"`.
    """
    spaced = [name for name in there if name != name.strip()]
    if spaced and _explains(str.strip, wanted, there):
        return (
            f"The names of genes in the data have spaces before or after them ({spaced[0]!r}). Remove "
            "them: `adata.var_names = adata.var_names.str.strip()`."
        )
    if _explains(_without_genome, wanted, there):
        return _about_genomes(wanted, there, ours)
    absent = set(wanted) - set(there)
    dotted = {name for name in there if "." in name}
    changed = [name for name in wanted if "-" in name and name in absent and name.replace("-", ".") in dotted]
    if not changed:
        return ""
    heads = Counter(name.split("-")[0] for name in changed)
    # without a backslash: Python shows the text of a KeyError with two for each
    dots = "|".join(f"(?<=^{head.replace('.', '[.]')})[.]" for head, _ in heads.most_common(MOST_HEADS))
    return (
        f"The data have dots where {ours} have hyphens ({changed[0].replace('-', '.')}, {changed[0]}), as R writes "
        f"names of columns. Put the hyphens back: `adata.var_names = adata.var_names.str.replace("
        f'"{dots}", "-", regex=True)`.'
    )


def _about_genomes(wanted: Sequence[str], there: Sequence[str], ours: str) -> str:
    """The genome stands before the names of one side."""
    bare = {_without_genome(name) for name in wanted}
    matching = [result for name in there if (result := GENOME.match(name)) and name[result.end() :] in bare]
    if not matching:
        result = next(result for name in wanted if (result := GENOME.match(name)))
        return (
            f"The genes match only without the name of the genome, which {ours} have before the gene "
            f"({result.string}). "
            f'Put it before the genes of the data too: `adata.var_names = "{result[0]}" + adata.var_names`.'
        )
    genome, mark = Counter(map(_genome, matching)).most_common(1)[0][0]
    example = next(result.string for result in matching if _genome(result)[0] == genome)
    others = sorted({_genome(result)[0] for name in there if (result := GENOME.match(name))} - {genome})
    keep = (
        f"Keep the genes of one genome (there are also those of {', '.join(others)}), "
        f'`adata = adata[:, adata.var_names.str.startswith("{genome}{mark}")].copy()`, and remove'
        if others
        else "Remove"
    )
    return (
        f"The genes match only without the name of the genome, which the data have before the gene ({example}). {keep} "
        f'it: `adata.var_names = adata.var_names.str.replace("^{genome.replace(".", "[.]")}{mark}+", "", regex=True)`.'
    )


def _genome(result: re.Match[str]) -> tuple[str, str]:
    """The genome, and what stands between it and the gene."""
    return (result[1], result[2]) if result[1] else (result[3], result[4])


def _kind_of(name: str) -> str:
    if ensembl := ENSEMBL_ID.fullmatch(name):
        return f"Ensembl ids ({ensembl[1]}…)"
    return "Entrez ids" if name.isdecimal() else "symbols"


def _kind_of_most(names: Sequence[str]) -> str:
    return Counter(map(_kind_of, names)).most_common(1)[0][0]


def _without_version(name: str) -> str:
    return VERSION.sub("", name) if ENSEMBL_ID.fullmatch(name) else name


def _without_genome(name: str) -> str:
    result = GENOME.match(name)
    return name[result.end() :] if result else name


def _explains(change: Callable[[str], str], wanted: Sequence[str], there: Sequence[str]) -> bool:
    """Whether far more of the wanted genes are there once all names are changed."""
    as_they_are = set(wanted) & set(there)
    changed = {change(name) for name in wanted} & {change(name) for name in there}
    return len(changed) > 2 * len(as_they_are)
