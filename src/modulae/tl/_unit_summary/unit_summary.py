"""One row per unit: what it is worth, what it reads, where it is active, and what it may only reflect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.columns.groups import plan_groups
from modulae._adata.counts import read_cells
from modulae._adata.found_sets import MIN_GENES, MIN_SHARE
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import read_model
from modulae._adata.stored.results import ENRICHMENT
from modulae._adata.stored.unit_labels import carried_sets
from modulae._adata.stored.write_model import result_name
from modulae._utils.progress import progress_bar
from modulae.core.checks import check_choice, check_integer, check_number, check_seed
from modulae.core.inference.encode import encode
from modulae.core.inference.saliency import mean_saliency
from modulae.core.inference.unit_importance import EFFECT_CELLS, unit_effects
from modulae.core.model.network import Method
from modulae.core.scores.gene_ranking import gene_scores
from modulae.tl._enrich_units import enrich_units

from .names import MIN_CELLS, groups_of_units, with_names
from .stability import check_stability, reproducibility_of_units, stability_of_units
from .table import genes_of_units, sets_of_units, use_of_units
from .technical_covariates import technical_covariates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData


@public
def unit_summary(
    adata: AnnData,
    gene_sets: Mapping[str, Sequence[str]] | pd.DataFrame | str | Path | None = None,
    *,
    key: str = DEFAULT_KEY,
    groupby: str | None = None,
    min_cells: int = MIN_CELLS,
    stability: pd.DataFrame | None = None,
    stability_keys: Sequence[str] | None = None,
    enrichment: str | None = None,
    min_genes: int = MIN_GENES,
    min_share: float = MIN_SHARE,
    method: Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"] = "gradient",
    n_genes: int = 10,
    n_cells: int | None = EFFECT_CELLS,
    redundant_above: float = 0.9,
    caveat_above: float = 0.5,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    progress: bool | None = None,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Name every programme, and summarise it in one row: effect, genes, gene sets, group, and reasons to doubt it.

    A unit is named by its first three genes and by the group that it marks, such as "LYZ, S100A8, S100A9 · CD14 Mono".
    Genes that it makes and other units do not make come first. The effect of a unit is how much the Poisson loss rises
    when it is held at its mean; a *dead* unit has next to none. Caveats are rank correlations, within the groups, with
    sequencing depth, mitochondrial and ribosomal genes, the cell cycle [1]_ and stress of dissociation [2]_. A caveat
    is no verdict: cycling cells are biology. Units that are dead, or whose reproducibility is below the level, get no
    name, genes, sets, group or caveats. :doc:`/method/method` says how each number is made, :doc:`/guide/reading_units`
    how to read it.

    Parameters
    ----------
    {adata}
    gene_sets
        Gene sets to test with :func:`modulae.tl.enrich_units` and its defaults, in any form that
        :func:`modulae.read_gene_sets` reads. None are tested if `None`; the result of an earlier test is used.
    {key}
    groupby
        `obs` column; the group that a unit marks is part of its name, and caveats are measured within groups.
    min_cells
        Cells that a group needs for a unit to be named by it.
    stability
        A table from :func:`modulae.metrics.unit_stability`, of this model's units against one or more other runs.
    stability_keys
        Instead: names of other models in `adata` (same settings, other seeds). Units are matched over the cells.
    enrichment
        Name of the result of :func:`modulae.tl.enrich_units` in `adata.uns` to read or, with `gene_sets`, to write.
        `None`: `f"{key}_enrichment"`, which is read only where it is there.
    {min_genes}
    {min_share}
    method
        Which signed saliency, see :func:`modulae.tl.saliency`, for the genes that each unit is read from.
    n_genes
        Number of genes to name in each direction.
    n_cells
        Cells on which the effects are measured, drawn at random where there are more; all if `None`. The default hardly
        changes the order of the units. Take all cells for units of very few cells.
    redundant_above
        Absolute correlation (Pearson, over the cells) above which a unit is redundant.
    caveat_above
        Absolute correlation above which a caveat is listed in `caveats`; one that four fifths of the units would carry
        is not listed.
    seed
        Seed of the cells that effects are measured on, and of the control genes of the scores.
    {model_layer}
    {batch_size_inference}
    {device}
    {progress}
    {key_added=units}
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[f'{key}_units']["table"]` : `dict`
        Read it with :func:`modulae.get.unit_summary`, which describes the columns. One array per column, units in their
        order; texts as `object`, numbers as `float64`, `"dead"` as `bool`.
    `adata.uns[f'{key}_units']`, other entries
        `of_model`, `groupby`, `min_cells`, `enrichment`, `method`, `n_genes`, `redundant_above`, `caveat_above`,
        `n_cells` (on which effects were measured), `seed`.
    `adata.uns[f'{key}_enrichment']` : `dict`, with `gene_sets`
        See :func:`modulae.tl.enrich_units`.

    Raises
    ------
    KeyError
        No such model, layer, `obs` column, run or enrichment, or the model's genes are missing.
    ValueError
        A stability table of other units, an enrichment of another model, no gene set of the right size, or a number
        that makes no sense.

    See Also
    --------
    modulae.get.unit_summary : The result as a table.
    modulae.pl.unit_summary : The result as a picture.
    modulae.get.top_genes : The genes of each unit, in their order.
    modulae.tl.enrich_units : Which gene sets a unit responds to.
    modulae.report : All of it on one HTML page.

    References
    ----------
    .. [1] Tirosh et al. (2016), *Science* 352:189, Table S5.
    .. [2] van den Brink et al. (2017), *Nature Methods* 14:935.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.unit_summary(adata, groupby="bulk_labels")
    >>> units = mo.get.unit_summary(adata)
    >>> len(units), units["group"].dropna().isin(adata.obs["bulk_labels"]).all().item()
    (32, True)
    """
    name = result_name(adata, key_added, Fields(key).units, "unit_summary")
    settings: dict[str, Any] = {"groupby": groupby, "method": method, "seed": seed, "n_genes": n_genes}
    settings |= {"min_cells": min_cells, "redundant_above": redundant_above, "caveat_above": caveat_above}
    _check(settings, n_cells)
    fitted = read_model(adata, key)
    n_units = fitted.network.n_units
    plan = plan_groups(adata, groupby, groups=None, reference=None)
    check_stability(adata, n_units, stability, stability_keys, key=key)
    if gene_sets is None:
        _check_enrichment(adata, enrichment, key)
    layer = counts_layer(adata, key, layer)
    cells = in_batch(adata, read_cells(adata, fitted, layer=layer), fitted, key=key)
    adata = changeable(adata, copy=copy)
    tested = Fields(key).enrichment if enrichment is None else enrichment
    if gene_sets is not None:
        given: dict[str, Any] = {"layer": layer, "seed": seed, "progress": progress, "key_added": tested}
        given |= {"min_genes": min_genes, "min_share": min_share}
        enrich_units(adata, gene_sets, key=key, batch_size=batch_size, device=device, **given)
    tests = adata.uns.get(tested)

    units = encode(fitted.network, cells, device=device)
    saliency = mean_saliency(fitted.network, cells, method=method, batch_size=batch_size, device=device)[0]
    measured = len(cells) if n_cells is None else min(n_cells, len(cells))
    how: dict[str, Any] = {"n_cells": n_cells, "seed": seed, "batch_size": batch_size, "device": device}
    with progress_bar(measured, "effect of units", "cell", progress=progress) as bar:
        effect = unit_effects(fitted.network, cells, units, on_cells=bar.update, **how)
    seen, states = technical_covariates(adata, layer=layer, seed=seed)
    scores = gene_scores(fitted.network.gene_loadings(units))
    columns = {
        **use_of_units(units, effect, redundant_above=redundant_above),
        **reproducibility_of_units(adata, key, n_units),
        **genes_of_units(scores, saliency, fitted.genes, cells, units, n_genes=n_genes),
        **(sets_of_units(tests, n_units) | (carried_sets(adata, key) if tests is None else {})),
        **groups_of_units(units, plan, min_cells=min_cells),
        "stability": stability_of_units(adata, units, stability, stability_keys),
    }
    members = None if plan is None else plan.members[:, seen]
    columns = with_names(columns, units[seen], states, members, caveat_above=caveat_above)
    adata.uns[name] = {
        "of_model": key,
        "table": columns,
        "enrichment": None if tests is None else tested,
        "n_cells": measured,
        **settings,
    }
    return adata if copy else None


def _check_enrichment(adata: AnnData, name: str | None, key: str) -> None:
    """Refuse a result that is not there, or of another model; without a name there need be none."""
    if name is not None or Fields(key).enrichment in adata.uns:
        ENRICHMENT.find(adata, key=key, result=name, argument="enrichment")


def _check(settings: dict[str, Any], n_cells: Any) -> None:  # noqa: ANN401
    check_choice("method", settings["method"], Method)
    check_seed(settings["seed"])
    for name in ("n_genes", "min_cells"):
        check_integer(name, settings[name], minimum=1)
    if n_cells is not None:
        check_integer("n_cells", n_cells, minimum=1)
    for name in ("redundant_above", "caveat_above"):
        check_number(name, settings[name], minimum=0, maximum=1, give="a correlation from 0 to 1, such as 0.5")
