"""The explanation beside its controls, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from modulae._adata.public import public
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.results import SANITY, unit_names
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import name_column
from modulae.core.checks import check_choice
from modulae.core.sanity.controls import EXPRESSION, SEEDS
from modulae.core.sanity.verdict import SAME_UNIT, better

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

SanityTable = Literal["verdict", "controls", "units", "agreement", "groups", "deletion"]


@public
def sanity(
    adata: AnnData, *, key: str = DEFAULT_KEY, result: str | None = None, table: SanityTable = "verdict"
) -> pd.DataFrame:
    """What :func:`modulae.tl.sanity` measured, in one of six tables.

    Parameters
    ----------
    {adata}
    {key}
    {result={key}_sanity}
    table
        Which table: `"verdict"`, `"controls"`, `"units"`, `"agreement"`, `"groups"` or `"deletion"`.

    Returns
    -------
    `"verdict"`: one row per level, and `"deletion"`

        `passed` : `bool`
            Whether the explanation is better than its controls.
        `seeds` : `float64`
            Agreement with other seeds.
        `control`, `control_kind`
            Agreement with the best control, and its kind.
        `words` : text
            The verdict as a sentence.

    `"controls"`: one row per control

        `kind` : text
            Kind of control.
        `units`, `sets`, `set_strength`, with groups `groups`, `group_strength`
            Agreement at every level.
        `units_25`, `units_75`
            Quartiles over the units.
        `units_active_alike`
            Share of units that are active in the same cells (abs(r) > 0.9).

    `"units"`: one row per unit

        `name` : text
            Its name, after :func:`modulae.tl.unit_summary`; else NaN.
        `seeds`, `control`, `passed`
            As in `"verdict"`.
        `activity`
            Mean abs(r) over the cells with its partners of other seeds.
        `deletion_score`
            How much further its activity falls without its own top genes than without others, a mean over the curve.
        `deletion_beaten`
            Share of the random draws for which it falls further.

    `"agreement"`: units × kinds of controls
        Mean agreement over genes.

    `"groups"`: one row per group and control

        `group`, `reference`, `control`, `kind` : text
            What is compared.
        `effect`, `strength`
            Rank correlations over sets: of the sum over units, and of the strength.

    `"deletion"`: one row per unit and step

        `unit`, `name`, `n_deleted`, `share`
            The unit, its name, and how many genes, or which share of the model's, were set to 0.
        `top`, `random`
            Activity relative to before, without its top genes and without others.

    Raises
    ------
    KeyError
        No such result, or no groups were compared.
    ValueError
        No such `table`.

    See Also
    --------
    modulae.tl.sanity : Computes this result.
    modulae.pl.sanity : Draws this result.

    Examples
    --------
    >>> adata = mo.datasets.pbmc68k()
    >>> mo.tl.autoencoder(adata, n_splits=0, max_epochs=2)
    >>> gene_sets = mo.datasets.immune_signatures()
    >>> mo.tl.sanity(adata, gene_sets, n_seeds=1, n_cells=200, max_epochs=1)
    >>> mo.get.sanity(adata).columns.tolist()
    ['passed', 'seeds', 'control', 'control_kind', 'words']
    >>> mo.get.sanity(adata, table="units").shape
    (32, 7)
    """
    stored = SANITY.find(adata, key=key, result=result)
    entry = stored.entry
    check_choice("table", table, SanityTable)
    if table == "groups" and "groups" not in entry:
        run = step("tl.sanity", "gene_sets", "groupby=...", key=stored.key, key_added=result)
        msg = f"{stored.name!r} compares no groups. Run {run}."
        raise KeyError(msg)
    found = TABLES[table](entry)
    if table in {"units", "deletion"}:
        at = 0 if table == "units" else 1
        units = list(found.index if table == "units" else found["unit"])
        found.insert(at, "name", name_column(adata, stored.key, units))
    return found


def _verdict(entry: dict[str, Any]) -> pd.DataFrame:
    beaten = float((np.asarray(entry["deletion"]["beaten"]) == 1).mean())
    return pd.DataFrame(
        {
            "passed": [*np.asarray(entry["passed"], dtype=bool), beaten > 0.5],
            "seeds": [*np.asarray(entry["seeds"]), np.nan],
            "control": [*np.asarray(entry["control"]), np.nan],
            "control_kind": [*_texts(entry["control_kind"]), ""],
            "words": _texts(entry["verdict"]),
        },
        index=pd.Index([*_texts(entry["levels"]), "deletion"], name="level"),
    )


def _controls(entry: dict[str, Any]) -> pd.DataFrame:
    units = np.asarray(entry["unit_agreement"])
    result = pd.DataFrame({"kind": _texts(entry["kinds"])}, index=pd.Index(_texts(entry["controls"]), name="control"))
    for level, values in zip(_texts(entry["levels"]), np.asarray(entry["agreement"]), strict=True):
        if level == "units":
            result["units_25"], result["units"], result["units_75"] = (
                np.quantile(units, 0.25, axis=0),
                values,
                np.quantile(units, 0.75, axis=0),
            )
        else:
            result[level.replace(" ", "_")] = values
    result["units_active_alike"] = (np.abs(entry["unit_activity"]) > SAME_UNIT).mean(axis=0)
    return result


def _agreement(entry: dict[str, Any]) -> pd.DataFrame:
    values, kinds = np.asarray(entry["unit_agreement"], dtype=np.float64), np.array(_texts(entry["kinds"]))
    by_kind = {str(kind): values[:, kinds == kind].mean(axis=1) for kind in dict.fromkeys(kinds)}
    return pd.DataFrame(by_kind, index=pd.Index(unit_names(len(values)), name="unit"))


def _units(entry: dict[str, Any]) -> pd.DataFrame:
    agreement = _agreement(entry)
    activity = np.abs(np.asarray(entry["unit_activity"]))[:, np.array(_texts(entry["kinds"])) == SEEDS]
    seeds, control = agreement[SEEDS], agreement.drop(columns=[SEEDS, EXPRESSION]).max(axis=1)
    return pd.DataFrame(
        {
            "seeds": seeds,
            "control": control,
            "passed": better(seeds.to_numpy(), control.to_numpy()),
            "activity": activity.mean(axis=1),
            "deletion_score": np.asarray(entry["deletion"]["score"]),
            "deletion_beaten": np.asarray(entry["deletion"]["beaten"]),
        },
        index=agreement.index,
    )


def _groups(entry: dict[str, Any]) -> pd.DataFrame:
    groups, controls = _texts(entry["groups"]), _texts(entry["controls"])
    return pd.DataFrame(
        {
            "group": np.repeat(groups, len(controls)),
            "reference": np.repeat(_texts(entry["references"]), len(controls)),
            "control": np.tile(controls, len(groups)),
            "kind": np.tile(_texts(entry["kinds"]), len(groups)),
            "effect": np.asarray(entry["group_agreement"]).ravel(),
            "strength": np.asarray(entry["group_strength_agreement"]).ravel(),
        }
    )


def _deletion(entry: dict[str, Any]) -> pd.DataFrame:
    curves = entry["deletion"]
    n_deleted, top = np.asarray(curves["n_deleted"]), np.asarray(curves["top"])
    return pd.DataFrame(
        {
            "unit": np.repeat(unit_names(len(top)), len(n_deleted)),
            "n_deleted": np.tile(n_deleted, len(top)),
            "share": np.tile(n_deleted / int(entry["n_genes"]), len(top)),
            "top": top.ravel(),
            "random": np.asarray(curves["random"]).ravel(),
        }
    )


def _texts(values: NDArray[Any]) -> list[str]:
    return [str(value) for value in np.asarray(values)]


TABLES: dict[str, Callable[[dict[str, Any]], pd.DataFrame]] = {
    "verdict": _verdict,
    "controls": _controls,
    "units": _units,
    "agreement": _agreement,
    "groups": _groups,
    "deletion": _deletion,
}
