"""What the paper measured."""

from ._clustering_nmi import clustering_nmi
from ._orthogonality import orthogonality

__all__ = ["clustering_nmi", "orthogonality"]
