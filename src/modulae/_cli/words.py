"""A short summary of results in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData

N_NAMED_SETS = 3
"""Sets named for each group."""


def summary(adata: AnnData, *, key: str = "ae", groupby: str | None = None) -> str:
    """Cells, genes, epochs, and which sets lead in which group."""
    from modulae import get

    history = get.history(adata, key=key)
    kept = history[history["best"]].iloc[0]
    n_genes, n_units = int(adata.var[f"{key}_gene"].sum()), get.representation(adata, key=key).shape[1]
    last = history.index.max()
    lines = [
        f"{adata.n_obs} cells, {n_genes} genes, {n_units} units.",
        f"{last} epoch{'' if last == 1 else 's'}; the weights of epoch {kept.name} are kept.",
        f"Held-out Poisson loss {history['test_loss'].iloc[0]:.4f} before training, {kept['test_loss']:.4f} after.",
    ]
    if groupby is not None:
        table = get.impact_table(adata, key=key, result=f"{key}_impact_{groupby}")
        lines.append(f"Sets that raise the units most, {groupby} against {table['reference'].iloc[0]}:")
        width = max(len(group) for group in table["group"].unique())
        for group, rows in table.groupby("group", sort=False):
            leading = rows.nlargest(N_NAMED_SETS, "effect")
            lines.append(f"  {group:<{width}}  {', '.join(leading['set'])}")
    return "\n".join(lines)
