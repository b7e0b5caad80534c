"""Two halves of the cells, drawn again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Halves = list[tuple[NDArray[np.intp], NDArray[np.intp]]]

FEWEST_DONORS = 4
"""Two in each half: one donor alone can't be told from the programmes of all."""


def check_donors(n_donors: int, where: str) -> None:
    """Raise unless there are enough of them; `where` says among which cells."""
    if n_donors < FEWEST_DONORS:
        donors = "1 donor" if n_donors == 1 else f"{n_donors} donors"
        msg = (
            f"replicate_over has {donors}{where}; halves of donors need {FEWEST_DONORS} or more. Leave out "
            "replicate_over, and halves are made of cells."
        )
        raise ValueError(msg)


def draw_halves(n_cells: int, n_splits: int, seed: int, donors: NDArray[np.integer] | None = None) -> Halves:
    """Rows of the two halves of each split, without a cell in both.

    With `donors`, the number of the donor of each cell, all cells of a donor are in the same half. Halves have as many
    donors then (one more in the second where their number is odd), not as many cells.
    """
    rng = np.random.default_rng([seed, 6])
    if donors is None:
        orders = (rng.permutation(n_cells) for _ in range(n_splits))
        return [(np.sort(order[: n_cells // 2]), np.sort(order[n_cells // 2 :])) for order in orders]
    names = np.unique(donors)
    check_donors(len(names), " among the training cells")
    halves = []
    for _ in range(n_splits):
        first = np.isin(donors, rng.permutation(names)[: len(names) // 2])
        halves.append((np.flatnonzero(first), np.flatnonzero(~first)))
    return halves
