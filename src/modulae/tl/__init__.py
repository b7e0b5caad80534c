"""Tools: train, explain, decode; gene sets from a reference."""

from ._autoencoder import autoencoder
from ._denoise import denoise
from ._embeddings import embeddings
from ._pathway_impact import pathway_impact
from ._saliency import saliency
from ._signatures import signatures

__all__ = ["autoencoder", "denoise", "embeddings", "pathway_impact", "saliency", "signatures"]
