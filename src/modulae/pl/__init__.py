"""Pictures: each returns its Axes, for the caller to style, save or show."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._embeddings import embeddings
    from ._enrichment import enrichment
    from ._history import history
    from ._impact import impact
    from ._impact_groups import impact_groups
    from ._new_cells.confusion import confusion
    from ._new_cells.joint_embedding import joint_embedding
    from ._new_cells.transfer import transfer
    from ._pathway_activity import pathway_activity
    from ._programmes.match_programmes import match_programmes
    from ._rank_units.rank_units import rank_units
    from ._replication import replication
    from ._sanity import sanity
    from ._search import search
    from ._top_genes import top_genes
    from ._unit_summary import unit_summary
    from ._units import units

__all__ = [
    "confusion",
    "embeddings",
    "enrichment",
    "history",
    "impact",
    "impact_groups",
    "joint_embedding",
    "match_programmes",
    "pathway_activity",
    "rank_units",
    "replication",
    "sanity",
    "search",
    "top_genes",
    "transfer",
    "unit_summary",
    "units",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(
        __name__,
        __all__,
        {
            "confusion": "_new_cells.confusion",
            "joint_embedding": "_new_cells.joint_embedding",
            "match_programmes": "_programmes.match_programmes",
            "rank_units": "_rank_units.rank_units",
            "transfer": "_new_cells.transfer",
        },
    )
