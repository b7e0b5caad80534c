"""The explanation beside controls that know nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.columns.groups import large_enough, plan_groups
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE, Bounds, match_sets
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.write_model import result_name
from modulae._utils.progress import progress_bar
from modulae._utils.stacklevel import user_stacklevel
from modulae.core.array_backend import pick_device
from modulae.core.checks import check_integer, check_seed
from modulae.core.sanity.compare import ExplanationSpec
from modulae.core.sanity.verdict import judge
from modulae.core.scores.explanation import resolve_explanation

from .controls import ControlSettings, as_stored, check_numbers, check_sets, choose_cells, run_controls, sides_of
from .words import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from modulae.core.sanity.results import ControlResults
    from modulae.core.sanity.verdict import Levels
    from modulae.core.scores.explanation import ExplanationSettings


@public
def sanity(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path,
    *,
    key: str = DEFAULT_KEY,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    groupby: str | None = None,
    groups: Sequence[str] | None = None,
    reference: str = "rest",
    min_cells: int = 10,
    explanation: ExplanationSettings | None = None,
    n_seeds: int = 2,
    n_cells: int | None = 1500,
    max_epochs: int | None = None,
    n_draws: int = 20,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    progress: bool | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Compare an explanation with those of networks that have learnt nothing from the cells.

    As in Adebayo et al. (2018) [1]_, the same explanation of the same cells is read from networks trained with
    other seeds and from controls: untrained networks, a network trained on counts that were shuffled gene by gene,
    the model with a redrawn last layer, and expression alone. It passes if other seeds agree with it clearly more
    than the best control does; else there is a warning. Agreement is Spearman's correlation, of the genes of each
    unit, of the sets and of the groups.

    Deletion ([2]_, [3]_) asks whether the saliency describes this network: does the activity of a unit fall further
    without its top genes than without other genes of the same expression? :doc:`/method/method` has the controls, the
    rule and what was found.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    {min_genes}
    {min_share}
    {groupby}
    {groups}
    {reference}
    {min_cells_of_groups}
    {explanation}
    n_seeds
        Other seeds, and draws of the controls that take no training.
    n_cells
        Largest number of cells, drawn at random, on which controls are trained and explanations are read; at least 50
        cells of each small group that is compared are kept. All cells if `None`.
    max_epochs
        Epochs of the controls; the model's if `None`. Fewer are faster, and lower the agreement with other seeds.
    n_draws
        Random deletions per unit.
    {seed}
    {model_layer}
    {batch_size_inference}
    {device}
    {progress}
    {key_added=sanity}
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[f'{key}_sanity']` : `dict`, read with :func:`modulae.get.sanity`
        - `"verdict"` (texts): a sentence for each level, and one on the deletions.
        - `"levels"` (`object`): what is compared: units, sets, set strength, with `groupby` also groups, group
          strength.
        - `"seeds"` (`float32`, levels): agreement with other seeds.
        - `"control"`, `"control_kind"` (levels): agreement with the best control, and which it is.
        - `"passed"` (`bool`, levels): whether the explanation is better than its controls.
        - `"controls"`, `"kinds"` (`object`, controls): their names and kinds.
        - `"agreement"` (`float32`, levels × controls).
        - `"unit_agreement"`, `"unit_activity"` (`float32`, units × controls): rank correlation of the genes, and
          correlation of the activity over the cells.
        - `"unit_partner"` (integers, units × controls): which unit each is compared with; −1: none.
        - `"groups"`, `"references"`, with `groupby`: what is compared with what; `"groups_left_out"` (`object`): those
          that are too small.
        - `"group_agreement"`, `"group_strength_agreement"` (`float32`, groups × controls), with `groupby`.
        - `"deletion"` (`dict`): `n_deleted` (steps); `top`, `random` (units × steps: activity relative to before,
          `random` a mean over draws); `score` (units: how much further it falls, a mean over steps); `beaten` (units:
          share of the draws).
        - `of_model` and the settings.

    Raises
    ------
    KeyError
        No such model, layer, `obs` column or group.
    ValueError
        Fewer than five sets are left, every group is too small, or a number makes no sense.

    Warns
    -----
    {sets_left_out}
        Groups are too small. The explanation is no better than a control, at the levels that the message names; or
        units do not fall further without their own top genes.

    See Also
    --------
    modulae.get.sanity : The result as tables.
    modulae.pl.sanity : The result as a picture.
    modulae.tl.pathway_impact : The explanation that is tested.

    References
    ----------
    .. [1] Adebayo et al. (2018), *Sanity checks for saliency maps*, NeurIPS; sections 3 and 4.
    .. [2] Samek et al. (2017), *IEEE Trans. Neural Networks and Learning Systems* 28:2660, section III.
    .. [3] Petsiuk, Das & Saenko (2018), *RISE*, BMVC; section 4.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> gene_sets = mo.datasets.immune_signatures()
    >>> mo.tl.sanity(adata, gene_sets, n_seeds=1, n_cells=200, max_epochs=1)
    >>> mo.get.sanity(adata).index.tolist()
    ['units', 'sets', 'set strength', 'deletion']
    """
    name = result_name(adata, key_added, Fields(key).sanity, "sanity")
    how = resolve_explanation(explanation)
    method, signed, aggregate, difference = how["method"], how["signed"], how["aggregate"], how["difference"]
    check_seed(seed)
    check_integer("min_cells", min_cells, minimum=1)
    check_numbers(n_seeds=n_seeds, n_draws=n_draws, n_cells=n_cells, max_epochs=max_epochs)
    fitted = read_model(adata, key)
    positions = match_sets(adata, gene_sets, fitted.genes, Bounds(min_genes, min_share)).positions
    check_sets(len(positions))
    plan, left_out = large_enough(plan_groups(adata, groupby, groups=groups, reference=reference), min_cells)
    epochs = fitted.config.max_epochs if max_epochs is None else max_epochs
    sides = sides_of(plan, adata.n_obs)
    chosen = choose_cells(sides, n_cells, np.random.default_rng([seed, 5]))
    layer = counts_layer(adata, key, layer)
    cells = in_batch(adata, read_cells(adata, fitted, layer=layer), fitted, key=key, known=True).take(chosen).load()
    members, others = sides[:, :, chosen]
    device = pick_device(device)
    spec = ExplanationSpec(positions, members, others, method, signed, aggregate, batch_size, device, difference)
    settings = ControlSettings(n_seeds, epochs, n_draws, seed)
    with progress_bar((n_seeds + 1) * epochs, "training controls", "epoch", progress=progress) as bar:

        def show(_epoch: int, _loss: float) -> None:
            bar.update()

        result = run_controls(fitted, cells, spec, settings, on_epoch=show)
    levels = judge(result.controls, result.agreements)
    names = [] if plan is None else plan.groups
    sentences = in_words(levels, result, groups=names)

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "method": method,
        "signed": signed,
        "aggregate": aggregate,
        "difference": difference,
        "groupby": groupby,
        "n_sets": len(positions),
        "n_genes": len(fitted.genes),
        "n_cells": len(cells),
        "n_seeds": n_seeds,
        "max_epochs": epochs,
        "n_draws": n_draws,
        "seed": seed,
        "verdict": np.array(sentences, dtype=object),
        **as_stored(levels, result, plan),
        **({} if plan is None else {"min_cells": min_cells, "groups_left_out": left_out}),
    }
    _warn(levels, result, sentences)
    return adata if copy else None


def _warn(levels: Levels, found: ControlResults, sentences: list[str]) -> None:
    """Name every level that is no better than a control; the warning is the caller's."""
    bad = [sentence for sentence, ok in zip(sentences, levels.passed, strict=False) if not ok]
    if not found.deletion_passed():
        bad.append(sentences[-1])
    if bad:
        msg = "explanations that are no better than a control:\n" + "\n".join(f"- {sentence}" for sentence in bad)
        warnings.warn(msg, UserWarning, stacklevel=user_stacklevel())
