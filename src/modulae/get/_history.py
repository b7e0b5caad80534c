"""How the training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry

if TYPE_CHECKING:
    from anndata import AnnData


@public
def history(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """The losses of every tested epoch.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    One row an epoch (index `epoch`; 0 is before training), with the columns `train_loss` and `test_loss` (mean Poisson
    loss over cells and genes, in counts), `orthogonality` (‖I − W Wᵀ‖ of the last encoding layer; for parts, of its
    rows scaled to length 1) and `best` (`bool`: the epoch whose weights were kept).

    Raises
    ------
    KeyError
        No such model, or only parts of one.
    """
    stored = model_entry(adata, key)["history"]
    columns = ("train_loss", "test_loss", "orthogonality")
    table = pd.DataFrame(
        {name: stored[name] for name in columns},
        index=pd.Index(stored["epoch"], name="epoch"),
    )
    return table.assign(best=table.index == int(stored["best_epoch"]))
