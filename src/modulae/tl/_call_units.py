"""Whether a unit is on in a cell."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.columns.batches import in_batch
from modulae._adata.counts import read_cells
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY, Fields
from modulae._adata.stored.models import model_entry, read_model
from modulae._adata.stored.ownership import ROW_STAMPS, rows_stamp
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import names_of_units
from modulae._adata.stored.write_model import result_name
from modulae._utils.stacklevel import user_stacklevel
from modulae._utils.text import listed
from modulae.core.checks import check_integer, check_number, check_seed

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.statistics.calls.call import UnitCalls

CONTROL_CELLS = 4000
"""Cells in which the controls are read: enough for a threshold, in a time that does not grow with the cells."""

DECIDED_FROM = 0.05
"""Units of which less than this share of the cells is decided are named in a warning."""

VISIBLE_FROM = 0.5
"""In so many cells a unit has to stand out from its controls for a lack of evidence to say something of the unit."""

ALIKE_FROM = 0.25
"""Likeness below which the calls of a unit in other cells than those of its model are doubtful."""

EVERYWHERE_FROM = 0.9
"""Of so many cells: then there may be too few others to compare with."""

MOST_NAMED = 8
"""Units that the warning names for each reason."""


@public
def call_units(
    adata: AnnData,
    *,
    key: str = DEFAULT_KEY,
    fdr: float = 0.05,
    n_controls: int = 10,
    n_cells: int = CONTROL_CELLS,
    seed: int = 0,
    layer: str | None = None,
    batch_size: int = 128,
    device: str = "auto",
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Decide in which cells each programme is on.

    The evidence in a cell is how much worse the model explains its counts without the unit (Poisson deviance), over the
    genes that carry the unit. It is compared with the evidence for control units, which are made of other genes of
    similar expression. Each unit gets the lowest threshold at which at most a share `fdr` of the cells called on is
    expected to be wrong. In a cell with few counts this cannot be decided; the second field says in which cells it can.
    A unit is called nowhere if no cells are at least half as active as it was in training where it was on, or if it is
    not `trusted` after :func:`modulae.tl.transfer`: such cells cannot show where the unit is on.
    :doc:`/method/calls` has the formulas, :doc:`/benchmarks/calls` how often calls are wrong.

    Parameters
    ----------
    {adata}
    {key}
    fdr
        Expected share of false calls among the cells in which a unit is called on, above 0 and below 1.
    n_controls
        Control units for each unit.
    n_cells
        Number of cells in which the controls are read, drawn at random where there are more.
    seed
        Seed of the control genes and of the cells that are drawn.
    {model_layer}
    {batch_size_inference}
    {device}
    {key_added=on}
    {copy}

    Returns
    -------
    {returns}

    `adata.obsm[f'{key}_on']` : :class:`numpy.ndarray` (`bool`, cells × units)
        Whether the unit is called on.
    `adata.obsm[f'{key}_on_callable']` : :class:`numpy.ndarray` (`bool`, cells × units)
        Whether the cell allows a call: it is called on, or a unit as active as it usually is where it is on would have
        been called in 9 of 10 such cells. Where this is `False`, off means "not known".
    `adata.uns[f'{key}_on']` : `dict`
        - `"threshold"` (`float64`, units): evidence from which the unit is called on; infinite for a unit that is never
          called.
        - `"expected_fdr"` (`float64`, units): expected share of false calls at that threshold.
        - `"level_off"`, `"level_on"` (`float64`, units): activity where the unit is off, and where it is on.
        - `"n_genes"` (`int64`, units): genes that carry the unit.
        - `"likeness"` (`float64`, units): whether cells with the unit on have more of the genes that the model expects:
          a correlation over genes; NaN with fewer than five cells on either side.
        - `of_model`, `fdr`, `n_controls`, `n_cells`, `seed`.

    Raises
    ------
    KeyError
        No such model or layer, no representation, or the model's genes are missing.
    ValueError
        A number that makes no sense, or a representation that is not of this model.

    Warns
    -----
    UserWarning
        For some units it can be decided in hardly any cell whether they are on; the message names them and says why.
        After :func:`modulae.tl.transfer`, also where cells with a unit on have more of other genes than the model
        expects (`"likeness"` below 0.25), or nearly all cells have it on: it may be another programme.

    See Also
    --------
    modulae.get.unit_calls : The result as a table, a row per unit.
    modulae.get.units_adata : Cells × units as an object of its own, with the calls as a layer.
    modulae.tl.unit_summary : What is known of each unit.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata, n_latent=4, n_splits=0)
    >>> mo.tl.call_units(adata)
    >>> adata.obsm["ae_on"].shape, adata.obsm["ae_on"].dtype
    ((300, 4), dtype('bool'))
    """
    from modulae.core.statistics.calls.call import decide
    from modulae.core.statistics.calls.evidence import as_active_as_usual

    name = result_name(adata, key_added, Fields(key).on, "call_units")
    _check(fdr, n_controls, n_cells)
    check_seed(seed)
    fitted = read_model(adata, key)
    units = np.asarray(model_units(adata, key), dtype=np.float32)
    layer = counts_layer(adata, key, layer)
    cells = in_batch(adata, read_cells(adata, fitted, layer=layer, spread=True), fitted, key=key)
    transferred = model_entry(adata, key).get("transfer")
    active = as_active_as_usual(units, fitted.training.units_on)
    readable = np.ones(len(active), dtype=bool) if transferred is None else transferred["trusted"].astype(bool)
    of_controls = {"n_controls": int(n_controls), "n_cells": int(min(n_cells, len(cells))), "seed": int(seed)}
    calls = decide(
        fitted.network,
        cells,
        units,
        least_on=np.sqrt(np.diag(fitted.training.unit_covariance)),
        sought=active & readable,
        fdr=fdr,
        batch_size=batch_size,
        device=device,
        rescaled=transferred is not None,
        **of_controls,
    )
    adata = changeable(adata, copy=copy)
    adata.uns[name] = {
        "of_model": key,
        "fdr": float(fdr),
        **of_controls,
        "threshold": calls.threshold,
        "expected_fdr": calls.fdr,
        "level_off": calls.level_off,
        "level_on": calls.level_on,
        "n_genes": calls.n_genes,
        "likeness": calls.likeness,
        ROW_STAMPS: rows_stamp(calls.on),
    }
    adata.obsm[name] = calls.on
    adata.obsm[Fields.callable(name)] = calls.callable
    _warn_of_undecided(adata, calls, key, active=active, readable=readable)
    if transferred is not None:
        _warn_of_unlike(adata, calls, key)
    return adata if copy else None


