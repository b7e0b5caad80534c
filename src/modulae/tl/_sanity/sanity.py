"""The explanation beside controls that know nothing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.columns.groups import plan_groups
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
from modulae.core.checks import check_seed
from modulae.core.inference.saliency import check_method
from modulae.core.sanity.compare import ExplanationSpec
from modulae.core.sanity.verdict import judge
from modulae.core.scores.impact import Difference, check_aggregate, check_difference

from .controls import Settings, as_stored, check_numbers, check_sets, choose_cells, run_controls, sides_of
from .words import in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from modulae.core.sanity.results import ControlResults
    from modulae.core.sanity.verdict import Levels


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
    method: Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"] = "gradient",
    signed: bool = True,
    aggregate: Literal["mean", "median"] = "mean",
    difference: Difference = "activity",
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
    """Make the same explanation from networks that know nothing, and say whether the model's own is any better.

    A saliency map looks convincing whatever made it; what it is worth shows beside controls (Adebayo et al. 2018 [1]_).
    The same explanation, of the same cells, is read from

    - **other seeds**: `n_seeds` networks trained with the model's settings. What does not come back with them is no
      property of the cells: this agreement is the most that can be asked for.
    - **untrained, same start** and **untrained, other start**: the network before training, and `n_seeds` others.
    - **shuffled counts**: a network trained, from another start, on counts that were dealt anew to the cells, gene by
      gene. Each gene keeps its counts, and deep cells stay deep; which genes go together is lost. It is trained for as
      many epochs as the model's weights took.
    - **last layer redrawn**: the model itself with new random weights before the representation, `n_seeds` draws.
    - **expression alone**: no network; the mean of what the encoder reads of each gene, over all cells, and its
      difference between groups. It is shown beside the controls and never counted: a true explanation may follow it.

    Agreement is Spearman's correlation. Of *units*: over genes, the median over units, each paired with the unit of the
    other network that is active in the same cells (one to one, the largest sum of `abs(r)`; with the network's own
    start, unit k with unit k). Of *sets*: over the sets, their impact over all cells, summed over units with its sign
    as in :func:`modulae.get.impact_table` ("sets"), and as root mean square over units ("set strength"), which is what
    a heat map of sets × units shows. Of *groups*: the same two for group against reference, the median over groups.

    **The rule.** At each level, take the mean agreement with other seeds, and the highest mean agreement with one kind
    of control. The explanation passes if the first is more than 0.1 above the second, and the second below 0.7, from
    where on an explanation is said to come back; between groups, at least half of the groups must also pass by
    themselves. Otherwise there is a warning. A redrawn last layer counts for units only: it keeps what the first layer
    has learnt, and sums over units do not ask which units there are. The two numbers are conventions.

    **Deletion** (Samek et al. 2017 [2]_; RISE [3]_): in the cells where a unit is most active (a tenth, 100 at most),
    the genes of highest saliency are set to 0, the value of a gene that was not seen, and the unit is computed anew;
    then genes of the same expression and detection in those cells. It asks whether the saliency describes *this*
    network: an untrained one passes too.

    Parameters
    ----------
    {adata}
    {gene_sets}
    {key}
    {min_genes}
    {min_share}
    groupby
        `obs` column with groups to compare; only all cells together if `None`.
    groups
        Groups to compare with the reference; all of them if `None`.
    reference
        `"rest"` (all labelled cells outside the group) or the name of a group.
    method, signed
        Which saliency is judged, see :func:`modulae.tl.saliency`.
    aggregate
        `"mean"` or `"median"` over the genes of a set.
    difference
        What of two groups is compared, see :func:`modulae.tl.pathway_impact`.
    n_seeds
        Other seeds, and draws of the controls that take no training.
    n_cells
        Cells at most that controls are trained on and all explanations read from, drawn at random; of small groups that
        are compared at least 50 cells stay. All cells if `None`.
    max_epochs
        Epochs of the controls; the model's if `None`. Fewer are faster, and lower the agreement with other seeds.
    n_draws
        Random deletions a unit.
    {seed}
    {model_layer}
    {batch_size_inference}
    {device}
    {progress}
    key_added
        Name of the result; `f"{key}_sanity"` if `None`.
    {copy}

    Returns
    -------
    `None`, or the changed copy if `copy=True`. Sets the following field, to be read with :func:`modulae.get.sanity`:

    `adata.uns[f'{key}_sanity']` : `dict`
        `"verdict"` (texts): a sentence a level, and one on the deletions. `"levels"`, and for each `"seeds"` (agreement
        with other seeds), `"control"` and `"control_kind"` (the best control), `"passed"` (`bool`). `"controls"` and
        `"kinds"`, and for each `"agreement"` (levels × controls), `"unit_agreement"`, `"unit_activity"` (r over the
        cells; units × controls), with `groupby` `"group_agreement"`, `"group_strength_agreement"` (groups × controls),
        all `float32`, `"groups"` and `"references"`; `"unit_partner"` (units × controls: which unit; −1: none).
        `"deletion"`: `n_deleted` (steps), `top` and `random` (units × steps: activity relative to before, `random` a
        mean over draws), `score` (units: how much further it falls, a mean over steps), `beaten` (units: share of the
        draws). And how it was made: `of_model`, `method`, `signed`, `aggregate`, `difference`, `groupby`, `n_sets`,
        `n_genes`, `n_cells`, `n_seeds`, `max_epochs`, `n_draws`, `seed`.

    Warns
    -----
    UserWarning
        Sets are left out, with the reason where it is a known one. The explanation is no better than a control, at the
        levels that the message names; or units do not fall further without their own top genes.

    Raises
    ------
    KeyError
        No such model, layer, `obs` column or group.
    ValueError
        Fewer than five sets are left, or a number that makes no sense.

    References
    ----------
    .. [1] Adebayo et al. (2018), *Sanity checks for saliency maps*, NeurIPS; sections 3 and 4.
    .. [2] Samek et al. (2017), *IEEE Trans. Neural Networks and Learning Systems* 28:2660, section III.
    .. [3] Petsiuk, Das & Saenko (2018), *RISE*, BMVC; section 4.
    """
    name = result_name(adata, key_added, Fields(key).sanity, "sanity")
    check_method(method)
    check_aggregate(aggregate, "all")
    check_difference(difference)
    check_seed(seed)
    check_numbers(n_seeds=n_seeds, n_draws=n_draws, n_cells=n_cells, max_epochs=max_epochs)
    fitted = read_model(adata, key)
    positions = match_sets(adata, gene_sets, fitted.genes, Bounds(min_genes, min_share)).positions
    check_sets(len(positions))
    plan = plan_groups(adata, groupby, groups=groups, reference=reference)
    epochs = fitted.config.max_epochs if max_epochs is None else max_epochs
    sides = sides_of(plan, adata.n_obs)
    chosen = choose_cells(sides, n_cells, np.random.default_rng([seed, 5]))
    layer = counts_layer(adata, key, layer)
    cells = in_batch(adata, read_cells(adata, fitted, layer=layer), fitted, key=key, known=True).take(chosen).load()
    members, others = sides[:, :, chosen]
    device = pick_device(device)
    spec = ExplanationSpec(positions, members, others, method, signed, aggregate, batch_size, device, difference)
    settings = Settings(n_seeds, epochs, n_draws, seed)
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
