"""The stored fields as labelled pandas tables. `key` names the model, `result` one of its results."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._enrichment import enrichment
    from ._history import history
    from ._impact import impact
    from ._impact_table import impact_table
    from ._loadings import loadings
    from ._new_cells.confusion import confusion
    from ._new_cells.joint_embedding import joint_embedding
    from ._new_cells.transfer import transfer
    from ._pathway_activity import pathway_activity
    from ._rank_units import rank_units
    from ._replication import replication
    from ._representation import representation
    from ._saliency import saliency
    from ._sanity import sanity
    from ._units.edits import edits
    from ._units.top_genes import top_genes
    from ._units.unit_calls import unit_calls
    from ._units.unit_summary import unit_summary
    from ._units.units_adata import units_adata

__all__ = [
    "confusion",
    "edits",
    "enrichment",
    "history",
    "impact",
    "impact_table",
    "joint_embedding",
    "loadings",
    "pathway_activity",
    "rank_units",
    "replication",
    "representation",
    "saliency",
    "sanity",
    "top_genes",
    "transfer",
    "unit_calls",
    "unit_summary",
    "units_adata",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(
        __name__,
        __all__,
        {
            "confusion": "_new_cells.confusion",
            "joint_embedding": "_new_cells.joint_embedding",
            "edits": "_units.edits",
            "top_genes": "_units.top_genes",
            "transfer": "_new_cells.transfer",
            "unit_summary": "_units.unit_summary",
            "unit_calls": "_units.unit_calls",
            "units_adata": "_units.units_adata",
        },
    )
