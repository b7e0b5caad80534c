"""Cells, wherever their counts lie: what every step that reads cells asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from modulae.core.processes.ranks import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from modulae.core.processes.ranks import Ranks

    from .cells import Cells


class Source(Protocol):
    """Counts of the genes of a model, in memory (:class:`.Cells`) or on disk (:class:`.StoredCells`)."""

    @property
    def size_factors(self) -> NDArray[np.float32] | None:
        """Cells: their size factors, 0 for a cell without counts; `None`: the model reads raw counts."""

    @property
    def batch(self) -> NDArray[np.int64] | None:
        """Cells: number of the batch of each, −1 if unknown; `None`: no batches."""

    @property
    def n_genes(self) -> int:
        """Genes of the model."""

    @property
    def at_a_time(self) -> int:
        """Cells that are learnt from in one random order."""

    def __len__(self) -> int: ...

    def take(self, rows: NDArray[np.intp]) -> Self:
        """These cells, in this order."""

    def with_batch(self, batch: NDArray[np.int64]) -> Self:
        """The same cells, of these batches."""

    def load(self) -> Cells:
        """The cells in memory."""

    def held(self) -> Self:
        """The same, in memory where there is room for them."""

    def some(self, seed: int) -> Cells:
        """Random cells in memory, as many as there is room for."""

    def portions(self) -> Iterator[Cells]:
        """Consecutive cells in memory, at most as many as there is room for."""

    def blocks(self, size: int) -> Iterator[tuple[slice, Cells]]:
        """Consecutive blocks of at most `size` cells in memory, with where they stand."""

    def shuffled(
        self, rng: np.random.Generator, *, after: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[tuple[Cells, NDArray[np.intp]]]:
        """An epoch: portions of the cells with the order to learn from them; the first `after` are left out."""

    def gene_totals(self) -> NDArray[np.float64]:
        """Genes: summed counts."""

    def detected(self) -> NDArray[np.int64]:
        """Genes: in how many cells they are counted."""

    def totals(self) -> NDArray[np.float64]:
        """Cells: summed counts."""
