"""Counts to try things on: planted programmes, real cells, a model of them, and gene sets that fit them."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._blood_model import blood_model
    from ._immune_signatures import immune_signatures
    from ._paul15 import paul15
    from ._pbmc3k import pbmc3k
    from ._pbmc68k import pbmc68k
    from ._simulated import simulated

__all__ = ["blood_model", "immune_signatures", "paul15", "pbmc3k", "pbmc68k", "simulated"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(__name__, __all__)
