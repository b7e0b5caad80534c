"""From sparse counts to what the network reads, a batch of cells at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from modulae.core.checks import check_integer
from modulae.core.processes.ranks import ALONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modulae.core.array_backend import Array
    from modulae.core.processes.ranks import Ranks


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of the model's genes, and the size factor of each cell (`None`: the model reads raw counts)."""

    counts: sparse.csr_matrix  # cells × genes, float32
    size_factors: NDArray[np.float32] | None  # cells; 0 for a cell without counts
    batch: NDArray[np.int64] | None = None  # cells: number of its batch, −1 if unknown; `None`: no batches

    def __len__(self) -> int:
        return int(self.counts.shape[0])

    def take(self, rows: NDArray[np.intp]) -> Self:
        """These cells, in this order."""
        return type(self)(self.counts[rows], of_rows(self.size_factors, rows), of_rows(self.batch, rows))

    def with_batch(self, batch: NDArray[np.int64]) -> Self:
        """The same cells, of these batches."""
        return replace(self, batch=batch)

    def blocks(self, size: int) -> Iterator[tuple[slice, Self]]:
        """Consecutive blocks of at most `size` cells, with where they stand."""
        check_integer("batch_size", size, minimum=1)
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield rows, type(self)(self.counts[rows], of_rows(self.size_factors, rows), of_rows(self.batch, rows))

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

    def inputs_on(self, device: str) -> Array:
        """:meth:`inputs` where it is computed with: an array for NumPy on a CPU, else a tensor.

        Only what is not zero is sent there.
        """
        if device == "cpu":
            return self.inputs()
        import torch

        sent = self.sparse_inputs()
        lengths, genes = (
            torch.from_numpy(index.astype(np.int64)).to(device) for index in (np.diff(sent.indptr), sent.indices)
        )
        cells = torch.repeat_interleave(torch.arange(len(self), device=device), lengths, output_size=sent.nnz)
        values = torch.from_numpy(sent.data).to(device)
        return torch.zeros(sent.shape, dtype=values.dtype, device=device).index_put_((cells, genes), values)

    def sparse_inputs(self) -> sparse.csr_matrix:
        """:meth:`inputs` without the zeros densified."""
        if self.size_factors is None:
            return self.counts
        inputs = self.counts.copy()
        inputs.data = np.log1p(inputs.data / np.repeat(self.size_factors, np.diff(inputs.indptr)))
        return inputs

    def without_batches(self, factors: NDArray[np.float32]) -> Self:
        """The cells with each count over the factor of its batch and gene, batches × genes."""
        counts = self.counts.copy()
        batch = np.repeat(
            np.zeros(len(self), dtype=np.int64) if self.batch is None else self.batch, np.diff(counts.indptr)
        )
        counts.data = counts.data / factors[batch, counts.indices]
        return type(self)(counts, self.size_factors)

    def permute_batches(self, order: NDArray[np.intp], factors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Data of :meth:`sparse_inputs`, each cell as if it were of the batch of the cell before it in this order.

        Its counts are multiplied by the factor of that batch over that of its own, batches × genes. As the order is
        random, so is the other batch, in proportion to the cells of each; no further draw has to be repeated after an
        interruption. What is counted 0 times stays 0.
        """
        counts = self.counts
        own = np.zeros(len(self), dtype=np.int64) if self.batch is None else self.batch
        other = own.copy()
        other[order] = own[np.roll(order, 1)]
        before, after = (np.repeat(batch, np.diff(counts.indptr)) for batch in (own, other))
        ratio = factors[after, counts.indices] / factors[before, counts.indices]
        as_others = sparse.csr_matrix((counts.data * ratio, counts.indices, counts.indptr), shape=counts.shape)
        return np.asarray(type(self)(as_others, self.size_factors).sparse_inputs().data)

    def scale(self) -> NDArray[np.float32]:
        """What the decoder's rates are multiplied by, cells × 1."""
        if self.size_factors is None:
            return np.ones((len(self), 1), dtype=np.float32)
        return self.size_factors[:, None]

    def dense(self) -> NDArray[np.float32]:
        """Counts as a plain array, cells × genes."""
        return self.counts.toarray()


def of_rows(values: NDArray[Any] | None, rows: NDArray[np.intp] | slice) -> NDArray[Any] | None:
    """What some cells have of something that none may have."""
    return None if values is None else values[rows]


def as_backend(array: NDArray[Any], device: str) -> Array:
    """An array for NumPy on a CPU, a tensor elsewhere."""
    if device == "cpu":
        return array
    import torch

    return torch.from_numpy(array).to(device)
