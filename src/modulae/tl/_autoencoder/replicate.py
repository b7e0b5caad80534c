"""Find the units that two halves of the cells find, before one model is trained of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae._adata.columns.labels import read_labels
from modulae._utils.parallel import limit_threads
from modulae._utils.progress import progress_bar
from modulae.core.checks import check_integer
from modulae.core.training.replication.halves import check_donors, draw_halves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks
    from modulae.core.training.replication.replicate import Replicated
    from modulae.core.training.train import Training

N_SPLITS = 5
FEWEST_CELLS = 20
"""With counts: halves of fewer agree by chance."""

MOST_UNSEEN = 5000
"""Held-out cells that say how many units there are, at most."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants of the replication."""

    n_splits: int
    n_latent: int | None  # the most that is looked for; None: as many as explain more
    max_cells: int
    donors: NDArray[np.int64] | None  # cells
    replicate_over: str | None


def asked_replication(
    adata: AnnData,
    architecture: str,
    n_latent: int | Literal["auto"],
    *,
    n_splits: int | None,
    max_cells: int,
    replicate_over: str | None,
) -> Asked | None:
    """What was asked for; `None` where the model is trained once.

    Raises
    ------
    ValueError
        Settings that make no sense together.
    KeyError
        No such `obs` column.
    """
    if n_splits is not None:
        check_integer("n_splits", n_splits, minimum=0)
    if n_latent != "auto":
        check_integer("n_latent", n_latent, minimum=1)
    check_integer("max_cells", max_cells, minimum=100)
    if architecture == "orthogonal" and (n_splits or replicate_over is not None):
        given = "n_splits" if replicate_over is None else "replicate_over"
        msg = (
            "units of architecture='orthogonal' do not come back in another half of the cells. "
            f"Leave out {given}=, or take architecture='parts'."
        )
        raise ValueError(msg)
    splits = (N_SPLITS if n_splits is None else n_splits) if architecture == "parts" else 0
    if replicate_over is not None and not splits:
        msg = "replicate_over says what the halves are made of, and n_splits=0 makes none. Leave one of them out."
        raise ValueError(msg)
    if not splits:
        return None
    donors = None if replicate_over is None else _donors(adata, replicate_over)
    return Asked(splits, None if n_latent == "auto" else int(n_latent), max_cells, donors, replicate_over)


def _donors(adata: AnnData, replicate_over: str) -> NDArray[np.int64]:
    labels = read_labels(adata, replicate_over, "replicate_over", what="donors")
    if labels.n_missing:
        column = f"adata.obs[{replicate_over!r}]"
        msg = (
            f"{labels.n_missing} cells have no donor in {column}, and can be in neither half. Give them one, or leave "
            f"these cells out: `adata = adata[{column}.notna()].copy()`."
        )
        raise ValueError(msg)
    check_donors(len(labels.names), "")
    return np.asarray(labels.codes, dtype=np.int64)


def find_units(
    cells: Source, test: NDArray[np.bool_], config: Config, asked: Asked | None, *, progress: bool | None, ranks: Ranks
) -> tuple[Replicated | None, Config]:
    """Units that both halves find, and the settings with as many; the first of several ranks tells the others."""
    if asked is None:
        return None, config
    found = ranks.from_first(lambda: _find(cells, test, config, asked, progress=progress))
    return found, replace(config, n_latent=len(found.loadings))


