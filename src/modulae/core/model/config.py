"""Every setting of a training run, in one frozen object."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from modulae.core.checks import check_choice, check_integer, check_number, check_seed

if TYPE_CHECKING:
    from collections.abc import Mapping

LossScale = Literal["mean", "counts"]
OutputBias = Literal["halfway", "gene_means", "constant"]
Architecture = Literal["orthogonal", "parts"]
Schedule = Literal["constant", "cosine"]
EngineName = Literal["auto", "numba", "torch"]
Loadings = Literal["refined", "fixed"]

CHOICES = {
    "loss_scale": LossScale,
    "output_bias": OutputBias,
    "architecture": Architecture,
    "schedule": Schedule,
    "engine": EngineName,
}

EPOCHS: dict[Architecture, dict[Schedule, int]] = {
    "orthogonal": {"cosine": 80, "constant": 200},
    "parts": {"cosine": 0, "constant": 0},
}
"""Passes over the cells when nothing is asked for: a constant step size ends by `patience` long before."""

AS_NEEDED = 0
"""`batch_size` and `max_epochs` of parts until :meth:`Config.for_cells` says what the number of cells asks for."""

STEPS = 300
"""Steps that training of parts takes at least."""

BATCHES_AN_EPOCH = 8
"""Parts: minibatches that few cells are dealt to."""

PARTS: dict[str, Any] = {
    "n_latent": 32,
    "batch_size": AS_NEEDED,
    "learning_rate": 0.03,
    "patience": 10,
    "orthogonality": 0.0,
}
"""Where the parts-based autoencoder has other defaults than :class:`Config`."""

NOT_FOR_PARTS = (
    "n_hidden",
    "orthogonality_gradient",
    "momentum",
    "activation_beta",
    "loss_scale",
    "output_bias",
)
"""Settings that the parts-based autoencoder does not have."""

KNOWN_GENES = "known_genes"
"""Source of size factors of a model that reads other data than it was trained on: the total over the shared genes."""

SMALL_BIAS = 0.01
"""The "small constant" of the biases (Kinalis et al. 2019, Methods, which do not give its value)."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of a training run; :func:`modulae.tl.autoencoder` describes each."""

    n_latent: int = 64
    n_hidden: int = 128
    orthogonality: float = 0.05
    orthogonality_gradient: bool = True
    size_factors: str | None = "total"
    batch_key: str | None = None
    batch_size: int = 16
    learning_rate: float = 0.2
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    max_epochs: int = EPOCHS["orthogonal"]["cosine"]
    patience: int = 20
    test_fraction: float = 0.1
    test_every: int = 1
    activation_beta: float | Literal["width"] = 1.0
    loss_scale: LossScale = "mean"
    output_bias: OutputBias = "halfway"
    architecture: Architecture = "orthogonal"
    snapshot_epochs: tuple[int, ...] = ()
    seed: int = 0
    engine: EngineName = "auto"
    loadings: Loadings | None = None  # what training does with loadings that the user gives
    loadings_hash: str | None = None  # which ones they are

    def __post_init__(self) -> None:
        check_seed(self.seed)
        for name in ("n_latent", "n_hidden", "batch_size", "max_epochs", "patience", "test_every"):
            open_yet = self.architecture == "parts" and name in {"batch_size", "max_epochs"}
            check_integer(name, getattr(self, name), minimum=AS_NEEDED if open_yet else 1)
        check_number("learning_rate", self.learning_rate, above=0, give="a number above 0, such as 0.1")
        check_number("orthogonality", self.orthogonality, minimum=0, give="0 (no penalty) or more")
        check_number("momentum", self.momentum, minimum=0, below=1, give="a number from 0 up to, not including, 1")
        share = "the share of cells to hold out, such as 0.1"
        check_number("test_fraction", self.test_fraction, above=0, below=1, give=share)
        if self.activation_beta != "width":
            check_number("activation_beta", self.activation_beta, above=0, give="a number above 0, or 'width'")
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for epoch in self.snapshot_epochs:
            check_integer("every entry of snapshot_epochs", epoch, minimum=0)
        if self.architecture == "parts":
            _require(
                self.size_factors is not None,
                "architecture='parts' adds up what units make of a cell of the usual depth, so it needs size factors. "
                "Leave out size_factors=None, or take architecture='orthogonal'.",
            )

    def for_cells(self, n_cells: int) -> Config:
        """The same, with the batch size and the epochs that this number of cells asks for, where they are open."""
        if self.batch_size and self.max_epochs:
            return self
        n_train = max(n_cells - max(1, round(self.test_fraction * n_cells)), 1)
        size = self.batch_size or min(max(n_train // BATCHES_AN_EPOCH // 16 * 16, 16), 128)
        epochs = self.max_epochs or max(-(-STEPS // -(-n_train // size)), 2)
        return replace(self, batch_size=size, max_epochs=epochs)

    def as_dict(self) -> dict[str, Any]:
        """Plain values that survive a file; only those that the architecture has."""
        absent = NOT_FOR_PARTS if self.architecture == "parts" else ()
        optional = ("batch_key", "loadings", "loadings_hash")
        absent = (*absent, *(name for name in optional if getattr(self, name) is None))
        values = {name: value for name, value in asdict(self).items() if name not in absent}
        return {**values, "snapshot_epochs": [int(epoch) for epoch in self.snapshot_epochs]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Read what :meth:`as_dict` wrote, also after a file turned its numbers into NumPy's."""
        names = {field.name for field in fields(cls)}
        plain = {name: _plain(value) for name, value in values.items() if name in names}
        plain["snapshot_epochs"] = tuple(int(epoch) for epoch in values.get("snapshot_epochs", ()))
        return cls(**plain)


def config_for(
    architecture: Architecture,
    *,
    schedule: Schedule,
    size_factors: str | None,
    **given: Any,  # noqa: ANN401
) -> Config:
    """Settings, where `None` among those given stands for the default of the architecture, as does "auto" units.

    Raises
    ------
    ValueError
        A setting that the architecture does not have.
    """
    chosen = {name: _plain(value) for name, value in given.items() if value is not None or name == "seed"}
    if isinstance(chosen.get("n_latent"), str) and chosen["n_latent"] == "auto":
        del chosen["n_latent"]
    if "snapshot_epochs" in chosen:
        chosen["snapshot_epochs"] = _epochs(chosen["snapshot_epochs"])
    if architecture == "parts":
        foreign = [name for name in NOT_FOR_PARTS if name in chosen]
        _require(
            not foreign,
            f"architecture='parts' has no {', '.join(foreign)}. Leave these out, or take architecture='orthogonal'.",
        )
        for name in ("batch_size", "max_epochs"):
            check_integer(name, chosen.get(name, 1), minimum=1)
        chosen = {**PARTS, **chosen}
    if "max_epochs" not in chosen:
        chosen["max_epochs"] = EPOCHS.get(architecture, {}).get(schedule, 1)  # where one is unknown, Config says so
    return Config(architecture=architecture, schedule=schedule, size_factors=size_factors, **chosen)


def _epochs(given: Any) -> tuple[Any, ...]:  # noqa: ANN401
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        msg = f"snapshot_epochs is {given!r}; give a list of epochs, such as [0, 10]."
        raise TypeError(msg)
    return tuple(_plain(epoch) for epoch in given)


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _require(ok: bool, message: str) -> None:  # noqa: FBT001
    if not ok:
        raise ValueError(message)
