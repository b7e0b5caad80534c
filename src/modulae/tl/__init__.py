"""Tools: train, explain, decode; gene sets from a reference."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._autoencoder import autoencoder
    from ._classify import classify
    from ._consensus import consensus
    from ._denoise import denoise
    from ._embeddings import embeddings
    from ._enrich_units import enrich_units
    from ._joint_embedding import joint_embedding
    from ._novelty import novelty
    from ._pathway_activity import pathway_activity
    from ._pathway_impact import pathway_impact
    from ._saliency import saliency
    from ._sanity import sanity
    from ._search import search
    from ._signatures import signatures
    from ._transfer import transfer
    from ._unit_summary import unit_summary

__all__ = [
    "autoencoder",
    "classify",
    "consensus",
    "denoise",
    "embeddings",
    "enrich_units",
    "joint_embedding",
    "novelty",
    "pathway_activity",
    "pathway_impact",
    "saliency",
    "sanity",
    "search",
    "signatures",
    "transfer",
    "unit_summary",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(__name__, __all__)
