"""What every architecture offers to the steps that follow training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from modulae.core.array_backend import is_torch, to_numpy

from .losses import orthogonality_gap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.array_backend import Array


FACTORS = "batch_factors"


Method = Literal["gradient", "guided", "input_x_gradient", "integrated_gradients"]

PATH_STEPS = 32
"""Points of the Gauss–Legendre rule along the path of integrated gradients."""


def xavier(rng: np.random.Generator, n_out: int, n_in: int) -> NDArray[np.float32]:
    """Random weights, outputs × inputs (Glorot & Bengio 2010, uniform)."""
    bound = np.sqrt(6 / (n_out + n_in))
    return rng.uniform(-bound, bound, size=(n_out, n_in)).astype(np.float32)


class Network(ABC):
    """Weights that encode, decode and give the gradients of their units; arrays of NumPy or tensors of torch.

    What reads a trained model knows this much and no more. Subclasses are frozen dataclasses whose arrays are named in
    `weights`.
    """

    __slots__ = ()
    architecture: ClassVar[str]
    weights: ClassVar[tuple[str, ...]]
    batch_factors: Any  # (batches + 1) × genes, the last row their average; None: a model without batches

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of all arrays: the weights, and the factors of the batches where there are any."""
        return self.weights if self.batch_factors is None else (*self.weights, FACTORS)

    @property
    @abstractmethod
    def n_units(self) -> int:
        """Width of the representation."""

    @property
    @abstractmethod
    def n_genes(self) -> int:
        """Width of the input."""

    @property
    @abstractmethod
    def n_hidden_paths(self) -> int:
        """Ways from a unit back to the genes; the last axis of :meth:`accumulate_slopes`."""

    @property
    @abstractmethod
    def latent_weight(self) -> NDArray[Any]:
        """The weight that gives the units: its rows are what orthogonality is about; see :attr:`orthogonality_gap`."""

    @abstractmethod
    def gene_loadings(self, units: NDArray[np.floating]) -> NDArray[np.float32]:
        """What each unit makes of each gene, genes × units: what it changes in log1p of the rate of these cells.

        `units` are cells × units; a decoder of one layer does without them.
        """

    @abstractmethod
    def encode(self, inputs: Array) -> Array:
        """Cells × genes → cells × units."""

    @property
    @abstractmethod
    def input_weights(self) -> Array:
        """The first layer, sums × genes: what it multiplies the inputs with."""

    @abstractmethod
    def unit_from_preactivation(self, sums: Array, unit: int) -> Array:
        """The activity of one unit, cells, from `inputs @ input_weights.T`, cells × sums."""

    @abstractmethod
    def restricted(self, kept: NDArray[np.bool_], input_weights: NDArray[Any], shift: NDArray[Any]) -> Self:
        """The network for some of its genes: these :attr:`input_weights` of theirs, `shift` added to the sums."""

    @abstractmethod
    def redrawn(self, rng: np.random.Generator) -> Self:
        """The same network with a new random draw of the weights that give the units (Xavier), all else kept."""

    @abstractmethod
    def shared_rates(self, units: Array) -> Array:
        """Cells × units → cells × genes, the rates before the size factor and the factors of the batches."""

    def decode(self, units: Array, batch: Array | None = None) -> Array:
        """Cells × units → cells × genes, the rates before the size factor.

        Parameters
        ----------
        units
            Cells × units.
        batch
            Cells: the batch of each, −1 for the average of all. `None`: the average.
        """
        rates = self.shared_rates(units)
        if self.batch_factors is None:
            return rates
        factors: Array = self.batch_factors[-1] if batch is None else self.batch_factors[batch]
        return rates * factors

    @abstractmethod
    def gradients(self, sums: Array, method: Method) -> Iterator[tuple[Array, Array, Array]]:
        """For each unit in turn, its gradient in every cell, in factors: `cells, cells × paths, paths × genes`.

        `sums` are `inputs @ input_weights.T`. The gradient d unit / d input, cells × genes, is the product of the last
        two, times the first, which is ≥ 0.
        """

    @abstractmethod
    def accumulate_slopes(self, inputs: Array, weights: Array) -> Array:
        """What summed gradients need of the cells, groups × units × paths; `weights` is groups × cells."""

    @abstractmethod
    def gradient_of_slopes(self, products: Array, method: Method) -> Array:
        """Summed gradients, groups × units × genes, from summed :meth:`accumulate_slopes`."""

    @property
    def orthogonality_gap(self) -> float:
        """‖I − W Wᵀ‖_F of :attr:`latent_weight`: 0 where its rows are orthonormal."""
        return orthogonality_gap(to_numpy(self.latent_weight).astype(np.float64))

    def to_torch(self, device: str, *, dtype: Any = None, trained: bool = False) -> Self:  # noqa: ANN401
        """The same network with tensors on `device`."""
        import torch

        def move(name: str) -> torch.Tensor:
            learnt = trained and name in self.weights
            return torch.tensor(getattr(self, name), dtype=dtype, device=device, requires_grad=learnt)

        return self._with({name: move(name) for name in self.arrays})

    def to_numpy(self) -> Self:
        """The same network with its own NumPy arrays."""
        return self._with({name: np.array(to_numpy(getattr(self, name))) for name in self.arrays})

    def on(self, device: str) -> Self:
        """The network as inference wants it: NumPy on a CPU, tensors elsewhere."""
        if device == "cpu":
            return self.to_numpy() if is_torch(getattr(self, self.weights[0])) else self
        return self.to_torch(device)

    def as_dict(self) -> dict[str, Any]:
        """Plain arrays that survive a file."""
        arrays = {name: np.array(to_numpy(getattr(self, name))) for name in self.arrays}
        return {"architecture": self.architecture, **arrays}

    @classmethod
    def stored(cls, arrays: Mapping[str, Any], *also: str) -> dict[str, NDArray[Any]]:
        """The weights among what :meth:`as_dict` wrote, or what to do if some of them, or of `also`, are absent."""
        absent = [name for name in (*cls.weights, *also) if name not in arrays]
        if absent:
            msg = f"the stored model lacks {absent}. Train again with `mo.tl.autoencoder(adata)`."
            raise ValueError(msg)
        available = [name for name in (*cls.weights, FACTORS) if name in arrays]
        return {name: np.asarray(arrays[name]) for name in available}

    def _with(self, arrays: dict[str, Any]) -> Self:
        return replace(self, **arrays)  # type: ignore[type-var]
