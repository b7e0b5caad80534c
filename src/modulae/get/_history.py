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
    One row per epoch (index `epoch`; 0 is before training).

    `train_loss`, `test_loss` : `float64`
        Mean Poisson loss over cells and genes, in counts, of the training and of the held-out cells.
    `orthogonality` : `float64`
        ‖I − W Wᵀ‖ of the last encoding layer; for parts, with its rows scaled to length 1.
    `best` : `bool`
        Whether the weights of this epoch were kept.

    Raises
    ------
    KeyError
        No such model, or only parts of one.

    See Also
    --------
    modulae.pl.history : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> mo.get.history(adata).shape
    (3, 4)
    """
    stored = model_entry(adata, key)["history"]
    columns = ("train_loss", "test_loss", "orthogonality")
    table = pd.DataFrame(
        {name: stored[name] for name in columns},
        index=pd.Index(stored["epoch"], name="epoch"),
    )
    return table.assign(best=table.index == int(stored["best_epoch"]))
