"""The orthogonal autoencoder: genes → hidden → units → hidden → genes, SoftPlus after every layer.

One implementation serves training (torch tensors, autograd) and reading (NumPy arrays, or tensors on a GPU).
Weights have the shape outputs × inputs, as in PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from modulae.core.array_backend import inverse_softplus, softplus, softplus_slope, to_numpy

from .config import SMALL_BIAS
from .network import PATH_STEPS, Method, Network, xavier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.array_backend import Array

    from .config import Config


SLOPE_CELLS, SLOPE_CELLS_AT_ONCE = 1000, 200
"""Cells, evenly spaced, that stand for all where slopes of the decoder are averaged; and how many at a time."""

WEIGHTS = ("w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4")


@dataclass(frozen=True, slots=True)
class OrthogonalNetwork(Network):
    """Weights and SoftPlus β of each layer; arrays of NumPy or tensors of torch."""

    architecture: ClassVar[str] = "orthogonal"
    weights: ClassVar[tuple[str, ...]] = WEIGHTS

    w1: Array  # hidden × genes
    b1: Array  # hidden
    w2: Array  # units × hidden: the weight that is kept orthogonal
    b2: Array  # units
    w3: Array  # hidden × units
    b3: Array  # hidden
    w4: Array  # genes × hidden
    b4: Array  # genes
    betas: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    batch_factors: Any = None

    @property
    def n_units(self) -> int:
        """Width of the representation."""
        return int(self.w2.shape[0])

    @property
    def n_genes(self) -> int:
        """Width of the input."""
        return int(self.w1.shape[1])

    @property
    def n_hidden_paths(self) -> int:
        """Hidden neurons: the ways from a unit back to the genes."""
        return int(self.w1.shape[0])

    @property
    def latent_weight(self) -> NDArray[Any]:
        """The weight that is kept orthogonal, units × hidden."""
        return self.w2  # type: ignore[return-value]

    def encode(self, inputs: Array) -> Array:
        """Cells × genes → cells × units."""
        hidden = softplus(inputs @ self.w1.T + self.b1, self.betas[0])
        return softplus(hidden @ self.w2.T + self.b2, self.betas[1])

    @property
    def input_weights(self) -> Array:
        """W₁, hidden × genes."""
        return self.w1

    def unit_from_preactivation(self, sums: Array, unit: int) -> Array:
        """The activity of one unit, cells, from `inputs @ w1.T`, cells × hidden."""
        hidden = softplus(sums + self.b1, self.betas[0])
        return softplus(hidden @ self.w2[unit] + self.b2[unit], self.betas[1])

    def restricted(self, kept: NDArray[np.bool_], input_weights: NDArray[Any], shift: NDArray[Any]) -> Self:
        """The network for some of its genes."""
        factors = None if self.batch_factors is None else self.batch_factors[:, kept]
        w4, b4 = self.w4[kept], self.b4[kept]
        return replace(self, w1=input_weights, b1=self.b1 + shift, w4=w4, b4=b4, batch_factors=factors)

    def redrawn(self, rng: np.random.Generator) -> Self:
        """The same network with a new W₂."""
        return replace(self, w2=xavier(rng, *self.w2.shape).astype(self.w2.dtype))

    def shared_rates(self, units: Array) -> Array:
        """Cells × units → cells × genes, the rates before the size factor and the factors of the batches."""
        hidden = softplus(units @ self.w3.T + self.b3, self.betas[2])
        return softplus(hidden @ self.w4.T + self.b4, self.betas[3])

    def gene_loadings(self, units: NDArray[np.floating]) -> NDArray[np.float32]:
        """The mean slope of log1p of the rate over the cells, times the standard deviation of the unit."""
        w3, w4 = to_numpy(self.w3), to_numpy(self.w4)
        some = units[np.linspace(0, len(units) - 1, min(SLOPE_CELLS, len(units))).astype(np.intp)]
        slopes = np.zeros(w4.shape)
        for start in range(0, len(some), SLOPE_CELLS_AT_ONCE):
            at_hidden = some[start : start + SLOPE_CELLS_AT_ONCE] @ w3.T + to_numpy(self.b3)
            at_genes = to_numpy(softplus(at_hidden, self.betas[2])) @ w4.T + to_numpy(self.b4)
            rates = to_numpy(softplus(at_genes, self.betas[3]))
            of_genes = to_numpy(softplus_slope(at_genes, self.betas[3])) / (1 + rates)
            slopes += of_genes.T @ to_numpy(softplus_slope(at_hidden, self.betas[2]))
        by_unit = (slopes / len(some) * w4) @ w3  # Σ over hidden of the two slopes times the two weights
        return np.asarray(by_unit * units.std(axis=0, dtype=np.float64), dtype=np.float32)

    def gradients(self, sums: Array, method: Method) -> Iterator[tuple[Array, Array, Array]]:
        """For each unit in turn, its gradient in every cell, in factors: `cells, cells × paths, paths × genes`.

        `sums` are cells × hidden, without the bias. The gradient d unit / d input, cells × genes, is the product of
        the last two, times the first, which is ≥ 0. It is left to the caller, who may take parts or average first. A
        path is a hidden neuron. With the SoftPlus slopes s₁, s₂ of a cell, the gradient of unit k to gene g is
        s₂[k] · Σⱼ W₂[k, j] · s₁[j] · W₁[j, g]; guided
        backpropagation (Springenberg et al. 2014) clips what flows back into the hidden layer below 0, so only the
        positive W₂[k, j] stay; for integrated gradients (Sundararajan et al. 2017, baseline 0) s₂ · s₁ is averaged
        along the straight path from an input of zeros.
        """
        if method == "integrated_gradients":
            nodes, weights = np.polynomial.legendre.leggauss(PATH_STEPS)
            shares = zip((nodes + 1) / 2, weights / 2, strict=True)
            slopes = [(float(weight), *self._slopes(sums * float(share))) for share, weight in shares]
        else:
            s1, s2 = self._slopes(sums)
        for unit in range(self.n_units):
            row: Any = self.w2[unit]  # hidden
            used = row > 0 if method == "guided" else row != 0
            basis = self.w1[used]
            basis *= row[used][:, None]  # in place: memory for a second copy would cost more than the product
            if method == "integrated_gradients":
                along: Any = sum((s2[:, unit, None] * weight) * s1[:, used] for weight, s1, s2 in slopes)
                yield sums[:, 0] * 0 + 1, along, basis
            else:
                yield s2[:, unit], s1[:, used], basis

    def accumulate_slopes(self, inputs: Array, weights: Array) -> Array:
        """Σ over cells of weight · s₂[k] · s₁[j], groups × units × hidden; `weights` is groups × cells.

        Summed gradients without absolute values need nothing else of the cells: see :meth:`gradient_of_slopes`.
        """
        s1, s2 = self._slopes(inputs @ self.w1.T)
        return (weights[:, None, :] * s2.T[None]) @ s1

    def gradient_of_slopes(self, products: Array, method: Method) -> Array:
        """Summed gradients, groups × units × genes, from summed :meth:`accumulate_slopes`."""
        w2 = self.w2 * (self.w2 > 0) if method == "guided" else self.w2
        return (products * w2) @ self.w1

    def _slopes(self, at_hidden: Array) -> tuple[Array, Array]:
        """Slopes of the two encoding SoftPlus: cells × hidden, cells × units."""
        a1 = at_hidden + self.b1
        a2 = softplus(a1, self.betas[0]) @ self.w2.T + self.b2
        return softplus_slope(a1, self.betas[0]), softplus_slope(a2, self.betas[1])

    def as_dict(self) -> dict[str, Any]:
        """Plain arrays that survive a file."""
        return {**Network.as_dict(self), "betas": np.asarray(self.betas, dtype=np.float64)}

    @classmethod
    def from_dict(cls, arrays: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        weights = cls.stored(arrays, "betas")
        return cls(**weights, betas=tuple(float(beta) for beta in arrays["betas"]))  # type: ignore[arg-type]


def initial_network(config: Config, rates: NDArray[np.float64], rng: np.random.Generator) -> OrthogonalNetwork:
    """Draw a network: Xavier weights (Glorot & Bengio 2010, uniform), small constant biases.

    Parameters
    ----------
    config
        Widths, SoftPlus β and where the output starts.
    rates
        Mean rate of each gene (counts per cell of size factor 1); the start of the output bias.
    rng
        Source of the random weights.
    """
    n_genes, hidden, units = len(rates), config.n_hidden, config.n_latent
    widths = (hidden, units, hidden, n_genes)
    betas = (
        tuple(float(width) for width in widths) if config.activation_beta == "width" else (config.activation_beta,) * 4
    )

    def constant(width: int) -> NDArray[np.float32]:
        return np.full(width, SMALL_BIAS, dtype=np.float32)

    w1, w2 = xavier(rng, hidden, n_genes), xavier(rng, units, hidden)
    w3, w4 = xavier(rng, hidden, units), xavier(rng, n_genes, hidden)
    b4 = constant(n_genes)
    if config.output_bias != "constant":
        seen = rates[rates > 0]
        floor = 0.1 * seen.min() if len(seen) else 1.0  # a gene never seen starts below the rarest one
        share = 1.0 if config.output_bias == "gene_means" else 0.5
        b4 = (share * inverse_softplus(np.maximum(rates, floor), betas[3])).astype(np.float32)
    return OrthogonalNetwork(
        w1,
        constant(hidden),
        w2,
        constant(units),
        w3,
        constant(hidden),
        w4,
        b4,
        betas=betas,  # type: ignore[arg-type]
    )
