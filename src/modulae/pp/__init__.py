"""Before training: which genes to train on, and labels from surface markers."""

from typing import TYPE_CHECKING

from modulae._on_first_use import on_first_use

if TYPE_CHECKING:
    from ._gate_cells import gate_cells
    from ._gene_set_mask import gene_set_mask
    from ._variable_genes import variable_genes

__all__ = ["gate_cells", "gene_set_mask", "variable_genes"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_first_use(__name__, __all__)
