"""Programmes that the user gives: the units of the model, rather than those that are found in the cells."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from modulae._programmes.of_cells import weights_on
from modulae._programmes.read_programmes import read_programmes
from modulae._programmes.table import LAYOUT, scale_of

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from modulae.core.data.source import Source
    from modulae.core.model.config import Config
    from modulae.core.processes.ranks import Ranks


@dataclass(frozen=True, slots=True)
class Given:
    """Programmes on the genes of the model."""

    weights: NDArray[np.float64] | None  # programmes × genes, ≥ 0, as the table has them; `None`: nothing was given
    names: NDArray[np.str_]
    scale: str
    refine: bool

    def settings(self, config: Config) -> Config:
        """The settings of a model of them."""
        if self.weights is None:
            return config
        name = hashlib.blake2b(np.ascontiguousarray(self.weights).tobytes() + self.scale.encode(), digest_size=8)
        how: Any = "refined" if self.refine else "fixed"
        return replace(config, n_latent=len(self.names), loadings=how, loadings_hash=name.hexdigest())

    def without_halves(self, of_halves: dict[str, Any]) -> dict[str, Any]:
        """What is asked of halves of the cells: none is made where the units are given."""
        return of_halves if self.weights is None else {**of_halves, "n_splits": 0}

    def loadings(self, cells: Source, test: NDArray[np.bool_], seed: int, ranks: Ranks) -> NDArray[np.float64] | None:
        """Units × genes to start from: what was given, on the scale of the model."""
        from modulae.core.model.given_parts import as_loadings

        weights = self.weights
        if weights is None:
            return None
        return ranks.from_first(lambda: as_loadings(weights, self.scale, cells.take(np.flatnonzero(~test)), seed))


def given_loadings(
    adata: AnnData,
    loadings: Any,  # noqa: ANN401 - a table, or what read_programmes reads
    genes: NDArray[np.str_],
    config: Config,
    *,
    refine: bool,
    n_latent: int | Literal["auto"],
    **of_halves: Any,  # noqa: ANN401
) -> Given:
    """What was given, on these genes.

    Raises
    ------
    KeyError
        No gene of the programmes is there.
    ValueError
        Settings that look for units in the cells, or another architecture; or a programme without genes.
    """
    if loadings is None:
        if not refine:
            msg = "refine_loadings says what to do with loadings=, and there are none. Leave it out."
            raise ValueError(msg)
        return Given(None, np.array([], dtype=str), "weights", refine)
    if config.architecture != "parts":
        msg = f"loadings= are of architecture='parts'; {config.architecture!r} has none. Leave out architecture=."
        raise ValueError(msg)
    asked = [name for name in ("n_splits", "replicate_over") if of_halves[name]]
    asked += ["n_latent"] if n_latent != "auto" else []
    if asked:
        msg = f"loadings= says which units there are: none is looked for in the cells. Leave out {', '.join(asked)}."
        raise ValueError(msg)
    table = loadings if isinstance(loadings, pd.DataFrame) and LAYOUT not in loadings.attrs else None
    table = read_programmes(loadings) if table is None else read_programmes(table, genes_in="rows")
    names = np.array([str(name) for name in table.columns])
    return Given(weights_on(adata, genes, table), names, scale_of(table), refine)
