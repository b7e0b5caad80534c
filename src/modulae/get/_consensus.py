"""How often each unit came back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_CONSENSUS
from modulae._adata.stored.models import model_entry, model_names
from modulae._adata.stored.results import unit_names

if TYPE_CHECKING:
    from anndata import AnnData


@public
def consensus(adata: AnnData, *, key: str = DEFAULT_CONSENSUS, threshold: float = 0.9) -> pd.DataFrame:
    """How often each unit of a consensus came back in its runs.

    Parameters
    ----------
    {adata}
    {key}
    {back_threshold}

    Returns
    -------
    One row per unit ("0", "1", …), in the order of their effect.

    `effect` : `float64`
        How much the Poisson loss rises without the unit, in counts per cell and gene.
    `share` : `float32`
        In which share of the runs a unit like it was found.
    `stability` : `float32`
        Mean over the runs of the absolute correlation of its activity with that of its match.
    `lowest` : `float32`
        The same in the run where it is lowest.
    `back` : `float64`
        In which share of the runs that is above `threshold`.

    Raises
    ------
    KeyError
        No such model, or one that is not a consensus.

    See Also
    --------
    modulae.tl.consensus : Computes one.
    modulae.pl.consensus : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=200, n_genes=300)
    >>> mo.tl.consensus(adata, n_runs=2, n_latent=8, max_epochs=2)
    >>> mo.get.consensus(adata).columns.tolist()
    ['effect', 'share', 'stability', 'lowest', 'back']
    """
    available = model_names(adata, "consensus")
    if key not in available:
        hint = f"Choose one of {available}: key=." if available else "Run `modulae.tl.consensus(adata)` first."
        result = f"the model {key!r} is no consensus" if key in model_names(adata) else f"there is no consensus {key!r}"
        msg = f"{result}. {hint}"
        raise KeyError(msg)
    entry = model_entry(adata, key)
    result = entry["consensus"]
    r = np.asarray(result["returns"])
    return pd.DataFrame(
        {
            "effect": np.asarray(result["effect"]),
            "share": np.asarray(result["share"]),
            "stability": r.mean(axis=1),
            "lowest": r.min(axis=1),
            "back": (r > threshold).mean(axis=1),
        },
        index=pd.Index(unit_names(len(r)), name="unit"),
    )
