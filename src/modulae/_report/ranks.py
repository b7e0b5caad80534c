"""Comparisons of units that `tl.rank_units` has stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.stored.results import RANKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

MAX_COMPARISONS = 200
"""Comparisons of a result that are on a page: of more, those with the smallest q."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What `tl.rank_units` found; comparisons × units."""

    name: str
    groupby: str
    within: str | None
    over: str
    comparisons: list[dict[str, Any]]
    n_left_out: int  # of the comparisons
    effect: NDArray[np.float64]
    p: NDArray[np.float64]
    q: NDArray[np.float64]
    agreeing: NDArray[np.float64] | None

    def arrays(self, live: Sequence[int], at: int) -> dict[str, Any]:
        """For the page: numbers of the units with a card."""
        result: dict[str, Any] = {f"rank_effect{at}": self.effect[:, live].astype(np.float32)}
        result |= {f"rank_p{at}": self.p[:, live], f"rank_q{at}": self.q[:, live]}  # smaller than a `float32` can be
        if self.agreeing is not None:
            result[f"rank_agreeing{at}"] = self.agreeing[:, live].astype(np.float32)
        return result

    def facts(self) -> dict[str, Any]:
        """For the page: what was compared with what."""
        names = ("name", "groupby", "within", "over", "comparisons", "n_left_out")
        return {name: getattr(self, name) for name in names}


def ranked_columns(adata: AnnData, key: str, *, most: int) -> list[str]:
    """Columns of `obs` that stored comparisons are of: where they were made within, then what was compared."""
    entries = [adata.uns[name] for name in RANKS.of_model(adata, key)]
    named = [str(entry[part]) for part in ("within", "groupby") for entry in entries if entry[part] is not None]
    return [name for name in dict.fromkeys(named) if name in adata.obs and adata.obs[name].nunique() <= most]


def read_rankings(adata: AnnData, key: str, n_units: int) -> list[Ranking]:
    """All stored comparisons of the units of this model."""
    found = (RANKS.find(adata, key=key, result=name) for name in RANKS.of_model(adata, key))
    read = [_read(one.name, one.entry) for one in found]
    return [ranking for ranking in read if ranking.q.shape[1] == n_units]


def _read(name: str, entry: dict[str, Any]) -> Ranking:
    statistics = {what: np.asarray(values, dtype=np.float64) for what, values in entry["statistics"].items()}
    smallest = np.nanmin(statistics["q"], axis=1)
    kept = np.sort(np.argsort(smallest, kind="stable")[:MAX_COMPARISONS])
    texts = {
        what: [str(one) for one in np.asarray(entry[what])[kept]] for what in ("categories", "groups", "references")
    }
    numbers = ("n_cells", "n_cells_reference", "n_donors")
    counts = {what: [int(n) for n in np.asarray(entry[what])[kept]] for what in numbers if what in entry}
    within = entry["within"]
    comparisons = [
        {
            "category": texts["categories"][at],
            "group": texts["groups"][at],
            "reference": texts["references"][at],
            "q": float(smallest[kept[at]]),
            **{what: values[at] for what, values in counts.items()},
        }
        for at in range(len(kept))
    ]
    return Ranking(
        name=name,
        groupby=str(entry["groupby"]),
        within=None if within is None else str(within),
        over=str(entry["over"]),
        comparisons=comparisons,
        n_left_out=len(smallest) - len(kept),
        effect=statistics["effect"][kept],
        p=statistics["p"][kept],
        q=statistics["q"][kept],
        agreeing=statistics["n_donors_agreeing"][kept] if "n_donors_agreeing" in statistics else None,
    )
