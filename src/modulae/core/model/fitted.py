"""A trained model: everything needed to read other cells with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .config import Config
from .orthogonal import OrthogonalNetwork
from .parts import PartsNetwork
from .training_summary import TrainingSummary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .network import Network

ARCHITECTURES: dict[str, type[OrthogonalNetwork | PartsNetwork]] = {
    network.architecture: network for network in (OrthogonalNetwork, PartsNetwork)
}


@dataclass(frozen=True, slots=True)
class History:
    """How the training went, one entry per tested epoch; losses are means over cells and genes, in counts."""

    epoch: NDArray[np.int64]  # 0 is before training
    train_loss: NDArray[np.float64]  # Poisson loss of the training cells, while the epoch went on
    test_loss: NDArray[np.float64]  # Poisson loss of the held-out cells
    orthogonality: NDArray[np.float64]  # ‖I − W Wᵀ‖_F, W the weight that gives the units
    best_epoch: int
    stopped: str  # "patience", "max_epochs" or "interrupted"
    gene_means_loss: float  # test_loss of the mean rates of the training cells, times the size factors

    def as_dict(self) -> dict[str, Any]:
        """Plain values that survive a file."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote."""
        arrays = {name: np.asarray(values[name]) for name in ("epoch", "train_loss", "test_loss", "orthogonality")}
        return cls(
            **arrays,
            best_epoch=int(values["best_epoch"]),
            stopped=str(values["stopped"]),
            gene_means_loss=float(values["gene_means_loss"]),
        )

    @property
    def gain(self) -> float:
        """How much lower the best held-out loss is than that of the gene means; 0 or less: nothing was learnt."""
        return self.gene_means_loss - float(self.test_loss.min())


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights, genes, settings and history of a trained model.

    Later steps ask it to encode, to decode and for the gradients of its units, never how it is built.
    """

    network: Network
    genes: NDArray[np.str_]
    config: Config
    history: History
    size_factor_unit: float  # the total count (or `obs` value) of a cell with size factor 1
    test_cells: NDArray[np.bool_]  # which of the training cells were held out
    training: TrainingSummary  # what cells never seen are compared with
    batches: NDArray[np.str_] = field(default_factory=lambda: np.array([], dtype=str))  # names, as in `batch_factors`
    unit_names: NDArray[np.str_] = field(default_factory=lambda: np.array([], dtype=str))  # "": the user gave none
    technical: NDArray[np.bool_] = field(default_factory=lambda: np.array([], dtype=bool))  # units the user set apart

    @property
    def known_genes(self) -> NDArray[np.str_]:
        """The genes of the model, then those it only knows the usual rate of."""
        return np.concatenate([self.genes, self.training.other_genes])

    def as_dict(self) -> dict[str, Any]:
        """The model as plain arrays (`uns["ae"]["model"]`)."""
        return {
            **self.network.as_dict(),
            "genes": np.asarray(self.genes, dtype=object),
            "size_factor_unit": float(self.size_factor_unit),
            "test_cells": self.test_cells,
            "training": self.training.as_dict(),
            **({"batches": self.batches.astype(object)} if len(self.batches) else {}),
            **({"unit_names": self.unit_names.astype(object)} if len(self.unit_names) else {}),
            **({"technical": self.technical} if len(self.technical) else {}),
        }

    @classmethod
    def from_dict(cls, model: Mapping[str, Any], config: Mapping[str, Any], history: Mapping[str, Any]) -> Self:
        """Read what :meth:`as_dict` wrote, with the settings and the history stored beside it."""
        return cls(
            network=read_network(model),
            genes=np.array([str(gene) for gene in model["genes"]]),  # zarr brings back another kind of text
            config=Config.from_dict(config),
            history=History.from_dict(history),
            size_factor_unit=float(model["size_factor_unit"]),
            test_cells=np.asarray(model["test_cells"], dtype=bool),
            training=_read_training(model),
            batches=np.array([str(name) for name in model.get("batches", ())], dtype=str),
            unit_names=np.array([str(name) for name in model.get("unit_names", ())], dtype=str),
            technical=np.asarray(model.get("technical", ()), dtype=bool),
        )


def _read_training(model: Mapping[str, Any]) -> TrainingSummary:
    if "training" not in model:
        msg = (
            "the stored model does not know the cells it was trained on: it is older than this version. "
            "Train again with `mo.tl.autoencoder(adata)`."
        )
        raise ValueError(msg)
    return TrainingSummary.from_dict(model["training"])


def read_network(model: Mapping[str, Any]) -> Network:
    """The network of a stored model; one without a name of its architecture is older than the second of them."""
    name = str(model.get("architecture", OrthogonalNetwork.architecture))
    if name not in ARCHITECTURES:
        msg = (
            f"the stored model has the architecture {name!r}, which this version does not know "
            f"({list(ARCHITECTURES)}). Read it with the version of modulae that made it, or train again."
        )
        raise ValueError(msg)
    return ARCHITECTURES[name].from_dict(model)