def _find(cells: Source, test: NDArray[np.bool_], config: Config, asked: Asked, *, progress: bool | None) -> Replicated:
    from modulae.core.training.replication.replicate import Replication

    counted = np.ones(len(test), dtype=bool) if cells.size_factors is None else cells.size_factors > 0
    if counted.sum() < FEWEST_CELLS:
        msg = (
            f"{counted.sum()} cells have counts; halves of them need {FEWEST_CELLS} or more. Add cells, or take "
            "n_splits=0, which trains once and promises nothing."
        )
        raise ValueError(msg)
    learn = _some(np.flatnonzero(~test & counted), asked.max_cells, config.seed)
    unseen = _some(np.flatnonzero(test & counted), MOST_UNSEEN, config.seed)
    if len(unseen) == 0:
        msg = "no held-out cell has any counts. Remove empty cells, or raise test_fraction."
        raise ValueError(msg)
    seen_cells, unseen_cells = _without_batches(cells.take(learn).load(), cells.take(unseen).load())
    donors = None if asked.donors is None else asked.donors[learn]
    halves = draw_halves(len(learn), asked.n_splits, config.seed, donors)
    depths = np.log(_sizes(seen_cells)), np.log(_sizes(unseen_cells))
    inputs = seen_cells.sparse_inputs(), unseen_cells.sparse_inputs()
    with progress_bar(0, "halves of the cells", "half", progress=progress) as bar, limit_threads(1):

        def run(calls: Sequence[Any]) -> Iterator[Any]:
            bar.total = (bar.total or 0) + len(calls)
            for result in _side_by_side(calls):
                bar.update()
                yield result

        return Replication(*inputs, depths, halves, seed=config.seed, run=run).search(asked.n_latent)


def _some(rows: NDArray[np.intp], most: int, seed: int) -> NDArray[np.intp]:
    """All of these rows, or random ones where there are more than `most`."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng([seed, 8]).choice(rows, most, replace=False))


def _without_batches(learn: Cells, unseen: Cells) -> tuple[Cells, Cells]:
    """The cells as if of one batch, so that no unit is spent on batches."""
    from modulae.core.model.batch_factors import BatchEffects, n_batches

    n = max(n_batches(learn.batch), n_batches(unseen.batch))
    if not n:
        return learn, unseen
    factors = BatchEffects.of(learn, n).start()
    return learn.without_batches(factors), unseen.without_batches(factors)


def _sizes(cells: Cells) -> NDArray[np.float64]:
    sizes = cells.totals() if cells.size_factors is None else cells.size_factors
    return np.maximum(sizes.astype(np.float64), np.finfo(np.float32).tiny)


def _side_by_side(calls: Sequence[Any]) -> Iterator[Any]:
    """In threads: almost all of the work is in NumPy, and the cells need no copies."""
    from concurrent.futures import ThreadPoolExecutor

    from joblib import cpu_count

    with ThreadPoolExecutor(max(1, min(len(calls), cpu_count()))) as pool:
        yield from pool.map(lambda call: call[0](*call[1]), calls)


def in_order(
    run: Training,
    cells: Source,
    units: NDArray[np.float32],
    found: Replicated | None,
    asked: Asked | None,
    *,
    seed: int,
    device: str,
) -> tuple[Training, NDArray[np.float32], dict[str, Any]]:
    """The same with the units of the largest effect first, and what is known of their replication, if anything."""
    if found is None or asked is None:
        return run, units, {}
    from modulae.core.inference.unit_importance import EFFECT_CELLS, unit_effects
    from modulae.core.training.replication.reproducibility import LEVEL, reproducibility

    effects = unit_effects(run.network, cells, units, n_cells=EFFECT_CELLS, seed=seed, device=device)
    order = np.argsort(-effects, kind="stable")
    similarity = found.similarity[order]
    replication = {
        "found": found.found[order],
        "similarity": similarity.astype(np.float32),
        "reproducibility": reproducibility(similarity).astype(np.float32),
        "held": run.held[order],
        "level": LEVEL,
        "sizes": found.sizes,
        "n_units": found.n_units,
        "explained": found.explained,
        "size": found.size,
        "n_more": found.n_more,
        "n_single": found.n_single,
        "n_splits": asked.n_splits,
        "n_latent": "auto" if asked.n_latent is None else asked.n_latent,
        "max_cells": asked.max_cells,
        **({} if asked.replicate_over is None else {"replicate_over": asked.replicate_over}),
    }
    snapshots = {epoch: _ordered(network, order) for epoch, network in run.snapshots.items()}
    ordered = replace(run, network=_ordered(run.network, order), snapshots=snapshots, held=run.held[order])
    return ordered, np.ascontiguousarray(units[:, order]), {"replication": replication}


def _ordered(network: Any, order: NDArray[np.intp]) -> Any:  # noqa: ANN401
    parts: PartsNetwork = network
    rows = {name: np.ascontiguousarray(getattr(parts, name)[order]) for name in ("encoder", "bias", "loadings")}
    return replace(parts, **rows)
