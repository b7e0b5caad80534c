"""Tools: train, explain, decode; gene sets from a reference."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._autoencoder.autoencoder import autoencoder
    from ._call_units import call_units
    from ._denoise import denoise
    from ._edit_units.edit_units import edit_units
    from ._embeddings import embeddings
    from ._enrich_units import enrich_units
    from ._new_cells.classify import classify
    from ._new_cells.joint_embedding import joint_embedding
    from ._new_cells.novelty import novelty
    from ._new_cells.transfer import transfer
    from ._pathway_activity.pathway_activity import pathway_activity
    from ._pathway_impact.pathway_impact import pathway_impact
    from ._rank_units.rank_units import rank_units
    from ._saliency import saliency
    from ._sanity.sanity import sanity
    from ._search.search import search
    from ._signatures import signatures
    from ._unit_summary.unit_summary import unit_summary

__all__ = [
    "autoencoder",
    "call_units",
    "classify",
    "denoise",
    "edit_units",
    "embeddings",
    "enrich_units",
    "joint_embedding",
    "novelty",
    "pathway_activity",
    "pathway_impact",
    "rank_units",
    "saliency",
    "sanity",
    "search",
    "signatures",
    "transfer",
    "unit_summary",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(
        __name__,
        __all__,
        {
            "autoencoder": "_autoencoder.autoencoder",
            "classify": "_new_cells.classify",
            "edit_units": "_edit_units.edit_units",
            "joint_embedding": "_new_cells.joint_embedding",
            "novelty": "_new_cells.novelty",
            "pathway_activity": "_pathway_activity.pathway_activity",
            "pathway_impact": "_pathway_impact.pathway_impact",
            "rank_units": "_rank_units.rank_units",
            "sanity": "_sanity.sanity",
            "search": "_search.search",
            "transfer": "_new_cells.transfer",
            "unit_summary": "_unit_summary.unit_summary",
        },
    )
