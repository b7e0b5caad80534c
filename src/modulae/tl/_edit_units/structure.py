"""A model with fewer units: some put together, some taken out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.columns.batches import in_batch
from modulae._adata.counts import open_cells
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.steps import step
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.inference.encode import encode
from modulae.core.inference.training_summary import summarise
from modulae.core.inference.unit_importance import reconstruction_loss
from modulae.core.model.edited_parts import likeness, merged_parts, without_parts
from modulae.core.model.parts import PartsNetwork
from modulae.core.processes.ranks import ALONE
from modulae.core.training.replication.draw import random_cells
from modulae.tl._autoencoder.learnt import MOST_UNSEEN, cells_to_learn, has_counts

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae._counts.stored_counts import Counts, StoredCounts
    from modulae.core.data.source import Source
    from modulae.core.model.fitted import Fitted

    from .asked import Asked

ALIKE = 0.8
"""Cosine of loadings, or correlation of activity, from which on two units may be one programme.

What two halves of the cells find of one programme has 0.9 and more in both (pbmc3k: 0.89 to 0.99 and 0.94 to 1.00),
different programmes of one model at most 0.77 and 0.76 (pbmc3k, Kang)."""

LEARN_FROM = 10_000
"""Training cells that the activity of merged units is learnt from, at most."""

PER_UNIT = ("found", "similarity", "reproducibility", "held", "few_cells")
"""What is known of how units replicate that has an entry for each unit."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A model with its representation of the cells, and what its units cost."""

    fitted: Fitted
    representation: NDArray[np.float32]
    counts: Counts | StoredCounts
    losses: tuple[float, float]  # of held-out cells, before and after


def check_can_change(adata: AnnData, fitted: Fitted, entry: dict[str, Any], key: str) -> None:
    """Refuse to put units together or take them out where that can't be done soundly.

    Raises
    ------
    ValueError
        The orthogonal architecture, a model from elsewhere, or not the cells it was trained on.
    """
    architecture, name = fitted.network.architecture, f"the model {key!r}"
    aside = "technical= keeps units in the model and leaves them out of tables and pictures"
    if not isinstance(fitted.network, PartsNetwork):
        msg = (
            f"{name} has the architecture {architecture!r}, whose units are decoded together, so that none can be "
            f"taken out or merged with another. Use rename= and technical=: {aside}; or train one of parts."
        )
    elif "transfer" in entry:
        msg = (
            f"{name} was trained on other cells. Merge and drop units where it was trained, and transfer it again; or "
            f"use technical=: {aside}."
        )
    elif len(fitted.test_cells) != adata.n_obs:
        msg = (
            f"{name} was trained on {len(fitted.test_cells)} cells, and adata has {adata.n_obs}. Merge and drop units "
            f"where all of them are, and choose cells afterwards; or use technical=: {aside}."
        )
    else:
        return
    raise ValueError(msg)


def warn_if_unlike(adata: AnnData, fitted: Fitted, asked: Asked, *, key: str) -> None:
    """Say so where units are put together that are not alike: they may be different programmes."""
    loadings, units = np.asarray(fitted.network.loadings), np.asarray(model_units(adata, key))  # type: ignore[attr-defined]
    for group in map(list, asked.merge):
        one, two, cosine, r = likeness(loadings[group], units[:, group])
        if max(cosine, r) < ALIKE:
            warnings.warn(
                f"units {group[one]} and {group[two]} are merged, and may be different programmes: the cosine of their "
                f"loadings is {cosine:.2f}, and the correlation of their activities {r:.2f}; of one programme found "
                f"twice, both are about 0.9 or more. To take it back: {step('tl.edit_units', 'undo=True', key=key)}.",
                UserWarning,
                stacklevel=user_stacklevel(),
            )


