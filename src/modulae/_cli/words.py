"""A short summary of results in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

N_NAMED_SETS = 3
"""Sets named for each group."""

N_NAMED_GENES = 5
"""Genes named for each unit."""


def summary(adata: AnnData, *, key: str = "ae", groupby: str | None = None) -> str:
    """Cells, genes, epochs, and which sets lead in which group."""
    from modulae import get

    history = get.history(adata, key=key)
    kept = history[history["best"]].iloc[0]
    n_genes, n_units = int(adata.var[f"{key}_gene"].sum()), get.representation(adata, key=key).shape[1]
    last = history.index.max()
    lines = [
        f"{adata.n_obs} cells, {n_genes} genes, {n_units} programmes.",
        f"{last} epoch{'' if last == 1 else 's'}; the weights of epoch {kept.name} are kept.",
        f"Held-out Poisson loss {history['test_loss'].iloc[0]:.4f} before training, {kept['test_loss']:.4f} after.",
    ]
    if groupby is not None:
        table = get.impact_table(adata, key=key, result=f"{key}_impact_{groupby}")
        lines.append(f"Sets that raise the programmes most, {groupby} against {table['reference'].iloc[0]}:")
        width = max(len(group) for group in table["group"].unique())
        for group, rows in table.groupby("group", sort=False):
            leading = rows.nlargest(N_NAMED_SETS, "effect")
            lines.append(f"  {group:<{width}}  {', '.join(leading['set'])}")
    return "\n".join(lines)


def units(adata: AnnData, *, key: str = "ae") -> str:
    """The units, the one of largest effect first: how surely each would be found again, its genes, its group."""
    from modulae import get

    table = get.unit_summary(adata, key=key)
    rows = [
        (str(unit), _percent(row["reproducibility"]), _genes(row), _text(row["group"]))
        for unit, row in table.iterrows()
        if _genes(row)
    ]
    widths = [max(len(words) for words in column) for column in zip(*rows, strict=True)]
    nameless = {"may be chance": table["below_level"] & ~table["dead"], "have no effect": table["dead"]}
    others = " and ".join(f"{n} that {why}" for why, units in nameless.items() if (n := int(units.sum())))
    sure = table["reproducibility"].notna().any()
    known = ", and how surely each would be found again" if sure else "; one training does not say how sure they are"
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = [f"Not listed, as they have no name: {others}."] if others else []
    return "\n".join([f"Programmes, their genes and groups{known}:", *(f"  {line}" for line in lines), *more])


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{value:4.0%}"


def _genes(row: pd.Series[Any]) -> str:
    return ", ".join(_text(row["top_genes_up"]).split(";")[:N_NAMED_GENES])


def _text(value: object) -> str:
    """Empty where there is none."""
    return value if isinstance(value, str) else ""
