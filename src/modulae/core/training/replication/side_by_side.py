"""The halves of the cells, and what each of them finds: in threads on a CPU, in one batch on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .few_cells import find_few
from .find import compress, find, find_one_more

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

    from modulae.core.factorisation.low_rank import LowRank

    from .few_cells import EvenNoise
    from .find import HalfUnits

    Call = tuple[Callable[..., Any], tuple[Any, ...]]
    Run = Callable[[Sequence[Call]], Iterator[Any]]
    GivenCells = tuple[sparse.csr_matrix, Sequence[NDArray[np.intp]], Sequence[int]]


class Finder(Protocol):
    """Halves of the cells."""

    compressed: list[LowRank]

    def find(self, sizes: Sequence[int]) -> list[list[HalfUnits]]:
        """For each half, and each size: the parts that it has."""

    def find_one_more(self, known: NDArray[Any]) -> list[HalfUnits]:
        """For each half, what it finds beside units that are known."""


class HalvesInThreads:
    """The work on a half is a call of its own; `run` says where calls are carried out."""

    def __init__(
        self, inputs: sparse.csr_matrix, rows: Sequence[NDArray[np.intp]], seeds: Sequence[int], run: Run
    ) -> None:
        self._inputs, self._given, self._run = inputs, (inputs, rows, seeds), run
        self.compressed: list[LowRank] = self._of_all(
            compress, [(inputs, *each) for each in zip(rows, seeds, strict=True)]
        )

    def find(self, sizes: Sequence[int]) -> list[list[HalfUnits]]:
        """For each half, and each size: the parts that it has."""
        return self._of_all(find, [(self._inputs, half, sizes) for half in self.compressed])

    def find_one_more(self, known: NDArray[Any]) -> list[HalfUnits]:
        """For each half, what it finds beside units that are known."""
        return self._of_all(find_one_more, [(self._inputs, half, known) for half in self.compressed])

    def find_few(self, even: EvenNoise, known: NDArray[Any]) -> list[HalfUnits]:
        """For each half, what it finds beside them where the noise is even."""
        return _few(self._run, self._given, even, known)

    def _of_all(self, function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> list[Any]:
        return list(self._run([(function, each) for each in given]))


class HalvesOnGpu:
    """All halves in one batch; where the GPU fails, in threads from then on, and :attr:`trouble` says why."""

    def __init__(
        self,
        inputs: sparse.csr_matrix,
        rows: Sequence[NDArray[np.intp]],
        seeds: Sequence[int],
        run: Run,
        device: str,
    ) -> None:
        self._given, self._run, self._device = (inputs, rows, seeds), run, device
        self._finder: Finder | None = None
        self.trouble = ""

    @property
    def compressed(self) -> list[LowRank]:
        """The halves in a few directions."""
        return self._done(lambda finder: finder.compressed)

    def find(self, sizes: Sequence[int]) -> list[list[HalfUnits]]:
        """For each half, and each size: the parts that it has."""
        return self._done(lambda finder: finder.find(sizes))

    def find_one_more(self, known: NDArray[Any]) -> list[HalfUnits]:
        """For each half, what it finds beside units that are known."""
        return self._done(lambda finder: finder.find_one_more(known))

    def find_few(self, even: EvenNoise, known: NDArray[Any]) -> list[HalfUnits]:
        """In threads all the same: the chosen genes are few."""
        return _few(self._run, self._given, even, known)

    def _done(self, work: Callable[[Finder], list[Any]]) -> list[Any]:
        if not self.trouble:
            from .on_device import HalvesOnDevice

            try:
                self._finder = self._finder or HalvesOnDevice(*self._given, self._device)
                return work(self._finder)
            except (RuntimeError, ValueError) as error:  # its memory is full, or whatever a GPU refuses
                self.trouble = next(iter(str(error).splitlines()), "") or type(error).__name__
                self._finder = None
        self._finder = self._finder or HalvesInThreads(*self._given, self._run)
        return work(self._finder)


def _few(run: Run, cells: GivenCells, even: EvenNoise, known: NDArray[Any]) -> list[HalfUnits]:
    inputs, rows, seeds = cells
    return list(run([(find_few, (inputs, even, *each, known)) for each in zip(rows, seeds, strict=True)]))
