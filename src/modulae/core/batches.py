"""From sparse counts to what the network reads, a batch of cells at a time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .ranks import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from .ranks import Ranks
    from .stored import Source

HASHED_AT_ONCE = 4096
"""Cells of which the fingerprint takes first all lengths, then all genes, then all counts."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of the model's genes, and the size factor of each cell (`None`: the model reads raw counts)."""

    counts: sparse.csr_matrix  # cells × genes, float32
    size_factors: NDArray[np.float32] | None  # cells; 0 for a cell without counts

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def take(self, rows: NDArray[np.intp]) -> Self:
        """These cells, in this order."""
        factors = None if self.size_factors is None else self.size_factors[rows]
        return type(self)(self.counts[rows], factors)

    def blocks(self, size: int) -> Iterator[tuple[slice, Self]]:
        """Consecutive blocks of at most `size` cells, with where they stand."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            factors = None if self.size_factors is None else self.size_factors[rows]
            yield rows, type(self)(self.counts[rows], factors)

    @property
    def at_a_time(self) -> int:
        """Cells that are learnt from in one random order."""
        return len(self)

    @property
    def n_genes(self) -> int:
        """Genes of the model."""
        return int(self.counts.shape[1])

    def load(self) -> Self:
        """The cells in memory, where these are already."""
        return self

    def portions(self) -> Iterator[Self]:
        """Consecutive cells in memory, as many as there is room for: here all."""
        yield self

    def held(self) -> Self:
        """The cells in memory, where these are already."""
        return self

    def some(self, seed: int) -> Self:  # noqa: ARG002
        """Random cells, as many as there is room for: here all."""
        return self

    def gene_totals(self) -> NDArray[np.float64]:
        """Genes: summed counts."""
        return np.asarray(self.counts.sum(axis=0, dtype=np.float64)).ravel()

    def detected(self) -> NDArray[np.int64]:
        """Genes: in how many cells they are counted."""
        return np.bincount(self.counts.indices[self.counts.data > 0], minlength=self.n_genes)

    def totals(self) -> NDArray[np.float64]:
        """Cells: summed counts."""
        return np.asarray(self.counts.sum(axis=1, dtype=np.float64)).ravel()

    def fingerprint(self) -> str:
        """Hash of counts and size factors."""
        return fingerprint(self)

    def shuffled(
        self, rng: np.random.Generator, *, after: int = 0, ranks: Ranks = ALONE
    ) -> Iterator[tuple[Self, NDArray[np.intp]]]:
        """An epoch: cells in memory with the order to learn from them, here all at once; the first `after` left out.

        Of several ranks each has an equal part of every batch.
        """
        order = rng.permutation(len(self))
        if not after:
            yield self, order[ranks.rank :: ranks.size]

    def inputs(self) -> NDArray[np.float32]:
        """What the encoder reads, cells × genes: log1p(x / s), or x itself without size factors.

        A cell without counts has size factor 0 and reads as zeros.
        """
        return self.sparse_inputs().toarray()

    def sparse_inputs(self) -> sparse.csr_matrix:
        """:meth:`inputs` without the zeros spelt out."""
        if self.size_factors is None:
            return self.counts
        inputs = self.counts.copy()
        inputs.data = np.log1p(inputs.data / np.repeat(self.size_factors, np.diff(inputs.indptr)))
        return inputs

    def scale(self) -> NDArray[np.float32]:
        """What the decoder's rates are multiplied by, cells × 1."""
        if self.size_factors is None:
            return np.ones((len(self), 1), dtype=np.float32)
        return self.size_factors[:, None]

    def dense(self) -> NDArray[np.float32]:
        """Counts as a plain array, cells × genes."""
        return self.counts.toarray()


def fingerprint(cells: Source) -> str:
    """Hash of counts and size factors, the same wherever the counts lie."""
    found = hashlib.sha256(f"{len(cells)} {cells.n_genes}".encode())
    for _, block in cells.blocks(HASHED_AT_ONCE):
        counts = block.counts
        for array in (np.diff(counts.indptr).astype(np.int64), counts.indices.astype(np.int64), counts.data):
            found.update(array.tobytes())
    found.update(b"" if cells.size_factors is None else cells.size_factors.tobytes())
    return found.hexdigest()


def as_backend(array: NDArray[Any], device: str) -> Any:  # noqa: ANN401
    """An array for NumPy on a CPU, a tensor elsewhere."""
    if device == "cpu":
        return array
    import torch

    return torch.from_numpy(array).to(device)
