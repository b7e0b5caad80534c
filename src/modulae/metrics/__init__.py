"""What the paper measured, and what we hold ourselves to."""

from ._clustering_nmi import clustering_nmi
from ._orthogonality import orthogonality
from ._signature_recovery import signature_recovery

__all__ = ["clustering_nmi", "orthogonality", "signature_recovery"]
