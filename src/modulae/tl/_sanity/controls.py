"""What `tl.sanity` asks of the controls, and how the answers are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.text import counted
from modulae.core.checks import check_integer
from modulae.core.sanity.compare import compare, compare_with_expression, explain
from modulae.core.sanity.deletion import delete_genes
from modulae.core.sanity.results import ControlResults
from modulae.core.sanity.verdict import MIN_SETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modulae._adata.columns.groups import Contrast
    from modulae.core.data.cells import Cells
    from modulae.core.model.fitted import Fitted
    from modulae.core.sanity.compare import ExplanationSpec
    from modulae.core.sanity.verdict import Levels

CELLS_OF_A_GROUP = 50
"""Cells of a group, and of its reference, that stay when cells are drawn."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How many of what."""

    n_seeds: int
    max_epochs: int
    n_draws: int
    seed: int


def check_numbers(**numbers: int | None) -> None:
    """Raise unless an integer above 0; `None` where that means "all"."""
    for name, value in numbers.items():
        if value is None and name in {"n_cells", "max_epochs"}:
            continue
        minimum = 2 if name == "n_cells" else 1
        check_integer(name, value, minimum=minimum)


def check_sets(n_sets: int) -> None:
    """Refuse a comparison over a handful of sets."""
    if n_sets < MIN_SETS:
        msg = (
            f"{counted(n_sets, 'gene set has', 'gene sets have')} enough genes in the model, and a rank "
            f"correlation over so few says nothing. Give {MIN_SETS} sets or more, for example a whole collection."
        )
        raise ValueError(msg)


def sides_of(plan: Contrast | None, n_cells: int) -> NDArray[np.bool_]:
    """2 × groups × cells: who is in the group, and in what it is compared with."""
    if plan is None:
        return np.zeros((2, 0, n_cells), dtype=bool)
    return np.stack([plan.members, plan.reference_members])


def choose_cells(sides: NDArray[np.bool_], n_cells: int | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """At most `n_cells` at random, in their order; fifty of each side of every comparison, or all there are, stay."""
    total = sides.shape[-1]
    if n_cells is None or n_cells >= total:
        return np.arange(total)
    order = rng.permutation(total)
    first = np.zeros(total, dtype=bool)
    for side in sides.reshape(-1, total):
        first[order[side[order]][:CELLS_OF_A_GROUP]] = True
    by_need = np.concatenate([order[first[order]], order[~first[order]]])
    return np.sort(by_need[: max(n_cells, int(first.sum()))])


def run_controls(
    fitted: Fitted,
    cells: Cells,
    spec: ExplanationSpec,
    settings: ControlSettings,
    *,
    on_epoch: Callable[[int, float], None],
) -> ControlResults:
    """Explain, make each control, explain again and compare; then delete genes."""
    from modulae.core.sanity.controls import draw_controls

    own = explain(fitted.network, cells, spec)
    controls, agreements = [], []
    for control in draw_controls(
        fitted,
        cells,
        n_seeds=settings.n_seeds,
        max_epochs=settings.max_epochs,
        seed=settings.seed,
        device=spec.device,
        on_epoch=on_epoch,
    ):
        controls.append(control)
        if control.network is None:
            agreements.append(compare_with_expression(own, cells, spec))
            continue
        other = explain(control.network, cells, spec)
        same_units = control.kind == "untrained, same start"
        agreements.append(compare(own, other, same_units=same_units, signed=spec.signed))
    rng = np.random.default_rng([settings.seed, 4])
    deletion = delete_genes(fitted.network, cells, own.saliency, own.activity, n_draws=settings.n_draws, rng=rng)
    return ControlResults(controls, agreements, deletion)


def as_stored(levels: Levels, found: ControlResults, plan: Contrast | None) -> dict[str, Any]:
    """Plain arrays that survive a file."""
    stored: dict[str, Any] = {
        "levels": np.array(levels.names, dtype=object),
        "seeds": levels.seeds.astype(np.float32),
        "control": levels.control.astype(np.float32),
        "control_kind": np.array(levels.control_kind, dtype=object),
        "passed": levels.passed,
        "controls": np.array([control.name for control in found.controls], dtype=object),
        "kinds": np.array([control.kind for control in found.controls], dtype=object),
        "agreement": levels.agreement.astype(np.float32),
        "unit_agreement": found.values("units").astype(np.float32),
        "unit_activity": found.values("activity").astype(np.float32),
        "unit_partner": found.values("partner"),
        "deletion": {
            "n_deleted": found.deletion.n_deleted,
            "top": found.deletion.top.astype(np.float32),
            "random": found.deletion.random.mean(axis=1).astype(np.float32),
            "score": found.deletion.score().astype(np.float32),
            "beaten": found.deletion.beaten().astype(np.float32),
        },
    }
    if plan is not None:
        stored |= {
            "reference": plan.reference,
            "groups": np.array(plan.groups, dtype=object),
            "references": np.array(plan.references, dtype=object),
            "group_agreement": found.values("effect")[1:].astype(np.float32),
            "group_strength_agreement": found.values("strength")[1:].astype(np.float32),
        }
    return stored