def _warn_of_undecided(
    adata: AnnData, calls: UnitCalls, key: str, *, active: NDArray[np.bool_], readable: NDArray[np.bool_]
) -> None:
    """Name the units of which it is known in hardly any cell whether they are on, by the reason."""
    undecided = calls.callable.mean(axis=0) < DECIDED_FROM
    if not undecided.any():
        return
    labels = _labels(adata, key, len(undecided))
    shown = np.isinf(calls.threshold) & (calls.visible >= VISIBLE_FROM)
    missing, quiet = ~readable, readable & ~active
    rest = undecided & readable & active
    reasons = (
        (missing, f"Too many of their genes are missing, see {step('get.transfer', key=key)}"),
        (
            quiet,
            "No cells are half as active as those in training where they were on: off everywhere, or too few counts",
        ),
        (rest & shown, "In no cell is there more evidence than by chance, so that they may be off everywhere"),
        (rest & ~shown, "The counts of their genes are too few to decide, or fit neither on nor off"),
    )
    which = [
        f"{why}: {listed([labels[unit] for unit in np.flatnonzero(units)], MOST_NAMED)}"
        for units, why in reasons
        if units.any()
    ]
    warnings.warn(
        f"for {undecided.sum()} of {len(undecided)} units it can be decided in less than {DECIDED_FROM:.0%} of the "
        f"cells whether they are on. {'. '.join(which)}. Do not read that as off: compare how active they are, "
        f"{step('tl.rank_units', 'groupby=...', key=key)}.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )


def _warn_of_unlike(adata: AnnData, calls: UnitCalls, key: str) -> None:
    """Name the units that are called on in cells that have other genes than the unit had in training."""
    everywhere = np.isnan(calls.likeness) & (calls.on.mean(axis=0) > EVERYWHERE_FROM)
    unlike = np.flatnonzero((calls.likeness < ALIKE_FROM) | everywhere)
    if len(unlike):
        labels = _labels(adata, key, len(calls.likeness))
        warnings.warn(
            "cells in which these units are called on have more of other genes than the model expects, or are nearly "
            f"all cells: {listed([labels[unit] for unit in unlike], MOST_NAMED)}. It may be another programme with "
            f"some of the same genes. Before you count them, see their likeness in {step('get.unit_calls', key=key)}.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def _labels(adata: AnnData, key: str, n_units: int) -> list[str]:
    """Units by number, and name where they have one."""
    names = names_of_units(adata, key)
    return [f"{unit} ({names[unit]})" if unit in names else unit for unit in map(str, range(n_units))]


def _check(fdr: Any, n_controls: Any, n_cells: Any) -> None:  # noqa: ANN401
    check_number("fdr", fdr, above=0, below=1, give="a number above 0 and below 1, such as 0.05")
    for name, value in (("n_controls", n_controls), ("n_cells", n_cells)):
        check_integer(name, value, minimum=1)