def change_units(
    adata: AnnData, fitted: Fitted, marked: Fitted, asked: Asked, *, key: str, layer: str | None, device: str
) -> Edited:
    """Merge and drop units; `marked` is the model with the names and marks for afterwards.

    Activities of units that nothing is done to stay as they are, to the last bit.
    """
    cells, counts = open_cells(adata, fitted, layer=layer)
    cells = in_batch(adata, cells, fitted, key=key)
    units, became = np.asarray(model_units(adata, key)), asked.became(fitted.network.n_units)
    network: Any = fitted.network
    if asked.drop:
        left = np.setdiff1d(np.arange(network.n_units), asked.drop)
        network = without_parts(network, asked.drop, units)
        groups = [np.searchsorted(left, group).tolist() for group in asked.merge]
    else:
        groups = [list(group) for group in asked.merge]
    if groups:
        (learn, test), _ = cells_to_learn(
            cells, fitted.test_cells, fitted.config, None, LEARN_FROM, progress=False, ranks=ALONE
        )
        network = merged_parts(network, groups, learn.take(np.flatnonzero(~test)), seed=fitted.config.seed)
    representation = np.empty((len(cells), network.n_units), dtype=np.float32)
    for unit in range(network.n_units):
        representation[:, unit] = units[:, np.flatnonzero(became == unit)[0]]
    if groups:
        read, merged = encode(network, cells, device=device), sorted({int(became[group[0]]) for group in asked.merge})
        representation[:, merged] = read[:, merged]
    held = _held_out(cells, fitted)
    losses = [reconstruction_loss(one, held, device=device) for one in (fitted.network, network)]
    config = replace(fitted.config, n_latent=network.n_units, snapshot_epochs=())
    others = counts.others(fitted.genes)
    summary = summarise(network, cells, representation, fitted.test_cells, others)
    return Edited(
        replace(marked, network=network, config=config, training=summary),
        np.ascontiguousarray(representation),
        counts,
        (losses[0], losses[1]),
    )


def _held_out(cells: Source, fitted: Fitted) -> Source:
    chosen = random_cells(np.flatnonzero(fitted.test_cells & has_counts(cells)), MOST_UNSEEN, fitted.config.seed)
    return cells.take(chosen)


def replication_after(known: dict[str, Any], became: NDArray[np.intp]) -> dict[str, Any]:
    """What is known of how units replicate, after an edit: nothing of units that became one."""
    first = [np.flatnonzero(became == unit) for unit in range(became.max() + 1)]
    kept = np.array([members[0] for members in first])
    merged = np.array([len(members) > 1 for members in first])
    result = {name: np.array(value)[kept] if name in PER_UNIT else value for name, value in known.items()}
    merged |= np.asarray(known.get("merged", np.zeros(len(became), dtype=bool)))[kept]
    for name in ("similarity", "reproducibility"):
        result[name][merged] = np.nan
    for name in ("found", "held", "few_cells"):
        if name in result:
            result[name][merged] = False
    return {**result, **({"merged": merged} if merged.any() else {})}


def undone_units(
    adata: AnnData,
    fitted: Fitted,
    now: NDArray[np.float32],
    became: NDArray[np.intp],
    *,
    key: str,
    layer: str | None,
    device: str,
) -> tuple[NDArray[np.float32], Counts | StoredCounts]:
    """The activity of the units of an earlier state: read anew, but for those that nothing was done to."""
    if len(fitted.test_cells) != adata.n_obs:
        msg = (
            f"the activities of before have to be read anew from the {len(fitted.test_cells)} cells that the model was "
            f"trained on, and adata has {adata.n_obs}. Undo it where all of them are; or read these cells with the "
            f"model of that object: {step('tl.transfer', 'other', key=key)}."
        )
        raise ValueError(msg)
    cells, counts = open_cells(adata, fitted, layer=layer)
    units = encode(fitted.network, cells, device=device)
    same = (became >= 0) & (np.bincount(became[became >= 0])[became] == 1)
    units[:, same] = now[:, became[same]]
    return units, counts
