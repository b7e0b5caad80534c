"""A training in a file: written as it goes on, read again after an interruption."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._utils.files import write_whole
from modulae.core.checks import is_integer
from modulae.core.data.cells import Cells
from modulae.core.data.fingerprint import fingerprint
from modulae.core.model.fitted import read_network
from modulae.core.training.engine import engine_name
from modulae.core.training.state import TrainingState

from .checkpoint_files import damaged, prepare_folder, refuse_others, said_if_full

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.model.network import Network
    from modulae.core.processes.ranks import Ranks

FILE = "checkpoint.safetensors"
CHECKPOINT_FORMAT = 1
NUMBERS = ("rows", "gene_means_loss", "epoch", "portions", "best_epoch", "stopped", "generator")
"""What of a state is no array; JSON keeps every digit of a float."""


class Checkpoint:
    """Keeps a training in a folder; a :class:`modulae.core.training.state.CheckpointStore`.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    run
        What the training is, from :func:`describe_run`: what another one left behind is refused.
    every
        Epochs between two writes, or seconds as a float.
    """

    def __init__(self, folder: Path, run: dict[str, Any], every: float) -> None:
        self._file, self._run, self._every = folder / FILE, run, every
        self._written = time.monotonic()
        prepare_folder(folder)

    def read(self) -> TrainingState | None:
        """The state that was kept last; `None` if there is none.

        Raises
        ------
        ValueError
            The file is damaged, or of another training.
        """
        from safetensors import SafetensorError, safe_open

        if not self._file.exists():
            return None
        try:
            with safe_open(self._file, framework="np") as stream:
                about = json.loads((stream.metadata() or {})["modulae"])
                arrays = {name: np.array(stream.get_tensor(name)) for name in stream.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError) as error:
            raise damaged(self._file, error) from error
        if about.get("format") != CHECKPOINT_FORMAT:
            about["run"] = {}
        refuse_others(self._file, about.get("run", {}), self._run)
        return _to_state(arrays, about["state"])

    def due(self, state: TrainingState) -> bool:
        """Whether enough epochs or seconds have passed."""
        if isinstance(self._every, float):
            return time.monotonic() - self._written >= self._every
        return not state.portions and state.epoch % self._every == 0

    def keep(self, state: TrainingState) -> None:
        """Write the file anew.

        Raises
        ------
        OSError
            The disk is full.
        """
        from safetensors.numpy import save

        arrays, numbers = _from_state(state)
        about = {"format": CHECKPOINT_FORMAT, "run": self._run, "state": numbers}
        content = save(arrays, metadata={"modulae": json.dumps(about)})
        with said_if_full(self._file, len(content)):
            write_whole(self._file, content)
        self._written = time.monotonic()


def open_checkpoint(
    folder: str | Path | None,
    every: float,
    cells: Source,
    test: NDArray[np.bool_],
    *,
    genes: NDArray[np.str_],
    config: Config,
    device: str,
    ranks: Ranks,
) -> Checkpoint | None:
    """A checkpoint of this training for the first rank, which alone reads and writes it; `None` for the others.

    `None` for all of them without a folder.
    """
    if folder is None:
        return None
    result: list[Checkpoint] = []

    def open_it() -> None:
        if ranks.first:
            run = describe_run(cells, test, genes, config, device=device, n_readers=ranks.size)
            result.append(Checkpoint(Path(folder), run, every))

    ranks.each(open_it)
    return result[0] if result else None


def describe_run(
    cells: Source, test: NDArray[np.bool_], genes: NDArray[np.str_], config: Config, *, device: str, n_readers: int
) -> dict[str, Any]:
    """Everything that the result of a training depends on, in short."""
    batches = {} if cells.batch is None else {"batches": hashlib.sha256(cells.batch.tobytes()).hexdigest()}
    return {
        "settings": config.as_dict(),
        "engine": engine_name(config, device),
        "genes": hashlib.sha256("\n".join(genes).encode()).hexdigest(),
        "counts": fingerprint(cells),
        "held-out cells": hashlib.sha256(np.packbits(test).tobytes()).hexdigest(),
        "cells at a time": cells.at_a_time,
        "number of processes that read": 1 if isinstance(cells, Cells) else n_readers,
        **batches,
    }


def check_every(every: int | str) -> float:
    """Epochs as an integer, or seconds as a float.

    Raises
    ------
    ValueError
        Neither a whole number above 0 nor a time.
    """
    import pandas as pd

    if is_integer(every) and every >= 1:
        return every
    try:
        seconds = float(pd.Timedelta(every).total_seconds()) if isinstance(every, str) else 0.0
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        msg = f"checkpoint_every is {every!r}; give a number of epochs, such as 1, or a time, such as '10min'."
        raise ValueError(msg)
    return seconds


def _from_state(state: TrainingState) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    networks = {"kept": state.kept, **{f"snapshot {epoch}": one for epoch, one in state.snapshots.items()}}
    arrays = {"state/held": state.held, **{f"engine/{name}": array for name, array in state.engine.items()}}
    for what, network in networks.items():
        arrays |= {f"{what}/{name}": array for name, array in network.as_dict().items() if name != "architecture"}
    numbers = {name: getattr(state, name) for name in NUMBERS} | {"architecture": state.kept.architecture}
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}, numbers


def _to_state(arrays: dict[str, NDArray[Any]], numbers: dict[str, Any]) -> TrainingState:
    parts: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        what, _, name_there = name.partition("/")
        parts.setdefault(what, {})[name_there] = array

    def network(what: str) -> Network:
        return read_network({"architecture": numbers["architecture"], **parts[what]})

    epochs = sorted(int(what.split()[1]) for what in parts if what.startswith("snapshot"))
    return TrainingState(
        generator=numbers["generator"],
        rows=[tuple(row) for row in numbers["rows"]],
        kept=network("kept"),
        snapshots={epoch: network(f"snapshot {epoch}") for epoch in epochs},
        gene_means_loss=numbers["gene_means_loss"],
        held=parts["state"]["held"],
        engine=parts["engine"],
        epoch=numbers["epoch"],
        portions=[tuple(portion) for portion in numbers["portions"]],
        best_epoch=numbers["best_epoch"],
        stopped=numbers["stopped"],
    )
