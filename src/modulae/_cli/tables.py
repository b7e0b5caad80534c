"""Tables beside the output of a training, for those who read no AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modulae._adata.stored.fields import Fields
from modulae._utils.files import check_writable

from .messages import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData


def table_paths(output: Path) -> dict[str, Path]:
    """Where the tables of units and of loadings are written."""
    return {name: output.with_name(f"{output.stem}_{name}.csv") for name in ("units", "loadings")}


def check_tables(output: Path) -> None:
    """Refuse before the training tables that could not be written after it."""
    for path in table_paths(output).values():
        check_writable(path, "--output")


def write_tables(adata: AnnData, output: Path, *, key: str) -> list[Path]:
    """Write a row per unit, and genes × units, and say where they are.

    Raises
    ------
    CommandError
        One can't be written.
    """
    written = []
    for name, path in table_paths(output).items():
        table = _table(adata, name, key)
        if table is None:
            continue
        try:
            table.to_csv(path)
        except OSError as error:
            msg = (
                f"{output} is whole, and yet {path} could not be written ({error}). Make room there, and write the "
                f"table in Python, with `mo.get.{'unit_summary' if name == 'units' else name}`."
            )
            raise CommandError(msg) from error
        written.append(path)
    return written


def _table(adata: AnnData, name: str, key: str) -> pd.DataFrame | None:
    from modulae import get

    if name == "units":
        return get.unit_summary(adata, key=key)
    if Fields(key).loadings not in adata.varm:
        return None
    inside = adata.var[Fields(key).genes].to_numpy()
    table: pd.DataFrame = get.loadings(adata, key=key)[inside]
    return table
