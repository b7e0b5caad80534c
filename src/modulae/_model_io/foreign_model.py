"""A model from wherever it is, matched to the genes of new data."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.gene_names import gene_names, identifiers
from modulae._adata.stored.edits import EDITS
from modulae._adata.stored.models import model_entry, read_model
from modulae._genes.matching import explain_few, explain_no_match, match_genes, orthologue_table
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import counted, listed, verb
from modulae.core.inference.missing_genes import restrict
from modulae.core.model.fitted import Fitted

from .known_units import KnownUnits
from .model_file import TrainedModel, load_model, model_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.inference.missing_genes import Missing


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A model, and what its genes were called where it was trained."""

    fitted: Fitted
    gene_ids: NDArray[np.str_] | None  # of all the genes it knows
    original_genes: NDArray[np.str_]  # likewise: what they were called where it was trained
    fingerprint: str
    known: KnownUnits


@dataclass(frozen=True, slots=True)
class ForeignReading:
    """A model as it reads new data, and how well it can."""

    fitted: Fitted  # for the genes at hand, under the names that the new data have for them
    genes: NDArray[np.str_]  # the genes it knows, as they were called where the model was trained
    coverage: NDArray[np.float64]
    reliability: NDArray[np.float64]
    share_of_genes: float
    ambiguous: list[str]
    why_few: str  # empty where no reason is known

    def check_readable(self, minimum: float, otherwise: str = "") -> None:
        """Raise where no unit at all reaches this reliability; `otherwise` is what else can be done."""
        if (self.reliability >= minimum).any():
            return
        msg = (
            f"adata has {self.share_of_genes:.0%} of the model's genes, which is too few for all of its units "
            f"(reliability below {minimum:g}). {self.why_few or 'Take a model of these genes.'} {otherwise}"
        )
        raise ValueError(msg.rstrip())

    def warn_of_ambiguous(self) -> None:
        """Name the genes that have several rows in the new data."""
        if not self.ambiguous:
            return
        n = len(self.ambiguous)
        warnings.warn(
            f"{counted(n, 'gene of the model has', 'genes of the model have')} several rows in adata, and {verb(n)} "
            f"taken as missing ({listed(self.ambiguous)}). Keep one row of each gene to have it read.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def read_source(model: TrainedModel | Fitted | AnnData | str | os.PathLike[str], key: str) -> ForeignModel:
    """The model that a file, an AnnData or the model itself holds."""
    from anndata import AnnData

    if isinstance(model, str | os.PathLike):
        model = load_model(model)
    if isinstance(model, AnnData):
        known = KnownUnits.of(model, key)
        fitted = known.named(read_model(model, key))
        ids = identifiers(model, fitted.known_genes, None)
        transferred = model_entry(model, key).get("transfer")
        if transferred is not None:
            original = np.array([str(gene) for gene in transferred["model_genes"]])
            return ForeignModel(fitted, ids, original, str(transferred["model"]), known)
        return ForeignModel(fitted, ids, fitted.known_genes, model_fingerprint(fitted), known)
    if isinstance(model, Fitted):
        model = TrainedModel(model)
    if isinstance(model, TrainedModel):
        fitted = model.fitted
        return ForeignModel(fitted, model.gene_ids, fitted.known_genes, model_fingerprint(fitted), model.known)
    msg = (
        f"model is {type(model).__name__}; give the path of a file, what `mo.load_model` returns, or the AnnData "
        "that the model was trained on."
    )
    raise TypeError(msg)


def read_with(
    source: ForeignModel,
    adata: AnnData,
    *,
    gene_ids: str | None = None,
    orthologues: Mapping[str, str] | pd.DataFrame | None = None,
    upper_case: bool = False,
    missing: Missing = "model",
) -> ForeignReading:
    """Fit a model to the genes that `adata` has.

    Raises
    ------
    KeyError
        No gene of the model is there, or no such column of identifiers.
    """
    names = gene_names(adata)
    ours, theirs = [source.fitted.known_genes.tolist()], [names.tolist()]
    if source.original_genes.tolist() != ours[0]:
        ours.append(source.original_genes.tolist())
    for known, listed_names in ((source.gene_ids, ours), (identifiers(adata, names, gene_ids), theirs)):
        if known is not None:
            listed_names.append(known.tolist())
    match = match_genes(ours, theirs, orthologues=orthologue_table(orthologues), upper_case=upper_case)
    n_genes = len(source.fitted.genes)
    kept, others = match.found[:n_genes], match.found[n_genes:]
    if not kept.any():
        msg = f"adata has none of the model's {n_genes} genes. {explain_no_match(ours[0], theirs[0])}"
        raise KeyError(msg)
    restricted = restrict(source.fitted, kept, others, missing=missing)
    return ForeignReading(
        _renamed(restricted.fitted, names[match.columns[match.found]]),
        source.original_genes[match.found],
        restricted.coverage,
        restricted.reliability,
        float(kept.mean()),
        match.ambiguous,
        explain_few(ours[0][:n_genes], theirs[0], int(kept.sum())),
    )


def _renamed(fitted: Fitted, names: NDArray[np.str_]) -> Fitted:
    """The model with other names of all the genes it knows."""
    n_genes = len(fitted.genes)
    return replace(
        fitted,
        genes=names[:n_genes],
        config=replace(fitted.config, snapshot_epochs=()),
        training=replace(fitted.training, other_genes=names[n_genes:]),
    )


def transfer_entry(
    reading: ForeignReading, source: ForeignModel, *, missing: Missing, min_reliability: float
) -> dict[str, Any]:
    """What is stored of a reading beside the model: how well it reads, and what is known of the units."""
    known = source.known.as_dict()
    entry = {
        "model_genes": np.asarray(reading.genes, dtype=object),
        "model": source.fingerprint,
        "share_of_genes": reading.share_of_genes,
        "n_model_genes": len(source.fitted.genes),
        "n_ambiguous": len(reading.ambiguous),
        "coverage": reading.coverage.astype(np.float32),
        "reliability": reading.reliability.astype(np.float32),
        "trusted": reading.reliability >= min_reliability,
        "missing": missing,
        "min_reliability": float(min_reliability),
        **({"sets": known["sets"]} if "sets" in known else {}),
    }
    return {"transfer": entry, **{part: known[part] for part in ("replication", EDITS) if part in known}}
