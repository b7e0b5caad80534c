"""The parts-based autoencoder: genes → units → genes, one linear layer each way, the second without negative weights.

A unit is a part of the cell: what it decodes to is added to what the others decode to, and to a baseline that all cells
have, on the scale of log1p, and nothing is taken away again. That is what makes non-negative matrix factorisation find
parts (Lee & Seung 1999), and what makes units come back in another run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from modulae.core.array_backend import clamp_min, expm1, softplus, softplus_slope, to_numpy

from .network import PATH_STEPS, Network, xavier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.array_backend import Array

    from .network import Method

BETA = 10.0
"""β of the encoder's SoftPlus: nearly a ReLU, but a silent unit still has a slope to come back by."""

MIN_PREACTIVATION = -2.5
"""What SoftPlus gets at least: below exp(−25) its value and slope would be denormal numbers in the end."""

SILENT = 1e-4
"""Activity of a silent unit, and rate of a gene that nothing makes: the logarithm in the loss needs more than 0."""


@dataclass(frozen=True, slots=True)
class PartsNetwork(Network):
    """Weights of the two layers; arrays of NumPy or tensors of torch."""

    architecture: ClassVar[str] = "parts"
    weights: ClassVar[tuple[str, ...]] = ("encoder", "bias", "loadings", "baseline")

    encoder: Array  # units × genes: what a unit is read from, of either sign
    bias: Array  # units
    loadings: Array  # units × genes, ≥ 0: what a unit makes
    baseline: Array  # genes, ≥ 0: what a cell has where no unit is active, on the scale of log1p
    batch_factors: Any = None

    @property
    def n_units(self) -> int:
        """Width of the representation."""
        return int(self.encoder.shape[0])

    @property
    def n_genes(self) -> int:
        """Width of the input."""
        return int(self.encoder.shape[1])

    @property
    def n_hidden_paths(self) -> int:
        """There is one way from a unit back to the genes."""
        return 1

    @property
    def latent_weight(self) -> NDArray[Any]:
        """The encoder, its rows scaled to length 1: units × genes."""
        rows = to_numpy(self.encoder).astype(np.float64)
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.where(length > 0, length, 1))

    def gene_loadings(self, units: NDArray[np.floating]) -> NDArray[np.float32]:  # noqa: ARG002
        """V, as genes × units."""
        return to_numpy(self.loadings).T

    def encode(self, inputs: Array) -> Array:
        """Cells × genes → cells × units: softplus(E·A + c) + 1e-4."""
        return softplus(clamp_min(inputs @ self.encoder.T + self.bias, MIN_PREACTIVATION), BETA) + SILENT

    @property
    def input_weights(self) -> Array:
        """A, units × genes."""
        return self.encoder

    def unit_from_preactivation(self, sums: Array, unit: int) -> Array:
        """The activity of one unit, cells, from `inputs @ encoder.T`, cells × units."""
        return softplus(clamp_min(sums[:, unit] + self.bias[unit], MIN_PREACTIVATION), BETA) + SILENT

    def restricted(self, kept: NDArray[np.bool_], input_weights: NDArray[Any], shift: NDArray[Any]) -> Self:
        """The network for some of its genes."""
        decoder: dict[str, Any] = {
            "loadings": np.ascontiguousarray(self.loadings[:, kept]),
            "baseline": self.baseline[kept],
            "batch_factors": None if self.batch_factors is None else self.batch_factors[:, kept],
        }
        return replace(self, encoder=input_weights, bias=self.bias + shift, **decoder)

    def redrawn(self, rng: np.random.Generator) -> Self:
        """The same network with a new A."""
        return replace(self, encoder=xavier(rng, *self.encoder.shape).astype(self.encoder.dtype))

    def shared_rates(self, units: Array) -> Array:
        """Cells × units → cells × genes, before size factor and factors of the batches: expm1(z·V + b) + 1e-4."""
        return expm1(units @ self.loadings + self.baseline) + SILENT

    def gradients(self, sums: Array, method: Method) -> Iterator[tuple[Array, Array, Array]]:
        """For each unit in turn, its gradient in every cell, in factors: `cells, cells × 1, 1 × genes`.

        `sums` are cells × units, without the bias. The gradient of unit k to gene g is slope[k] · A[k, g]. Guided
        backpropagation clips what flows back into a layer below; there is none, so it is the gradient. Integrated
        gradients average the slope along the path.
        """
        if method == "integrated_gradients":
            nodes, weights = np.polynomial.legendre.leggauss(PATH_STEPS)
            shares = zip((nodes + 1) / 2, weights / 2, strict=True)
            slopes: Any = sum(self._slopes(sums * float(share)) * float(weight) for share, weight in shares)
        else:
            slopes = self._slopes(sums)
        once = sums[:, :1] * 0 + 1
        for unit in range(self.n_units):
            yield slopes[:, unit], once, self.encoder[unit][None, :]

    def accumulate_slopes(self, inputs: Array, weights: Array) -> Array:
        """Σ over cells of weight · slope[k], groups × units × 1; `weights` is groups × cells."""
        return (weights @ self._slopes(inputs @ self.encoder.T))[:, :, None]

    def gradient_of_slopes(self, products: Array, method: Method) -> Array:  # noqa: ARG002
        """Summed gradients, groups × units × genes, from summed :meth:`accumulate_slopes`."""
        return products * self.encoder

    def _slopes(self, at_units: Array) -> Array:
        """Slopes of SoftPlus, cells × units; 0 where what it gets is clamped."""
        a = at_units + self.bias
        return softplus_slope(a, BETA) * (a > MIN_PREACTIVATION)

    @classmethod
    def from_dict(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        return cls(**cls.stored(arrays))
