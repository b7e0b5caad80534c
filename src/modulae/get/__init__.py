"""The stored fields as labelled pandas tables. `key` is the name of the field that is read."""

from ._enrichment import enrichment
from ._history import history
from ._impact import impact
from ._impact_table import impact_table
from ._representation import representation
from ._saliency import saliency

__all__ = ["enrichment", "history", "impact", "impact_table", "representation", "saliency"]
