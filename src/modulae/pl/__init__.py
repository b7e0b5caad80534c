"""Pictures: each returns its Axes, for the caller to style, save or show."""

from ._embeddings import embeddings
from ._enrichment import enrichment
from ._history import history
from ._impact import impact
from ._impact_groups import impact_groups
from ._top_genes import top_genes
from ._units import units

__all__ = ["embeddings", "enrichment", "history", "impact", "impact_groups", "top_genes", "units"]
