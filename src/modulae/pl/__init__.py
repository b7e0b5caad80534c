"""Pictures: each returns its Axes, for the caller to style, save or show."""

from ._consensus import consensus
from ._embeddings import embeddings
from ._enrichment import enrichment
from ._history import history
from ._impact import impact
from ._impact_groups import impact_groups
from ._pathway_activity import pathway_activity
from ._sanity import sanity
from ._search import search
from ._top_genes import top_genes
from ._unit_summary import unit_summary
from ._units import units

__all__ = [
    "consensus",
    "embeddings",
    "enrichment",
    "history",
    "impact",
    "impact_groups",
    "pathway_activity",
    "sanity",
    "search",
    "top_genes",
    "unit_summary",
    "units",
]
