"""The stored fields as labelled pandas tables. `key` is the name of the field that is read."""

from ._enrichment import enrichment
from ._history import history
from ._impact import impact
from ._impact_table import impact_table
from ._pathway_activity import pathway_activity
from ._representation import representation
from ._saliency import saliency
from ._sanity import sanity
from ._unit_summary import unit_summary

__all__ = [
    "enrichment",
    "history",
    "impact",
    "impact_table",
    "pathway_activity",
    "representation",
    "saliency",
    "sanity",
    "unit_summary",
]
