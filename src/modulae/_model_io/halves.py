"""What halves of the cells have found, in files: an interrupted search for units goes on from there."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from modulae._utils.files import write_whole
from modulae.core.factorisation.low_rank import LowRank
from modulae.core.training.replication.find import HalfUnits
from modulae.core.training.replication.replicate import Replicated

from .checkpoint_files import damaged, prepare_folder, refuse_others, said_if_full

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

KINDS: dict[str, Any] = {kind.__name__: kind for kind in (LowRank, HalfUnits, Replicated)}
NAME = "halves"
ABOUT = "about"


class HalvesStore:
    """Keeps in a folder what each step of each half gave, and in the end only the units.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    run
        What is looked for, and in what cells: what another search left behind is refused.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        prepare_folder(folder)
        self._folder, self._run, self._n_steps = folder, run, 0

    def found(self, search: Callable[[], Replicated]) -> Replicated:
        """The units; looked for where that has not been done yet."""
        file = self._folder / f"{NAME}.npz"
        result: Replicated | None = self._read(file)
        if result is None:
            result = search()
            self._keep(file, result)
            for step in self._folder.glob(f"{NAME}.*.npz"):
                step.unlink(missing_ok=True)
        return result

    def remembered(self, function: Callable[..., Any], given: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[()]]:
        """The same step of a half, which is done only if it has not been kept. Steps always come in the same order."""
        file, self._n_steps = self._folder / f"{NAME}.{self._n_steps}.npz", self._n_steps + 1

        def step() -> Any:  # noqa: ANN401
            result = self._read(file)
            if result is None:
                result = function(*given)
                self._keep(file, result)
            return result

        return step, ()

    def _read(self, file: Path) -> Any:  # noqa: ANN401
        if not file.exists():
            return None
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                about = json.loads(str(stored[ABOUT]))
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
            raise damaged(file, error) from error
        refuse_others(file, about["run"], self._run)
        results = [_from_arrays(KINDS[about["kind"]], arrays, f"{at}/") for at in range(about["n"] or 1)]
        return results if about["n"] else results[0]

    def _keep(self, file: Path, result: Any) -> None:  # noqa: ANN401
        several = isinstance(result, list)
        results = result if several else [result]
        arrays = {
            f"{at}/{field.name}": np.asarray(getattr(one, field.name))
            for at, one in enumerate(results)
            for field in fields(one)
        }
        about = {"run": self._run, "kind": type(results[0]).__name__, "n": len(results) if several else 0}
        content = io.BytesIO()
        np.savez(content, **{ABOUT: np.array(json.dumps(about))}, **arrays)  # type: ignore[arg-type]
        with said_if_full(file, len(content.getbuffer())):
            write_whole(file, content.getvalue())


def _from_arrays(kind: Any, arrays: dict[str, NDArray[Any]], start: str) -> Any:  # noqa: ANN401
    values = (arrays[start + field.name] for field in fields(kind))
    return kind(*(value.item() if value.ndim == 0 else value for value in values))
