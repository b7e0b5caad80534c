"""Which gene of new data is which gene of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modulae._utils.text import listed, whole_as_text

from .explain_names import ENSEMBL_ID, VERSION, explain_mismatch, explain_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray


CAPITALS = (
    "The names differ in their capitals, as mouse and human symbols do. Give a table of orthologues (orthologues=), or "
    "take equal letters for the same gene: upper_case=True."
)


@dataclass(frozen=True, slots=True)
class GeneMatch:
    """Where each gene of the model stands in the data."""

    columns: NDArray[np.intp]  # model genes: position in the data, −1 where it is not found
    ambiguous: list[str]  # names of the data that stand for one gene several times, and so for none

    @property
    def found(self) -> NDArray[np.bool_]:
        """Model genes: whether the data have it."""
        return self.columns >= 0


def match_genes(
    model: Sequence[Sequence[str]],
    data: Sequence[Sequence[str]],
    *,
    orthologues: Mapping[str, str] | None = None,
    upper_case: bool = False,
) -> GeneMatch:
    """Match genes by name, one to one.

    Every way of naming the model's genes is tried on every way of naming the data's, in their order; what an earlier
    pair has matched stays. Versions of Ensembl ids (`ENSG00000167286.10`) count only where both sides have the same.

    Parameters
    ----------
    model
        Names of the model's genes: symbols, and identifiers where they are known.
    data
        Names of the data's genes, likewise.
    orthologues
        Name in the data → name in the model. What it does not name keeps its own name.
    upper_case
        Compare the data's names in capitals.
    """
    columns = np.full(len(model[0]), -1, dtype=np.intp)
    ambiguous: dict[str, None] = {}
    for theirs in data:
        translated = _translated(theirs, orthologues, upper_case=upper_case)
        for ours in model:
            for form in (str, without_version):
                _match(columns, ours, translated, form, ambiguous)
    return GeneMatch(columns, list(ambiguous))


def explain_no_match(model: Sequence[str], data: Sequence[str]) -> str:
    """Say why hardly any gene was found, with the next step."""
    if spelling := explain_spelling(model, data, ours="the model's genes"):
        return spelling
    if _kind(model) == _kind(data) and _same_letters(model, data):
        return CAPITALS
    if _kind(model) != _kind(data):
        return (
            f"The model names {_kind(model)} (such as {model[0]}), the data {_kind(data)} (such as {data[0]}). "
            "Name the column of adata.var that holds the other names: gene_ids=."
        )
    return explain_mismatch({"model": list(model)}, list(data)) or (
        f"The model has {listed(model, 3)}; the data {listed(data, 3)}. Check that both come from the same species."
    )


def explain_few(model: Sequence[str], data: Sequence[str], n_found: int) -> str:
    """Say why few genes were found, where it is how the others are written; empty otherwise."""
    return (
        CAPITALS
        if len(_same_letters(model, data)) > 2 * n_found
        else explain_spelling(model, data, ours="the model's genes")
    )


def _same_letters(model: Sequence[str], data: Sequence[str]) -> set[str]:
    return {name.upper() for name in data} & {name.upper() for name in model}


def orthologue_table(given: Mapping[str, str] | pd.DataFrame | None) -> dict[str, str] | None:
    """Name in the data → name in the model, of the one-to-one orthologues.

    Parameters
    ----------
    given
        A mapping, or a table whose first column names genes of the data, whose second those of the model.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        pairs = [(str(ours), str(theirs)) for ours, theirs in given.items()]
    else:
        if getattr(given, "ndim", 0) != 2 or given.shape[1] < 2:
            msg = (
                f"orthologues is {type(given).__name__}; give a dict of name in adata → name in the model, or a table "
                "with these two columns first."
            )
            raise TypeError(msg)
        known = given.iloc[:, :2].dropna().drop_duplicates()
        pairs = [(str(ours), str(theirs)) for ours, theirs in known.itertuples(index=False)]
    first, second = Counter(ours for ours, _ in pairs), Counter(theirs for _, theirs in pairs)
    return {ours: theirs for ours, theirs in pairs if first[ours] == 1 and second[theirs] == 1}


def without_version(name: str) -> str:
    """An Ensembl id without the version after the dot, a number without the `.0` of a float; else the name as it is."""
    return VERSION.sub("", name) if ENSEMBL_ID.fullmatch(name) else whole_as_text(name)


def _translated(names: Iterable[str], orthologues: Mapping[str, str] | None, *, upper_case: bool) -> list[str]:
    translated = list(names)
    if orthologues is not None:
        bare = {without_version(ours): theirs for ours, theirs in orthologues.items()}
        translated = [orthologues.get(name) or bare.get(without_version(name), name) for name in translated]
    return [name.upper() for name in translated] if upper_case else translated


def _match(
    columns: NDArray[np.intp],
    ours: Sequence[str],
    theirs: Sequence[str],
    form: Callable[[str], str],
    ambiguous: dict[str, None],
) -> None:
    """Fill in what is still open, with genes of the data that are still free."""
    taken = set(columns[columns >= 0].tolist())
    free = [(form(name), index) for index, name in enumerate(theirs) if index not in taken and name]
    often = Counter(name for name, _ in free)
    twice = Counter(map(form, ours))
    available = dict(free)
    for gene in np.flatnonzero(columns < 0):
        name = form(ours[int(gene)])
        if often[name] > 1 and twice[name] == 1:
            ambiguous[name] = None
        elif often[name] == 1 and twice[name] == 1:
            columns[gene] = available[name]


def _kind(names: Sequence[str]) -> str:
    ids = sum(ENSEMBL_ID.fullmatch(name) is not None for name in names)
    return "Ensembl ids" if 2 * ids > len(names) else "symbols"
