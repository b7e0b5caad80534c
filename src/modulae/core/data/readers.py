"""What reads rows of counts, wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from scipy import sparse


class Reader(Protocol):
    """What reads counts of the model's genes."""

    @property
    def n_genes(self) -> int:
        """Genes of the model."""

    def rows_together(self, room: int) -> int:
        """Rows of a random block, where a portion has room for so many cells."""

    def read(self, start: int, stop: int) -> sparse.csr_matrix:
        """Consecutive rows, `float32`, without duplicates or stored zeros."""

    @property
    def array(self) -> Any | None:  # noqa: ANN401
        """The dask array that the rows are in; `None` where they are in something else."""

    def elsewhere(self) -> Reader:
        """What :meth:`checked` needs, to be sent to another process."""

    def checked(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """What :meth:`read` makes of rows that somebody else has read."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """Reads counts that are in memory."""

    counts: sparse.csr_matrix

    @property
    def n_genes(self) -> int:
        """Genes of the model."""
        return int(self.counts.shape[1])

    def rows_together(self, room: int) -> int:  # noqa: ARG002
        """Any row is as near as any other."""
        return 1

    @property
    def array(self) -> None:
        """None."""
        return

    def elsewhere(self) -> Self:
        """All of it."""
        return self

    def checked(self, block: sparse.csr_matrix) -> sparse.csr_matrix:
        """The block: what is in memory was checked."""
        return block

    def read(self, start: int, stop: int) -> sparse.csr_matrix:
        """Consecutive rows."""
        return self.counts[start:stop]
