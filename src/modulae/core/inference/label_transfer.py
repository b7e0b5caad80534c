"""Labels carried from reference cells to others, in the representation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LabelMethod = Literal["discriminant", "knn", "logistic"]

VARIANCE_SHARE = 0.1
"""Added to the variance of each unit within labels, as a share: units of few cells would count too much without it."""

KNN_NEIGHBOURS = 15
PENALTY = 0.01
"""C of the logistic regression: whitened units need a strong one."""

MAX_EM_ROUNDS = 50
FEWEST_CELLS = 50
"""Of a sample that has a shift of its own."""

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Groups:
    """Where the cells of each label lie: one normal distribution a label, all of the same covariance."""

    whitening: NDArray[np.float64]  # units × directions, in which labels have covariance 1
    means: NDArray[np.float64]  # labels × directions

    @classmethod
    def of(cls, units: NDArray[np.floating], codes: NDArray[np.integer], n_labels: int) -> Groups:
        """Fit to reference cells; a label without cells lies infinitely far away."""
        values = variance_stabilised(units)
        means = np.full((n_labels, values.shape[1]), np.inf)
        for label in np.unique(codes):
            means[label] = values[codes == label].mean(axis=0)
        residuals = values - means[codes]
        covariance = residuals.T @ residuals / len(values)
        spread = np.diag(covariance)
        dead = spread <= 1e-8 * max(spread.max(), np.finfo(float).tiny)
        covariance = covariance + np.diag(np.where(dead, 1.0, VARIANCE_SHARE * spread))
        whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
        whitening[dead] = 0  # a unit that never varies within labels here has no say
        available = np.isfinite(means).all(axis=1)
        placed = np.full_like(means, np.inf)
        placed[available] = means[available] @ whitening
        return cls(whitening, placed)

    def placed(self, units: NDArray[np.floating]) -> NDArray[np.float64]:
        """Cells × directions."""
        return np.asarray(variance_stabilised(units) @ self.whitening)

    def distances(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared Mahalanobis distance of each cell to each label."""
        available = np.isfinite(self.means).all(axis=1)
        result = np.full((len(places), len(self.means)), np.inf)
        means = self.means[available]
        squared = (places**2).sum(axis=1)[:, None] - 2 * places @ means.T + (means**2).sum(axis=1)
        result[:, available] = np.maximum(squared, 0)
        return result

    def shift(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far all cells of a data set lie from where the reference has them, one number a direction.

        Another protocol moves all cells alike, on the square-root scale of the units. The shift is the median over the
        cells of the distance from where a cell's label has its mean, the labels being what the shifted cells look like,
        in turns until both stay (expectation–maximisation; Dempster, Laird & Rubin 1977, with a median in place of the
        mean: cells of no label here would draw a mean along). How common each label is, is learnt along the way, so it
        does not matter which labels the data have.
        """
        moved: NDArray[np.float64] = np.zeros(places.shape[1])
        shares = np.full(len(self.means), 1 / len(self.means))
        available = np.isfinite(self.means).all(axis=1)
        for _ in range(MAX_EM_ROUNDS):
            belongs = posterior(self.distances(places - moved), shares)
            now = np.asarray(np.median(places - belongs[:, available] @ self.means[available], axis=0))
            shares = (belongs.sum(axis=0) + 1) / (len(places) + len(shares))
            done = float(np.abs(now - moved).max(initial=0)) < 1e-4
            moved = now
            if done:
                break
        return moved

    def aligned(self, places: NDArray[np.float64], samples: NDArray[np.integer]) -> NDArray[np.float64]:
        """Cells × directions without the shift of the cell's sample; of small samples, and of none (−1), that of all.

        Where there is no small sample, nor a cell of none, the shift of all cells is not needed.
        """
        numbers, sizes = np.unique(samples[samples >= 0], return_counts=True)
        own = numbers[sizes >= FEWEST_CELLS]
        rest = ~np.isin(samples, own)
        result = places - self.shift(places) if rest.any() else places.copy()
        for sample in own:
            result[samples == sample] = places[samples == sample] - self.shift(places[samples == sample])
        return result


def variance_stabilised(units: NDArray[np.floating]) -> NDArray[np.float64]:
    """Square roots of the activities: on this scale cell types are compact, and protocols differ by a shift."""
    return np.asarray(np.sqrt(np.maximum(units, 0).astype(np.float64)))


def posterior(distances: NDArray[np.float64], shares: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Cells × labels, from squared distances and how common each label is.

    Without `shares` all are equally common: what labels are given by, as a common label would swallow those like it.
    """
    log = -distances / 2 if shares is None else np.log(shares) - distances / 2
    belongs = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(belongs / belongs.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Labelled:
    """What is said of each cell."""

    code: NDArray[np.intp]  # the label
    confidence: NDArray[np.float64]  # how often such cells of the reference had the right label, held out
    distance: NDArray[np.float64]  # Mahalanobis distance to the nearest label over the largest accepted; > 1: unknown


def transfer_labels(
    reference: NDArray[np.floating],
    codes: NDArray[np.integer],
    cells: NDArray[np.floating],
    *,
    n_labels: int,
    method: LabelMethod,
    samples: NDArray[np.integer] | None,
    unknown_rate: float,
    seed: int,
) -> Labelled:
    """Label cells by reference cells.

    Parameters
    ----------
    reference
        Reference cells × units.
    codes
        Label of each reference cell, from 0 to `n_labels` − 1.
    cells
        Cells × units.
    n_labels
        How many labels there are.
    method
        What decides; see :func:`modulae.tl.classify`.
    samples
        The sample of each cell, whose shift from the reference is taken away; −1: that of all. `None`: none is.
    unknown_rate
        Share of held-out reference cells beyond the distance from which cells are called unknown.
    seed
        Seed of the split into folds.
    """
    held_out, right, far = _held_out(reference, codes, n_labels, method, seed)
    groups = Groups.of(reference, codes, n_labels)
    places = groups.placed(cells)
    if samples is not None:
        places = groups.aligned(places, samples)
    belongs = _probabilities(groups, (reference, codes), places, method)
    nearest = np.sqrt(groups.distances(places).min(axis=1))
    limit = np.quantile(far, 1 - unknown_rate) if unknown_rate > 0 else np.inf
    return Labelled(
        belongs.argmax(axis=1),
        _calibrated(held_out, right, belongs.max(axis=1)),
        nearest / limit if np.isfinite(limit) else np.zeros(len(cells)),
    )


def _held_out(
    reference: NDArray[np.floating], codes: NDArray[np.integer], n_labels: int, method: LabelMethod, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Of each reference cell, labelled by the others: highest probability, whether right, distance to the nearest."""
    fold = _folds(codes, seed)
    top, right, far = np.zeros(len(codes)), np.zeros(len(codes), dtype=bool), np.zeros(len(codes))
    for index in np.unique(fold):
        out, used = fold == index, fold != index
        groups = Groups.of(reference[used], codes[used], n_labels)
        places = groups.placed(reference[out])
        belongs = _probabilities(groups, (reference[used], codes[used]), places, method)
        top[out], right[out] = belongs.max(axis=1), belongs.argmax(axis=1) == codes[out]
        far[out] = np.sqrt(groups.distances(places).min(axis=1))
    return top, right, far


def _folds(codes: NDArray[np.integer], seed: int) -> NDArray[np.intp]:
    """A fold for each cell, every label spread evenly over them."""
    rng = np.random.default_rng([seed, 7])
    fold = np.empty(len(codes), dtype=np.intp)
    order = rng.permutation(len(codes))
    by_label = order[np.argsort(codes[order], kind="stable")]
    fold[by_label] = np.arange(len(codes)) % min(FOLDS, len(codes))
    return fold


def _probabilities(
    groups: Groups,
    known: tuple[NDArray[np.floating], NDArray[np.integer]],
    places: NDArray[np.float64],
    method: LabelMethod,
) -> NDArray[np.float64]:
    """Cells × labels; `known` are reference cells × units and their labels."""
    if method == "discriminant":
        return posterior(groups.distances(places))
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    reference, codes = groups.placed(known[0]), known[1]
    model: Any = (
        KNeighborsClassifier(min(KNN_NEIGHBOURS, len(reference)))
        if method == "knn"
        else LogisticRegression(C=PENALTY, max_iter=1000)
    )
    model.fit(reference, codes)
    result = np.zeros((len(places), len(groups.means)))
    result[:, model.classes_] = model.predict_proba(places)
    return result


def _calibrated(
    held_out: NDArray[np.float64], right: NDArray[np.bool_], top: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How often held-out cells of such a probability were right, rising with it (isotonic regression)."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(held_out, right.astype(np.float64))
    return np.asarray(fitted.predict(top))
