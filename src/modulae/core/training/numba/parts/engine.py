"""Training of the parts-based autoencoder on a CPU in compiled loops, shared by threads."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae.core.model import batch_factors
from modulae.core.model.losses import EPSILON
from modulae.core.model.parts import BETA, MIN_PREACTIVATION, SILENT
from modulae.core.threads import blas_threads, n_threads, sharing
from modulae.core.training.adam import ADAM_EPS, BETAS, BIAS_SCALE, ENCODER_SHARE, RISING_STEPS
from modulae.core.training.numba.numba_engine import LAST_TERMS, as_sparse, with_sorted_genes

from . import arguments, kernels
from .memory import memory_for, views_of, weights_for
from .penalty import penalty_gradient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from modulae.core.data.cells import Cells
    from modulae.core.model.config import Config
    from modulae.core.model.parts import PartsNetwork
    from modulae.core.training.numba.arguments import Sparse

    Run = Callable[[int, int], None]

ONE_THREAD_BELOW = 1_000_000
"""Cells × genes × units of a step that one thread does faster than two, which wait for each other."""

TEST_BLOCK = 128
"""Cells at once when a loss is measured."""


class NumbaPartsEngine:
    """Weights, what Adam remembers of them, and the steps that move them; the same as :class:`.PartsEngine` takes.

    All sums are taken in the same order however many threads there are.
    """

    def __init__(self, network: PartsNetwork, train_cells: Cells | None, config: Config, unit: float) -> None:
        given: Any = network  # whose arrays are NumPy's
        self._network, self._config, self._unit = given, config, unit
        (n_units, n_genes), f = network.encoder.shape, np.float32
        by_gene = np.sqrt((np.vstack([given.loadings, given.baseline]) ** 2).mean(axis=0, dtype=f))
        self._weights, self._moments = weights_for(n_units, n_genes)
        self._views = views_of(self._weights, self._moments, n_units, n_genes)
        for name in network.weights:
            self._views[name][...] = getattr(network, name)
        self._taken, self._n_threads = 0, n_threads()
        self._kept = {  # what a state remembers beside the weights
            "first_encoder": given.encoder.copy(),
            "first_bias": given.bias.copy(),
            "held": np.zeros(n_units, dtype=bool),
            "scale_encoder": np.array(ENCODER_SHARE * np.sqrt((given.encoder**2).mean(dtype=f)), dtype=f),
            "scale_bias": np.array(BIAS_SCALE, dtype=f),
            "scale_loadings": by_gene * (config.loadings != "fixed"),
            "scale_baseline": by_gene.copy(),
        }
        self._scale_steps()
        no_factors = network.batch_factors is None
        self._factors = np.zeros((0, 0), dtype=f) if no_factors else network.batch_factors.astype(f)
        self._memory = memory_for(
            n_units, n_genes, max(config.batch_size, TEST_BLOCK), penalised=config.orthogonality > 0
        )
        self._learn: Cells | None = None
        if train_cells is not None:
            self.read(train_cells)

    def read(self, train_cells: Cells) -> None:
        """The cells that the next steps learn from."""
        if train_cells is not self._learn:
            self._learn, self._sorted = train_cells, with_sorted_genes(train_cells)
            self._data = self._sparse(self._sorted)

    def epoch(self, order: NDArray[np.intp], learning_rate: float, final: float | None = None) -> float:
        """One pass over the cells it has read, in this order; their mean Poisson loss on the way.

        From the first step to the one after the last, the step size falls from `learning_rate` to `final`.
        """
        if len(self._factors) and batch_factors.PERMUTE_BATCHES:
            self._data.inputs[:] = self._sorted.permute_batches(order, self._factors)
        size, total = self._config.batch_size, 0.0
        n_steps = -(-len(order) // size)
        fall = 0.0 if final is None else (learning_rate - final) / n_steps
        with self._threads(min(size, len(order))) as share:
            for start in range(0, len(order), size):
                self._taken += 1
                cells = np.ascontiguousarray(order[start : start + size], dtype=np.int64)
                rate = learning_rate * min(1.0, self._taken / RISING_STEPS)
                total += self._step(cells, rate, share)
                learning_rate -= fall
        return float(total / (len(order) * self._network.n_genes))

    def loss(self, cells: Cells) -> float:
        """Mean Poisson loss of these cells, in counts."""
        data = self._data if cells is self._learn and not len(self._factors) else self._sparse(with_sorted_genes(cells))
        numbers, total = self._numbers(0, TEST_BLOCK), 0.0
        with self._threads(TEST_BLOCK) as share:
            for start in range(0, len(cells), TEST_BLOCK):
                some = np.arange(start, min(start + TEST_BLOCK, len(cells)))
                total += self._predict(some, data, numbers, share, learn=False)
        return float(total / (len(cells) * self._network.n_genes))

    def update_batch_factors(self, factors_of: Callable[[NDArray[np.float64]], NDArray[np.float32]]) -> None:
        """Leave the factors of the batches as they start, as :class:`.PartsEngine` does."""

    def hold(self, held: NDArray[np.bool_]) -> None:
        """From now on these units are read as at the start, and the others learn how they are read."""
        self._kept["held"][:] = held
        self._views["encoder"][held] = self._kept["first_encoder"][held]
        self._views["bias"][held] = self._kept["first_bias"][held]
        np.maximum(self._weights.loadings, 0, out=self._weights.loadings)
        np.maximum(self._weights.baseline, 0, out=self._weights.baseline)
        self._scale_steps()

    def network(self) -> PartsNetwork:
        """A copy of the network as it is now."""
        copies = {name: self._views[name].copy(order="C") for name in self._network.weights}
        now: PartsNetwork = replace(self._network, **copies)
        return now

    parts = network

    def first(self) -> PartsNetwork:
        """A copy of the network as it is now, with all units read as at the start."""
        return replace(self.network(), encoder=self._kept["first_encoder"].copy(), bias=self._kept["first_bias"].copy())

    def state(self) -> dict[str, NDArray[Any]]:
        """What :meth:`.PartsEngine.state` says."""
        arrays = {name: view.copy(order="C") for name, view in (self._views | self._kept).items()}
        taken = {f"{name}.step": np.array(self._taken, dtype=np.float32) for name in self._network.weights}
        return {**arrays, **taken, "taken": np.array(self._taken)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` said."""
        for name, view in self._views.items():
            view[...] = state[name]
        self._kept = {name: np.array(state[name]) for name in self._kept}
        self._taken = int(state["taken"])
        self._scale_steps()

    def _scale_steps(self) -> None:
        kept, n_units = self._kept, self._network.n_units
        self._weights.encoder_scale[:n_units] = np.where(kept["held"], 0, kept["scale_encoder"])
        self._weights.bias_scale[:n_units] = np.where(kept["held"], 0, kept["scale_bias"])
        self._weights.loadings_scale[: self._network.n_genes] = kept["scale_loadings"]
        self._weights.baseline_scale[: self._network.n_genes] = kept["scale_baseline"]

    def _step(self, cells: NDArray[np.int64], rate: float, share: Callable[[int, Run], None]) -> float:
        data, memory, numbers = self._data, self._memory, self._numbers(rate, len(cells))
        loss = self._predict(cells, data, numbers, share, learn=True)
        given = (cells, data, self._weights, self._moments, memory, numbers, True)
        kernels.work(kernels.SUM, 0, 0, *given)
        if len(memory.penalty):
            weight = self._config.orthogonality
            memory.penalty[:, : self._network.n_units] = weight * penalty_gradient(self._views["encoder"]).T
        n_genes = self._network.n_genes
        share(n_genes, lambda first, last: kernels.work(kernels.ENCODER, first, last, *given))
        return loss

    def _predict(
        self,
        cells: NDArray[np.int64],
        data: Sparse,
        numbers: arguments.PartsNumbers,
        share: Callable[[int, Run], None],
        *,
        learn: bool,
    ) -> float:
        given = (cells, data, self._weights, self._moments, self._memory, numbers, learn)
        share(len(cells), lambda first, last: kernels.work(kernels.READ, first, last, *given))
        n_chunks = len(self._memory.loss)
        share(n_chunks, lambda first, last: kernels.work(kernels.DECODE, first, last, *given))
        return float(self._memory.loss.sum())

    def _numbers(self, rate: float, n_cells: int) -> arguments.PartsNumbers:
        f, (beta1, beta2), steps = np.float32, BETAS, max(self._taken, 1)
        last_exp, last_artanh = LAST_TERMS[f]
        return arguments.PartsNumbers(
            step=f(rate / (1 - beta1**steps)),
            root=f(1 / np.sqrt(1 - beta2**steps)),
            beta1=f(beta1),
            beta2=f(beta2),
            eps=f(ADAM_EPS),
            scale=f(1 / (self._unit * n_cells * self._network.n_genes)),
            beta=f(BETA),
            lowest=f(MIN_PREACTIVATION),
            silent=f(SILENT),
            epsilon=f(EPSILON),
            exp_terms=tuple(f(1 / n) for n in range(last_exp, 0, -1)),
            artanh_terms=tuple(f(1 / n) for n in range(last_artanh, 0, -2)),
        )

    def _sparse(self, cells: Cells) -> Sparse:
        return as_sparse(cells, np.float32, self._factors, np.zeros((0, 0)))

    @contextmanager
    def _threads(self, n_cells: int) -> Iterator[Callable[[int, Run], None]]:
        """What shares so many items among threads; the caller is one of them."""
        worth_it = n_cells * self._network.n_genes * self._network.n_units >= ONE_THREAD_BELOW
        n = self._n_threads if worth_it else 1
        # products of the penalty are too small for more than one
        with blas_threads(1, known=True), sharing(n) as share:
            yield share
