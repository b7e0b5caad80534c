"""Tools: train, explain, decode."""

from ._autoencoder import autoencoder
from ._denoise import denoise
from ._embeddings import embeddings
from ._enrich_units import enrich_units
from ._pathway_impact import pathway_impact
from ._saliency import saliency

__all__ = ["autoencoder", "denoise", "embeddings", "enrich_units", "pathway_impact", "saliency"]
