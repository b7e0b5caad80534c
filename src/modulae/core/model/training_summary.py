"""What a model remembers of the cells it was trained on: means and moments, from which no cell can be read."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


PER_GENE = ("rates", "input_mean", "readout", "input_residual", "dispersion")
"""Fields that have an entry for each gene."""


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """Means and second moments over the training cells; small, and no cell can be read off it."""

    n_cells: int
    rates: NDArray[np.float32]  # genes: mean count in a cell of size factor 1
    input_mean: NDArray[np.float32]  # genes: of what the encoder reads
    readout: NDArray[np.float32]  # genes × units: least-squares slope of the input on the units
    input_residual: NDArray[np.float32]  # genes: variance of the input that the units leave over
    unit_covariance: NDArray[np.float64]  # units × units
    slopes: NDArray[np.float64]  # units × paths: mean slope products, from which the mean saliency follows
    dispersion: NDArray[np.float32]  # genes: deviance of the held-out cells over what Poisson counts would have
    novelty: NDArray[np.float64]  # quantiles of the novelty of the held-out cells
    other_genes: NDArray[np.str_]  # genes of the layer that are not in the model, but count towards size factors
    other_rates: NDArray[np.float32]  # their mean count in a cell of size factor 1
    units_on: NDArray[np.float64]  # units: Σz³ / Σz², the activity where they were on

    def as_dict(self) -> dict[str, Any]:
        """Plain arrays that survive a file."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**values, "other_genes": self.other_genes.astype(object)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        plain = {"n_cells", "other_genes"}
        arrays = {one.name: np.asarray(values[one.name]) for one in fields(cls) if one.name not in plain}
        others = np.array([str(gene) for gene in values["other_genes"]], dtype=str)
        return cls(n_cells=int(values["n_cells"]), other_genes=others, **arrays)

    def of_genes(self, kept: NDArray[np.bool_], others: NDArray[np.bool_]) -> Self:
        """The same, of some of the genes and some of the others."""
        return replace(
            self,
            **{name: getattr(self, name)[kept] for name in PER_GENE},
            other_genes=self.other_genes[others],
            other_rates=self.other_rates[others],
        )
