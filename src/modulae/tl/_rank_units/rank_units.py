"""Units × groups × categories: which programmes differ, where, and in how many people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.write_model import result_name
from modulae.core.checks import check_integer, check_seed
from modulae.core.statistics.differences.compare import compare_units
from modulae.core.statistics.differences.over_cells import CellsOn
from modulae.core.statistics.multiple_tests import false_discovery_rates

from .plan import LEAST_CELLS, Asked, Plan, make_plan, read_design
from .targets import guides, read_targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData


@public
def rank_units(
    adata: AnnData,
    groupby: str,
    *,
    groups: Sequence[str] | str = "all",
    reference: str = "rest",
    within: str | None = None,
    donor_key: str | None = None,
    design: str | Sequence[str] | None = None,
    target_genes: Mapping[str, str | Sequence[str]] | str | None = None,
    min_cells: int = 10,
    n_permutations: int = 1000,
    seed: int = 0,
    key: str = DEFAULT_KEY,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Compare the activity of every programme between groups of cells, within each cell type, over donors or cells.

    Called like :func:`scanpy.tl.rank_genes_groups`. With `donor_key`, donors are the replicates: their means are
    compared, in pairs where donors have cells on both sides, by a t-test whose variances borrow from all units (as in
    limma). Without it, cells are compared by the test of Mann and Whitney. **Such a p says that these cells differ, not
    that people do**: :doc:`/guide/differences` says why, and how each number is made.

    Parameters
    ----------
    {adata}
    groupby
        `obs` column with the groups to compare.
    groups
        Groups to compare with the reference; `"all"` or a list of names.
    {reference}
    within
        `obs` column, such as the cell type: groups are compared inside each of its categories. All cells together if
        `None`. Categories where a side is missing or too small are left out, and named in a warning. Cells without a
        label, here, in `groupby` or in `donor_key`, take no part.
    donor_key
        `obs` column with the donor of each cell. Each side needs two donors.
    design
        Covariates of the donors: a list of `obs` columns, or a formula such as `"~ condition + age + (1|patient)"`, in
        which `(1|patient)` says the same as `donor_key="patient"`. Of pairs, only what differs between the two sides of
        a donor counts.
    target_genes
        For guides or other perturbations: the gene that each group lost or gained, as an `obs` column or a mapping from
        groups to a gene or a list of genes; controls have none. The counts are left out on both sides when the group is
        compared, so that no unit differs only because it is read from these genes. Groups with the same ones are
        guides of one gene.
    min_cells
        Cells that each side needs at least.
    n_permutations
        Flipped signs or permuted labels of donors for `p_exact`; all of them where there are no more.
    {seed}
    {key}
    key_added
        Name of the result; `f"{key}_rank_{groupby}"` if `None`.
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[f'{key}_rank_{groupby}']` : `dict`
        - `"categories"`, `"groups"`, `"references"` (`object`, comparisons): what is compared.
        - `"n_cells"`, `"n_cells_reference"`, and with donors `"n_donors"`, `"n_donors_reference"` (integers) and
          `"paired"` (`bool`).
        - `"statistics"` (`dict` of `float64`, comparisons × units): the columns of :func:`modulae.get.rank_units`. The
          shares of cells that are on need `adata.obsm[f'{key}_on']` (`bool`, cells × units) of
          :func:`modulae.tl.call_units`, and are NaN without it.
        - With `target_genes`, `"target_genes"` (`object`, comparisons) and `"n_guides"` (integers).
        - `"left_out"` (`object`): what could not be compared, and why.
        - `"over"` (`"cells"` or `"donors"`), `of_model` and the settings.

    Raises
    ------
    KeyError
        No such model, column or group.
    ValueError
        Nothing can be compared; one column in two roles; covariates that are missing, or without donors; or the model
        reads none of the `target_genes`, or they name no group.

    Warns
    -----
    UserWarning
        Comparisons are left out, because a side is missing or too small; `target_genes` names groups that are not there
        while others have no gene; or there are so few cells that no `q` reaches 0.05 whatever the data.

    See Also
    --------
    modulae.get.rank_units : The result as a table.
    modulae.pl.rank_units : The result as a picture.
    modulae.tl.pathway_impact : The same question for gene sets.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.tl.rank_units(adata, "phase", groups=["S"], reference="G1")
    >>> table = mo.get.rank_units(adata)
    >>> table.shape[0], table["over"].unique().tolist()
    (32, ['cells'])
    """
    check_integer("min_cells", min_cells, minimum=LEAST_CELLS)
    check_integer("n_permutations", n_permutations, minimum=1, give="a whole number, 1000 or more for small p-values")
    check_seed(seed)
    name = result_name(adata, key_added, Fields(key).rank(groupby), "rank_units")
    units = np.asarray(model_units(adata, key))
    on = _cells_on(adata, key, units.shape[1])
    covariates, donors = read_design(design, groupby, donor_key, list(adata.obs.columns))
    asked = Asked(groupby, groups, reference, within, donors, covariates)
    plan = make_plan(adata, asked, min_cells=min_cells)
    targets = None if target_genes is None else read_targets(adata, plan, groupby, target_genes, key)
    statistics = compare_units(
        units if targets is None else targets.units,
        plan.labels,
        plan.parts,
        plan.comparisons,
        on=on,
        n_permutations=n_permutations,
        seed=seed,
        reread=() if targets is None else targets.reread(plan),
    )
    statistics["q"] = false_discovery_rates(statistics["p"])
    perturbed: dict[str, Any] = {}
    if targets is not None:
        agreement = guides(targets.names, np.array(plan.comparisons.categories), statistics)
        statistics["n_guides_agreeing"] = agreement["n_guides_agreeing"]
        perturbed = {"target_genes": np.array(targets.names, dtype=object), "n_guides": agreement["n_guides"]}

    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "groupby": groupby,
        "within": within,
        "reference": plan.reference,
        "donor_key": donors,
        "covariates": np.array(covariates, dtype=object),
        "over": "cells" if donors is None else "donors",
        "min_cells": min_cells,
        "n_permutations": n_permutations,
        "seed": seed,
        **_compared(plan),
        **perturbed,
        "statistics": statistics,
        "left_out": np.array(plan.left_out, dtype=object),
    }
    return adata if copy else None


