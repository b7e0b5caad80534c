"""Find the units that two halves of the cells find, before one model is trained of them."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._model_io.checkpoint import describe_run
from modulae._model_io.halves import HalvesStore
from modulae._utils.parallel import limit_threads
from modulae._utils.progress import progress_bar
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.training.engine import compilations
from modulae.core.training.replication.draw import random_cells
from modulae.core.training.replication.halves import draw_halves

from .learnt import MOST_UNSEEN, has_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.processes.ranks import Ranks
    from modulae.core.training.replication.replicate import Replicated
    from modulae.core.training.train import Training

    from .asked import Asked

FEWEST_CELLS = 20
"""With counts: halves of fewer agree by chance."""


def find_units(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    asked: Asked | None,
    genes: NDArray[np.str_],
    *,
    device: str,
    checkpoint: str | Path | None,
    progress: bool | None,
    ranks: Ranks,
) -> tuple[Replicated | None, NDArray[np.float64] | None, Config]:
    """Units that both halves find, their loadings, and the settings with as many; the first rank tells the others.

    With `checkpoint`, a folder, the halves that are done are kept there.
    """
    if asked is None:
        return None, None, config
    given = {"n_splits": asked.n_splits, "max_cells": asked.max_cells, "replicate_over": asked.replicate_over}
    given["n_latent"] = "auto" if asked.n_latent is None else asked.n_latent

    def find() -> Replicated:
        where: dict[str, Any] = {"device": device, "progress": progress}
        if checkpoint is None:
            return _find(cells, test, config, asked, None, **where)
        run = describe_run(cells, test, genes, config, device="cpu", n_readers=1)
        run["settings"] |= given
        run["donors"] = None if asked.donors is None else hashlib.sha256(asked.donors.tobytes()).hexdigest()
        store = HalvesStore(Path(checkpoint), run)
        return store.found(lambda: _find(cells, test, config, asked, store, **where))

    try:
        found = ranks.from_first(find)
    except KeyboardInterrupt as stopped:
        kept = "" if checkpoint is None else " Halves that were done are kept: the same call goes on from there."
        msg = f"stopped while programmes were being looked for; adata is unchanged.{kept}"
        raise KeyboardInterrupt(msg) from stopped
    return found, found.loadings, replace(config, n_latent=len(found.loadings))


def _find(
    cells: Source,
    test: NDArray[np.bool_],
    config: Config,
    asked: Asked,
    store: HalvesStore | None,
    *,
    device: str,
    progress: bool | None,
) -> Replicated:
    from modulae.core.training.replication.replicate import Replication

    counted = has_counts(cells)
    if counted.sum() < FEWEST_CELLS:
        msg = (
            f"{counted.sum()} cells have counts; halves of them need {FEWEST_CELLS} or more. Add cells, or take "
            "n_splits=0, which trains once and says nothing about reproducibility."
        )
        raise ValueError(msg)
    learn = np.flatnonzero(~test & counted)
    unseen = random_cells(np.flatnonzero(test & counted), MOST_UNSEEN, config.seed)
    if len(unseen) == 0:
        msg = "no held-out cell has any counts. Remove empty cells, or raise test_fraction."
        raise ValueError(msg)
    seen_cells, unseen_cells = _without_batches(cells.take(learn).load(), cells.take(unseen).load())
    donors = None if asked.donors is None else asked.donors[learn]
    halves = draw_halves(len(learn), asked.n_splits, config.seed, donors)
    depths = np.log(_sizes(seen_cells)), np.log(_sizes(unseen_cells))
    inputs = seen_cells.sparse_inputs(), unseen_cells.sparse_inputs()
    compiling = compilations(config, device)
    with progress_bar(0, "halves of the cells", "half", progress=progress) as bar:

        def run(calls: Sequence[Any]) -> Iterator[Any]:
            bar.total = (bar.total or 0) + len(calls)
            calls = calls if store is None else [store.remembered(*call) for call in calls]
            for result in _side_by_side(calls, next(compiling, None)):
                bar.update()
                yield result

        how: dict[str, Any] = {"seed": config.seed, "device": device, "run": run, "run_others": _side_by_side}
        with limit_threads(1, with_torch=False):
            replication = Replication(*inputs, depths, halves, **how)
            found = replication.search(asked.n_latent)
    if replication.trouble:
        msg = (
            f"halves of the cells can't be factorised on {device!r}, and are on the CPU, which is slower: "
            f"{replication.trouble}. To silence this warning: device='cpu'."
        )
        warnings.warn(msg, UserWarning, stacklevel=user_stacklevel())
    return found


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


def _side_by_side(calls: Sequence[Any], meanwhile: Callable[[], object] | None = None) -> Iterator[Any]:
    """In threads: almost all of the work is in NumPy, and the cells need no copies. This thread compiles meanwhile.

    It alone does: numba sets how the whole process warns, and sets it back, which no other thread may do at a time.
    """
    from concurrent.futures import ThreadPoolExecutor

    from joblib import cpu_count

    pool = ThreadPoolExecutor(max(1, min(len(calls), cpu_count())))
    try:
        results = pool.map(lambda call: call[0](*call[1]), calls)
        if meanwhile is not None:
            meanwhile()
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C no further half is begun


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
    similarity, few_cells = found.similarity[order], order >= len(order) - found.n_few
    replication = {
        "found": found.found[order],
        "similarity": similarity.astype(np.float32),
        "reproducibility": reproducibility(similarity, few_cells=few_cells).astype(np.float32),
        "held": run.held[order],
        "level": LEVEL,
        "sizes": found.sizes,
        "n_units": found.n_units,
        "explained": found.explained,
        "min_likeness": found.min_likeness,
        "size": found.size,
        "few_cells": few_cells,
        "n_single": found.n_single,
        "n_splits": asked.n_splits,
        "n_latent": "auto" if asked.n_latent is None else asked.n_latent,
        "max_cells": asked.max_cells,
        **({} if asked.replicate_over is None else {"replicate_over": asked.replicate_over}),
    }
    snapshots = {epoch: _ordered(network, order) for epoch, network in run.snapshots.items()}
    ordered = replace(run, network=_ordered(run.network, order), snapshots=snapshots, held=run.held[order])
    return ordered, units.take(order, axis=1), {"replication": replication}


def _ordered(network: Any, order: NDArray[np.intp]) -> Any:  # noqa: ANN401
    parts: PartsNetwork = network
    rows = {name: np.ascontiguousarray(getattr(parts, name)[order]) for name in ("encoder", "bias", "loadings")}
    return replace(parts, **rows)
