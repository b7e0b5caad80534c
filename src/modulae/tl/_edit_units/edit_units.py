"""Rename units, merge and drop them, and mark those that are technical."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modulae._adata.changeable import changeable
from modulae._adata.model_layer import counts_layer
from modulae._adata.public import public
from modulae._adata.stored.edits import asked_of, marks_of, new_edit, read_edits, store_marks
from modulae._adata.stored.fields import DEFAULT_KEY
from modulae._adata.stored.models import model_entry, read_model
from modulae._adata.stored.representation import model_units
from modulae._adata.stored.steps import step
from modulae._adata.stored.unit_labels import names_of_units
from modulae._utils.text import listed
from modulae.core.model.fitted import Fitted

from .asked import read_asked
from .edits_file import read_edits_file
from .marks import with_marks
from .structure import change_units, check_can_change, replication_after, undone_units, warn_if_unlike
from .write import write_units

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from anndata import AnnData


@public
def edit_units(
    adata: AnnData,
    *,
    rename: Mapping[int | str, str] | None = None,
    merge: Sequence[Sequence[int | str]] = (),
    drop: Sequence[int | str] = (),
    technical: Sequence[int | str] | Mapping[int | str, bool] = (),
    edits: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    undo: bool = False,
    key: str = DEFAULT_KEY,
    layer: str | None = None,
    device: str = "auto",
    copy: bool = False,
) -> AnnData | None:
    """Rename programmes, merge those that are the same, drop some or mark them as technical; every edit can be undone.

    Units are given by number or by name. A new name stands from then on in every table, picture, report, export and
    model file. Units marked as technical stay in the model and in full tables; pictures, gene lists, exports and the
    first part of the report leave them out. Neither changes a number.

    *Merged* units become one. Its loadings are the mean of theirs, weighted by mean activity, and its activity is read
    anew by ridge regression. What *dropped* units add to an average cell goes to the baseline. All other units keep
    loadings and activity, but later units get lower numbers. Earlier results are removed, with a warning that names
    them; make your own neighbours and clusters again. :doc:`/guide/editing` has an example.

    Parameters
    ----------
    {adata}
    rename
        Unit → new name. Of units that are merged, name one.
    merge
        Groups of units that become one, in the place of the first: `[("4", "9")]`. Parts only, and needs the cells of
        the training; so does `drop`.
    drop
        Units to take out of the model.
    technical
        Units to mark as technical: `["5"]`. To remove the mark: `{"5": False}`, a dict of unit → `False` (or `True`).
    edits
        Instead of the above: a file that was saved from the page of :func:`modulae.report`, or its contents.
    undo
        Take back the last edit of this object. Loadings, encoder, names and reproducibility are as they were;
        activities of merged or dropped units are read anew from the counts.
    {key}
    {model_layer}
    {device}
    {copy}

    Returns
    -------
    {returns}

    `adata.uns[key]["edits"]` : `dict`
        The history, with what undo needs; read it with :func:`modulae.get.edits`.
    `adata.uns[key]["model"]`
        `"unit_names"` and `"technical"`; where units were merged or dropped, the model of those that are left. Then
        the other fields of :func:`modulae.tl.autoencoder` are written anew as well.

    Raises
    ------
    KeyError
        No such model or unit.
    ValueError
        Nothing to do or to undo, edits that contradict each other, a name that is empty, a number or another unit's,
        edits of another model; or a model whose units can't be merged or dropped.
    FileNotFoundError
        There is no such file of edits.

    Warns
    -----
    UserWarning
        Merged units are not alike; or results are removed.

    See Also
    --------
    modulae.get.edits : The history.
    modulae.tl.unit_summary : Names, genes and sets, to decide by.
    modulae.report : Rename and mark units in the page.

    Examples
    --------
    >>> adata = mo.datasets.simulated(n_cells=300, n_genes=200, n_programmes=4)
    >>> mo.tl.autoencoder(adata, n_latent=4)
    >>> mo.tl.edit_units(adata, rename={"0": "Interferon"}, technical=["3"])
    >>> mo.tl.edit_units(adata, technical={"3": False})  # it is not, after all
    >>> mo.tl.edit_units(adata, drop=["Interferon"])
    >>> adata.obsm["X_ae"].shape
    (300, 3)
    >>> mo.tl.edit_units(adata, undo=True)
    >>> mo.get.edits(adata)["what"].tolist()
    ['unit 0 is called "Interferon"; unit 3 is technical', 'unit 3 is not technical']
    """
    entry = model_entry(adata, key)
    fitted = read_model(adata, key)
    asked: dict[str, Any] = {"rename": rename, "merge": merge, "drop": drop, "technical": technical}
    given = [name for name, value in {**asked, "edits": edits}.items() if value is not None and value != ()]
    _check_alone(given, edits is not None, undo=undo)
    if undo:
        return _undo(adata, entry, key=key, layer=layer, device=device, copy=copy)
    if edits is not None:
        asked = {"rename": None, "merge": (), "drop": (), "technical": (), **read_edits_file(edits, fitted)}
    names = names_of_units(adata, key)
    wanted = read_asked(fitted.network.n_units, names, **asked)
    marked = with_marks(fitted, wanted, names)
    became, done = wanted.became(fitted.network.n_units), read_edits(entry)
    if not wanted.changes_numbers:
        edit = new_edit(wanted.plain(), became, marks_of(entry["model"]), None)
        adata = changeable(adata, copy=copy)
        store_marks(adata, key, marks_of(marked.as_dict()), [*done, edit])
        return adata if copy else None
    check_can_change(adata, fitted, entry, key)
    layer = counts_layer(adata, key, layer)
    warn_if_unlike(adata, fitted, wanted, key=key)
    edited = change_units(adata, fitted, marked, wanted, key=key, layer=layer, device=device)
    edit = new_edit(wanted.plain(), became, _to_put_back(entry), edited.losses)
    known = entry.get("replication")
    replication = None if known is None else replication_after(known, became)
    adata = changeable(adata, copy=copy)
    model = edited.fitted, edited.representation, edited.counts
    write_units(adata, *model, key=key, entry=entry, edits=[*done, edit], replication=replication)
    return adata if copy else None


def _to_put_back(entry: dict[str, Any]) -> dict[str, Any]:
    """What undo needs of a model whose units are going to change; the snapshots of its training go with them."""
    before: dict[str, Any] = {name: entry[name] for name in ("model", "replication") if name in entry}
    return {**before, "params": {**entry["params"], "snapshot_epochs": []}}


def _undo(
    adata: AnnData,
    entry: dict[str, Any],
    *,
    key: str,
    layer: str | None,
    device: str,
    copy: bool,
) -> AnnData | None:
    """Put back what was there before the last edit."""
    done = read_edits(entry)
    if not done:
        msg = f"the model {key!r} has no edits to undo. {step('get.edits', key=key)} lists those that there are."
        raise ValueError(msg)
    *earlier, last = done
    if "before" not in last:
        msg = (
            f"the last edit of the model {key!r} was made where the model came from, and what was before is not here. "
            "Take it back there and transfer the model again; or edit it here, with rename= and technical=."
        )
        raise ValueError(msg)
    before = last["before"]
    if not {"merge", "drop"} & set(asked_of(last)):
        adata = changeable(adata, copy=copy)
        store_marks(adata, key, before, earlier)
        return adata if copy else None
    old = Fitted.from_dict(before["model"], before["params"], entry["history"])
    layer = counts_layer(adata, key, layer)
    now = np.asarray(model_units(adata, key))
    units, counts = undone_units(adata, old, now, last["became"], key=key, layer=layer, device=device)
    adata = changeable(adata, copy=copy)
    write_units(adata, old, units, counts, key=key, entry=entry, edits=earlier, replication=before.get("replication"))
    return adata if copy else None


def _check_alone(given: list[str], from_file: bool, *, undo: bool) -> None:  # noqa: FBT001
    """Refuse what says twice what to do."""
    alone = "undo" if undo else "edits"
    others = [name for name in given if name != alone]
    if (undo or from_file) and others:
        does = "takes back the last edit" if undo else "says all that is to be done"
        msg = f"{alone}= {does}, and {listed(others)} was given too. Call it once for each."
        raise ValueError(msg)