def _cells_on(adata: AnnData, key: str, n_units: int) -> CellsOn | None:
    """Which units are on in each cell, where somebody has said so, and in which cells that is known."""
    field = Fields(key).on
    if field not in adata.obsm:
        return None
    on = np.asarray(adata.obsm[field])
    if on.shape[1] != n_units or not np.isin(np.unique(on), [0, 1]).all():
        msg = (
            f"adata.obsm[{field!r}] should say of each of the {n_units} units whether it is on (True or False), and is "
            f"{on.dtype} with {on.shape[1]} columns. Remove it: `del adata.obsm[{field!r}]`."
        )
        raise ValueError(msg)
    known = adata.obsm.get(Fields.callable(field))
    return CellsOn(on.astype(bool), np.ones(on.shape, dtype=bool) if known is None else np.asarray(known, dtype=bool))


def _compared(plan: Plan) -> dict[str, Any]:
    """What is compared with what, and how many there are on each side."""
    chosen = plan.comparisons
    categories, groups = plan.compared
    n_cells, n_reference = plan.n_cells()
    result = {
        "categories": np.array(plan.categories, dtype=object)[categories],
        "groups": np.array(plan.groups, dtype=object)[groups],
        "references": np.array([plan.reference] * len(groups), dtype=object),
        "n_cells": n_cells,
        "n_cells_reference": n_reference,
    }
    if plan.labels.donors is not None:
        result |= {
            "n_donors": np.array([len(design.group) for design in chosen.designs]),
            "n_donors_reference": np.array([len(design.reference) for design in chosen.designs]),
            "paired": np.array([design.paired for design in chosen.designs]),
        }
    return result
