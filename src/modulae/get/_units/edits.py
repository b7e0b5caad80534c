"""The history of a model's units as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.edits import asked_of, read_edits
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry

if TYPE_CHECKING:
    from anndata import AnnData


@public
def edits(adata: AnnData, *, key: str = DEFAULT_KEY) -> pd.DataFrame:
    """The edits that :func:`modulae.tl.edit_units` has made to a model, one row per edit, the oldest first.

    Numbers are those that units had before the edit. Edits that were taken back are not listed. Those that were made
    before the model was saved or transferred are.

    Parameters
    ----------
    {adata}
    {key}

    Returns
    -------
    One row per edit (index `edit`: 1, 2, …); none where nothing was edited.

    `what` : text
        Such as 'unit 3 is called "Interferon"; units 4, 9 are one, now 4; unit 7 is dropped; unit 5 is technical'.
    `n_units` : `int64`
        Units after it.
    `loss_before`, `loss_after` : `float64`
        Poisson loss of the held-out cells, in counts; NaN where no number changed.

    Raises
    ------
    KeyError
        No such model.

    See Also
    --------
    modulae.tl.edit_units : Edits units, and takes the last edit back.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata, n_latent=4)
    >>> mo.tl.edit_units(adata, drop=["1"])
    >>> mo.get.edits(adata)[["what", "n_units"]].values.tolist()
    [['unit 1 is dropped', 3]]
    """
    done = read_edits(model_entry(adata, key))
    return pd.DataFrame(
        {
            "what": np.array([_words(edit) for edit in done], dtype=object),
            "n_units": np.array([int(np.max(edit["became"])) + 1 for edit in done], dtype=np.int64),
            **{name: np.array([float(e.get(name, np.nan)) for e in done]) for name in ("loss_before", "loss_after")},
        },
        index=pd.RangeIndex(1, len(done) + 1, name="edit"),
    )


def _words(edit: dict[str, Any]) -> str:
    """What was done, in one line."""
    asked, became = asked_of(edit), edit["became"]
    parts = [f'unit {unit} is called "{name}"' for unit, name in asked.get("rename", {}).items()]
    parts += [f"units {', '.join(group)} are one, now {became[int(group[0])]}" for group in asked.get("merge", [])]
    parts += [f"unit {unit} is dropped" for unit in asked.get("drop", [])]
    parts += [f"unit {unit} is {'' if on else 'not '}technical" for unit, on in asked.get("technical", {}).items()]
    return "; ".join(parts)
