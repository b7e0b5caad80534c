"""Try settings and seeds, and say what each is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from modulae._adata.public import public
from modulae._utils.parallel import limit_threads, run_parallel
from modulae._utils.progress import progress_bar
from modulae.core.checks import check_integer, check_seed
from modulae.core.model.config import Config
from modulae.core.processes.group import require_alone
from modulae.tl._autoencoder.data import model_genes

from .data import gather
from .runs import load, plan, run
from .scores import find_labels, score_runs, sum_up
from .settings import check_seeds, defaults, list_settings, used

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from anndata import AnnData

    from .data import Data
    from .runs import SearchRun, Task


@public
def search(
    adata: AnnData,
    settings: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    n_iter: int | None = None,
    labels: str | None = None,
    layer: str | None = None,
    mask_var: str | None = None,
    test_fraction: float = 0.1,
    folder: str | os.PathLike[str] | None = None,
    by_run: bool = False,
    n_jobs: int | None = None,
    n_threads: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: bool | None = None,
    memory_limit: str | int = "4GB",
) -> pd.DataFrame:
    """Train with many settings, each from several seeds, and compare the results in a table; `adata` is not changed.

    No single column says which setting is best: look for settings that are good in all. A lower held-out loss is a
    better description of the counts, a higher stability means that units come back whatever the seed, LMS and MSGS say
    how far each label has a unit of its own. All settings hold out the same cells where the seed is the same, so their
    losses can be compared. :doc:`/guide/settings` shows how to choose.

    Trainings go through :class:`joblib.Parallel`: :func:`joblib.parallel_config` chooses whether they run in processes,
    threads or on a cluster (:doc:`/guide/scale`). The table is the same to the last bit on machines of one kind.

    Parameters
    ----------
    {adata}
    settings
        Names of arguments of :func:`modulae.tl.autoencoder`, each with a list of values; all combinations are tried. A
        list of such dicts: the combinations of each. With `n_iter` also distributions of :mod:`scipy.stats`.
    seeds
        Seeds of each setting. The stability needs two or more.
    n_iter
        Number of combinations to try, drawn at random (:class:`sklearn.model_selection.ParameterSampler`); all
        (:class:`sklearn.model_selection.ParameterGrid`) if `None`.
    labels
        `obs` column with one category per cell, or `obsm` field with cells × programmes, to score the units against.
    {layer}
    {mask_var}
    {test_fraction}
    folder
        Where to keep every finished run, made if it is not there. A search that is started again with the same folder
        reads back the runs whose settings, seed, counts and version of modulae are the same, and trains the others.
    by_run
        One row per run; one per setting if `False`.
    {n_jobs}
    n_threads
        Threads of each run. Small batches gain nothing from more than one.
    seed
        Seed of the random draw of settings; those of the trainings are `seeds`.
    {device}
    {progress}
    memory_limit
        Memory for counts that are on disk, such as `'500MB'`. If a training needs more for all genes, they stay on
        disk, and every run reads them for itself within this limit, so that n runs at a time take n times as much.
        Otherwise they are read once, and the result is that of counts in memory.

    Returns
    -------
    One row for each setting (index `setting`, in the order of the grid): means over its seeds, NaN where a run failed.

    The arguments that were searched
        One column each; the default where a dict of a list leaves one out.
    `n_runs` : `int64`
        Number of seeds.
    `seed` : `int64`
        Instead of `n_runs`, with `by_run`.
    `loss` : `float64`
        Mean Poisson loss of the held-out cells, over cells and genes, in counts whatever the `loss_scale`.
    `loss_sd` : `float64`, not with `by_run`
        Its standard deviation over the seeds, which hold out different cells.
    `gain` : `float64`
        How much lower the loss is than that of the gene means of the training cells, times the size factors.
    `epochs` : `float64`
        Until the training stopped. The best weights are often earlier.
    `seconds` : `float64`
        Time of the training.
    `stability` : `float64`
        Mean absolute correlation of each unit with its match in another seed (:func:`modulae.metrics.unit_stability`),
        over all pairs of seeds; NaN with one seed.
    `back` : `float64`
        Share of units for which it is above 0.9.
    `LMS`, `MSAS`, `MSGS` : `float64`, with `labels`
        Scores over SMI (:func:`modulae.metrics.disentanglement`); NaN with fewer than two units.
    `nmi` : `float64`, with `labels` in `obs`
        Normalised mutual information of the labels and k-means (:func:`modulae.metrics.clustering_nmi`), a mean of
        five.
    `error` : text
        What went wrong where the loss stopped being finite, else empty. Any other error ends the search, with a note
        that names the settings and the seed of the run.

    Raises
    ------
    KeyError
        An argument that cannot be searched (the message lists those that can), or an unknown layer, column or label.
    TypeError
        Values that are not a list.
    ValueError
        A value, a seed or counts that the training can't use.
    KeyboardInterrupt
        Ctrl-C ends the search; with a `folder` the finished runs are kept.

    See Also
    --------
    modulae.pl.search : Draw stability and loss over one setting.
    modulae.tl.autoencoder : Train with the setting that was chosen.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200)
    >>> table = mo.tl.search(adata, {"n_latent": [4, 8], "max_epochs": [2]}, seeds=[0, 1])
    >>> table["n_latent"].tolist()
    [4, 8]
    >>> {"loss", "gain", "stability", "back"} <= set(table)
    True
    """
    require_alone("tl.search")
    check_seed(seed)
    tried = list_settings(settings, n_iter, seed)
    all_seeds = check_seeds(seeds)
    check_integer("n_threads", n_threads, minimum=1)
    Config(test_fraction=test_fraction)
    model_genes(adata, mask_var)
    truth = find_labels(adata, labels)
    data = gather(
        adata,
        tried,
        layer=layer,
        mask_var=mask_var,
        test_fraction=test_fraction,
        device=device,
        memory_limit=memory_limit,
    )
    where = None if folder is None else Path(folder)
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
    tasks = plan(data, tried, all_seeds, folder=where, n_threads=n_threads)

    base = defaults()
    names = [name for name in base if any(name in setting for setting in tried)]
    shown = [{name: used(setting)[name] for name in names} for setting in tried]

    finished: dict[int, list[SearchRun]] = {}
    tables: dict[int, pd.DataFrame] = {}
    with limit_threads(n_threads), progress_bar(len(tasks), "search", "run", progress=progress) as bar:
        for done in _results(tasks, data, n_jobs):
            bar.update()
            runs = finished.setdefault(done.setting, [])
            runs.append(done)
            if len(runs) == len(all_seeds):  # score it and let go of its representations
                ordered = sorted(finished.pop(done.setting), key=lambda one: all_seeds.index(one.seed))
                tables[done.setting] = score_runs(shown[done.setting], ordered, truth)
    rows = [(number, row) for number, one in sorted(tables.items()) for row in one.to_dict("records")]
    index = pd.Index([number for number, _ in rows], name="setting")
    table = pd.DataFrame.from_records([row for _, row in rows], index=index)
    return table if by_run else sum_up(table, names)


def _results(tasks: list[Task], data: Data, n_jobs: int | None) -> Iterator[SearchRun]:
    """Finished runs as they come: first those of an earlier search."""
    from joblib import delayed

    absent = []
    for task in tasks:
        kept = load(task)
        if kept is None:
            absent.append(task)
        else:
            yield kept
    rest = replace(data, matrix=None)
    yield from run_parallel((delayed(run)(task, rest, data.matrix) for task in absent), n_jobs=n_jobs, in_order=False)
