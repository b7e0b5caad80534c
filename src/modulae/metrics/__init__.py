"""What the paper measured, and what we hold ourselves to."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._clustering_nmi import clustering_nmi
    from ._disentanglement import disentanglement
    from ._orthogonality import orthogonality
    from ._programme_recovery import programme_recovery
    from ._signature_recovery import signature_recovery
    from ._unit_stability import unit_stability

__all__ = [
    "clustering_nmi",
    "disentanglement",
    "orthogonality",
    "programme_recovery",
    "signature_recovery",
    "unit_stability",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(__name__, __all__)
