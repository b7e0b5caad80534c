"""A trained model, made to read cells in which some of its genes were not measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from modulae.core.array_backend import to_numpy
from modulae.core.checks import check_choice
from modulae.core.model.config import KNOWN_GENES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.model.fitted import Fitted
    from modulae.core.model.network import Network
    from modulae.core.model.training_summary import TrainingSummary

Missing = Literal["model", "mean", "zero"]

VARIANCE_FLOOR = 1e-6
"""Of the largest variance: keeps a unit that never varies, or a gene that the units explain wholly, invertible."""


@dataclass(frozen=True, slots=True)
class Restricted:
    """The model for fewer genes, and how well each unit can be read from them."""

    fitted: Fitted
    coverage: NDArray[np.float64]  # units: share of the absolute saliency that the genes at hand carry
    reliability: NDArray[np.float64]  # units: expected correlation with the unit as read from all its genes


def restrict(
    fitted: Fitted, kept: NDArray[np.bool_], others: NDArray[np.bool_] | None = None, *, missing: Missing = "model"
) -> Restricted:
    """Fold what is assumed of the absent genes into the first layer, so that the rest of the model needs no change.

    The first layer is linear in the inputs. With `missing="mean"`, an absent gene has its mean over the training cells,
    a constant, which goes into the bias. With `"model"` it has the value expected of it given the genes at hand under
    the linear Gaussian model u = m + L·(z − z̄) + e, with L the slopes of the inputs on the units, z with the units'
    covariance over the training cells, e with the residual variances (a factor model: Bishop 2006, §12.2.4). That is a
    linear function of the inputs at hand, so it goes into their weights. `"zero"` assumes that the gene has no counts.

    Parameters
    ----------
    fitted
        The model of all genes.
    kept
        Which of its genes are at hand.
    others
        Which of the other genes that count towards size factors; all if `None`.
    missing
        What is assumed of the others.
    """
    check_choice("missing", missing, Missing)
    network, summary = fitted.network, fitted.training
    weights = to_numpy(network.input_weights).astype(np.float64)
    at_hand = summary.of_genes(kept, np.ones(len(summary.other_genes), dtype=bool) if others is None else others)
    posterior = _posterior(summary, kept)
    folded, shift = weights[:, kept], np.zeros(len(weights))
    if missing != "zero":
        shift = weights[:, ~kept] @ summary.input_mean[~kept]
    if missing == "model":
        through = (weights[:, ~kept] @ summary.readout[~kept]) @ posterior.gain  # sums × genes at hand
        folded = folded + through
        shift = shift - through @ summary.input_mean[kept]
    restricted = replace(
        fitted,
        network=network.restricted(kept, folded.astype(np.float32), shift.astype(np.float32)),
        genes=fitted.genes[kept],
        training=at_hand,
        **_size_factors(fitted, at_hand),
    )
    saliency = _saliency(network, summary)
    size = np.abs(saliency)
    whole = size.sum(axis=1)
    coverage = np.divide(size[:, kept].sum(axis=1), whole, out=np.ones_like(whole), where=whole > 0)  # dead: all of it
    return Restricted(restricted, coverage, _reliability(saliency, summary, kept, posterior, missing))


@dataclass(frozen=True, slots=True)
class _Posterior:
    """What the genes at hand say of the units."""

    gain: NDArray[np.float64]  # units × genes at hand: change of the expected units with the inputs
    covariance: NDArray[np.float64]  # units × units: what stays uncertain of them


def _posterior(summary: TrainingSummary, kept: NDArray[np.bool_]) -> _Posterior:
    covariance = summary.unit_covariance
    n_units = len(covariance)
    residual = summary.input_residual[kept].astype(np.float64)
    residual += max(VARIANCE_FLOOR * float(summary.input_residual.max(initial=0)), float(np.finfo(np.float32).tiny))
    scaled = summary.readout[kept].astype(np.float64).T / residual  # units × genes at hand
    information = scaled @ summary.readout[kept]
    # (C⁻¹ + J)⁻¹ = C (I + J C)⁻¹ does not need the inverse of C, which a dead unit does not have
    uncertain = np.linalg.solve((np.eye(n_units) + information @ covariance).T, covariance.T).T
    return _Posterior(uncertain @ scaled, (uncertain + uncertain.T) / 2)


def _saliency(network: Network, summary: TrainingSummary) -> NDArray[np.float64]:
    """Mean gradient of each unit over the training cells, units × genes."""
    gradient: Any = network.gradient_of_slopes(summary.slopes[None].astype(np.float32), "gradient")
    return np.asarray(to_numpy(gradient)[0], dtype=np.float64)


def _reliability(
    saliency: NDArray[np.float64],
    summary: TrainingSummary,
    kept: NDArray[np.bool_],
    posterior: _Posterior,
    missing: Missing,
) -> NDArray[np.float64]:
    """√(1 − variance lost / variance) of each unit's linear part under the model of :func:`restrict`."""
    readout, residual = summary.readout.astype(np.float64), summary.input_residual.astype(np.float64)

    def variance(genes: NDArray[np.bool_], units: NDArray[np.float64]) -> NDArray[np.float64]:
        through = saliency[:, genes] @ readout[genes]  # units × units
        return np.asarray(np.einsum("ku,uv,kv->k", through, units, through) + saliency[:, genes] ** 2 @ residual[genes])

    whole = variance(np.ones_like(kept), summary.unit_covariance)
    lost = variance(~kept, posterior.covariance if missing == "model" else summary.unit_covariance)
    share = np.divide(lost, whole, out=np.zeros_like(lost), where=whole > 0)  # a dead unit loses nothing
    return np.asarray(np.sqrt(np.clip(1 - share, 0, 1)))


def _size_factors(fitted: Fitted, at_hand: TrainingSummary) -> dict[str, Any]:
    """Size factors from the genes at hand, in the same unit: what a training cell of size factor 1 has of them."""
    if fitted.config.size_factors is None:
        return {}
    expected = float(at_hand.rates.sum(dtype=np.float64) + at_hand.other_rates.sum(dtype=np.float64))
    return {
        "config": replace(fitted.config, size_factors=KNOWN_GENES),
        "size_factor_unit": max(expected, float(np.finfo(np.float32).tiny)),
    }
