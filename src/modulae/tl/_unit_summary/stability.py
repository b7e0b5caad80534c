"""How well each unit comes back: in halves of the cells, in a table, or in other runs in the same AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modulae._adata.stored.fields import Fields
from modulae._adata.stored.models import model_entry
from modulae._adata.stored.representation import check_field
from modulae._adata.stored.results import unit_names
from modulae._adata.stored.steps import step
from modulae._utils.text import choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray


def check_stability(
    adata: AnnData, n_units: int, stability: pd.DataFrame | None, stability_keys: Sequence[str] | None, *, key: str
) -> None:
    """Refuse what :func:`stability_of_units` cannot read.

    Raises
    ------
    KeyError
        A run that is not there.
    TypeError
        One name where a list is needed, or no table.
    ValueError
        Both, no run, the model itself, or a table of other units.
    """
    if stability is not None and stability_keys is not None:
        msg = "stability= and stability_keys= both say how stable the units are. Give one of them."
        raise ValueError(msg)
    if stability is not None:
        if not isinstance(stability, pd.DataFrame):
            msg = (
                f"stability is {type(stability).__name__}, not the table that `mo.metrics.unit_stability` gives. "
                "Give that, or names of other models: stability_keys=."
            )
            raise TypeError(msg)
        units = _units_of(stability)
        absent = sorted(set(unit_names(n_units)) - set(units))
        if "abs_r" not in stability or absent or len(set(units)) != n_units:
            msg = (
                f"stability is no table of the {n_units} units of the model {key!r}. Give what "
                f"`mo.metrics.unit_stability(adata, others, use_rep={Fields(key).representation!r})` returns."
            )
            raise ValueError(msg)
    if stability_keys is None:
        return
    if isinstance(stability_keys, str):
        msg = f"stability_keys is the text {stability_keys!r}; give a list of names: [{stability_keys!r}]."
        raise TypeError(msg)
    available = [name[2:] for name in adata.obsm if name.startswith("X_") and name != Fields(key).representation]
    others = choose(available, f"train again: {step('tl.autoencoder', 'seed=1', key=f'{key}_1')}")
    unknown = [name for name in stability_keys if Fields(name).representation not in adata.obsm]
    if unknown:
        msg = f"there is no representation {Fields(unknown[0]).representation!r} in adata.obsm. {others}"
        raise KeyError(msg)
    if key in stability_keys or not stability_keys:
        msg = f"stability_keys needs one other run or more, and not {key!r} itself. {others}"
        raise ValueError(msg)
    for name in stability_keys:
        check_field(adata, Fields(name).representation)


def reproducibility_of_units(adata: AnnData, key: str, n_units: int) -> dict[str, NDArray[Any]]:
    """Units: the probability that new cells show it again, and whether that is too low for a name.

    It is NaN, which is not too low, for a model that was trained once.
    """
    replication = model_entry(adata, key).get("replication")
    if replication is None:
        return {"reproducibility": np.full(n_units, np.nan), "below_level": np.zeros(n_units, dtype=bool)}
    values = np.asarray(replication["reproducibility"], dtype=np.float64)
    return {"reproducibility": values, "below_level": values < float(replication["level"])}


def stability_of_units(
    adata: AnnData,
    units: NDArray[np.float32],
    stability: pd.DataFrame | None,
    stability_keys: Sequence[str] | None,
) -> NDArray[np.float64]:
    """Units: the correlation with the best match in another run, a mean over the runs; NaN if nothing was given."""
    names = unit_names(units.shape[1])
    if stability_keys is not None:
        from modulae.metrics import unit_stability

        mine = pd.DataFrame(units, index=adata.obs_names, columns=names)
        others = {name: np.asarray(adata.obsm[Fields(name).representation]) for name in stability_keys}
        stability = unit_stability(mine, others)
    if stability is None:
        return np.full(len(names), np.nan)
    mean = stability["abs_r"].groupby(_units_of(stability)).mean()
    return mean.loc[names].to_numpy(dtype=np.float64)


def _units_of(table: pd.DataFrame) -> NDArray[np.object_]:
    """The unit of each row, as text."""
    level = "unit" if "unit" in table.index.names else -1
    return np.array([str(unit) for unit in table.index.get_level_values(level)], dtype=object)
